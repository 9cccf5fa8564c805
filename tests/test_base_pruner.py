"""Fitting a pruner: around any net, with callbacks, and what is refused."""

import signal

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
)
from tests.instances import (
    GENERAL,
    SETTINGS,
    ConvNet,
    assert_refused,
    make_net,
    small_data,
    small_images,
    weights,
)


@pytest.fixture
def data():
    return small_data()


class Recurrent(nn.Module):
    """The same layer twice: shared weights."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.encode = nn.Linear(n_features, 16)
        self.step = nn.Linear(16, 16)
        self.decode = nn.Linear(16, n_outputs)

    def forward(self, X):
        hidden = self.encode(X).tanh()
        return self.decode(self.step(self.step(hidden).tanh()).tanh())


@pytest.fixture(scope="module")
def images():
    return small_images()


@pytest.mark.parametrize("pruner_class", GENERAL)
def test_any_pruner_takes_convolutions_batch_norm_and_dropout(pruner_class, images):
    net = make_net("classifier", module=ConvNet, max_epochs=1)
    pruner = pruner_class(net, random_state=0, **SETTINGS[pruner_class]).fit(*images)
    assert set(pruner.mask_) >= {"features.0.weight", "head.weight"}
    assert not any(name.startswith("features.1") for name in pruner.mask_)
    assert pruner.transform(images[0]).shape == (200, 128)
    assert pruner.input_support_.shape == (1, 8, 8)
    assert pruner.predict_proba(images[0]).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("pruner_class", GENERAL)
def test_any_pruner_takes_shared_weights(pruner_class, data):
    net = make_net("classifier", module=Recurrent, max_epochs=2)
    pruner = pruner_class(net, random_state=0, **SETTINGS[pruner_class]).fit(*data)
    assert "step.weight" in pruner.mask_
    assert not weights(pruner)["step.weight"][~pruner.mask_["step.weight"]].any()


def test_a_net_without_callbacks_can_be_pruned(data):
    net = make_net("classifier", callbacks="disable", max_epochs=2)
    pruner = IterativeMagnitudePruner(net, sparsity=0.5, n_rounds=2, random_state=0).fit(*data)
    assert not any(weights(pruner)[n][~kept].any() for n, kept in pruner.mask_.items())


# torch's compiler looks at .grad of tensors that have none.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_net_is_pruned_under_its_own_names(data):
    plain = make_net("classifier", max_epochs=2)
    compiled = make_net("classifier", max_epochs=2, compile=True, compile__backend="eager")
    masks = [
        IterativeMagnitudePruner(net, sparsity=0.5, n_rounds=2, random_state=0).fit(*data).mask_
        for net in (plain, compiled)
    ]
    assert masks[0] == masks[1]


def test_a_validation_split_and_early_stopping_are_honored(data):
    net = make_net(
        "classifier",
        train_split=ValidSplit(0.25),
        callbacks=[EarlyStopping(patience=1, threshold=10.0)],
        max_epochs=20,
    )
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    assert len(pruner.estimator_.history) < 20
    assert pruner.estimator_.history[-1, "valid_loss"] > 0


def test_a_pruner_is_tuned_in_a_pipeline(data):
    pipeline = make_pipeline(
        StandardScaler(), MagnitudePruner(make_net("classifier", max_epochs=3), random_state=0)
    )
    search = GridSearchCV(
        pipeline,
        {
            "magnitudepruner__sparsity": [0.2, 0.6],
            "magnitudepruner__estimator__module__hidden": [(16,), (16, 16)],
        },
        cv=2,
        error_score="raise",
    ).fit(*data)
    assert search.best_score_ > 0.5


class LoadsOtherWeights(Callback):
    def on_train_end(self, net, **kwargs):
        with torch.no_grad():
            for parameter in net.module_.parameters():
                parameter += 1.0


def test_a_callback_that_breaks_the_mask_is_found_out(data):
    net = make_net("classifier", callbacks=[LoadsOtherWeights()], max_epochs=1)
    with pytest.raises(ValueError, match=r"changed pruned entries of 'layers\.0\.weight'"):
        MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)


def test_no_training_needs_no_callbacks(data):
    net = make_net("classifier", callbacks=[EarlyStopping("train_loss", load_best=True)])
    MagnitudePruner(net, sparsity=0.5, final_epochs=0, random_state=0).fit(*data)


# scikit-learn's callbacks ---------------------------------------------------------------------


class Recorder:
    """Notes the tasks it hears of, and how far the training had come at their ends."""

    def __init__(self):
        self.tasks = []
        self.scores = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.tasks.append(("end", context.task_name))
        self.scores.append(fitted_estimator.score(X, y))


class Stopper(Recorder):
    """Ends the search after the second round."""

    def on_fit_task_end(self, estimator, context):
        self.tasks.append(("end", context.task_name))
        return len(self.tasks) == 5


def test_rounds_are_reported_to_callbacks(data):
    recorder = Recorder()
    pruner = IterativeMagnitudePruner(
        make_net("classifier", max_epochs=3), sparsity=0.5, n_rounds=2, random_state=0
    ).set_callbacks(recorder)
    pruner.fit(*data)
    rounds = [("begin", "round"), ("end", "round")] * 2
    assert recorder.tasks == [("begin", "fit"), *rounds, ("end", "fit")]
    assert recorder.scores[-1] == pruner.score(*data)


def test_a_callback_can_end_the_search_early(data):
    pruner = RandomPruner(
        make_net("classifier", max_epochs=1), sparsity=0.9, n_rounds=10, random_state=0
    ).set_callbacks(Stopper())
    n = pruner.fit(*data).mask_.n_parameters
    assert pruner.mask_.n_kept == round(0.1**0.2 * n)
    assert len(pruner.rounds_) == 2


class Interrupting(MLP):
    def forward(self, X):
        if self.training:
            raise KeyboardInterrupt
        return super().forward(X)


class PressesCtrlC(Callback):
    def on_batch_end(self, net, **kwargs):
        # Processes in the background ignore Ctrl-C.
        handler = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            signal.signal(signal.SIGINT, handler)


@pytest.mark.parametrize("params", [{"module": Interrupting}, {"callbacks": [PressesCtrlC()]}])
def test_ctrl_c_ends_the_fit_and_not_just_the_round(data, params):
    pruner = IterativeMagnitudePruner(make_net("classifier", **params), n_rounds=3)
    with pytest.raises(KeyboardInterrupt):
        pruner.fit(*data)
    assert not hasattr(pruner, "mask_")


# Errors ----------------------------------------------------------------------------------------


def diverging():
    return make_net("classifier", optimizer=torch.optim.SGD, lr=1e6, max_epochs=3)


@pytest.mark.parametrize(
    ("make_pruner", "complaint"),
    [
        (
            lambda: MagnitudePruner(
                make_net("classifier", callbacks=[LRScheduler()]), schedule="one-cycle"
            ),
            "both set the learning rate",
        ),
        (lambda: MagnitudePruner(diverging(), sparsity=0.5), r"training loss .* is (nan|inf)"),
        (lambda: MagnitudePruner("net"), "'estimator' parameter"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_half_done(make_pruner, complaint, data):
    assert_refused(make_pruner(), data, complaint)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused(bad, data):
    X, y = data[0].copy(), data[1].astype(float)
    X[3, 2] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        MagnitudePruner(make_net("classifier")).fit(X, data[1])
    y[3] = bad
    with pytest.raises(ValueError, match="Input y contains"):
        MagnitudePruner(make_net("regressor")).fit(data[0], y)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("pruner_class", [MagnitudePruner, SNIPPruner, EdgePopupPruner])
def test_a_net_without_a_device_is_on_the_cpu(pruner_class, kind, data):
    fitted = [
        pruner_class(
            make_net(kind, device=device, max_epochs=1), sparsity=0.5, scope="layer", random_state=0
        ).fit(*data)
        for device in (None, "cpu")
    ]
    assert fitted[0].mask_ == fitted[1].mask_
    np.testing.assert_array_equal(*(pruner.predict(data[0]) for pruner in fitted))


def test_without_a_random_state_global_seeds_have_no_effect(data):
    net = make_net("classifier", max_epochs=1)
    pruner = RandomPruner(net, sparsity=0.5, train_ticket=False)
    masks = []
    for _ in range(2):
        np.random.seed(0)
        torch.manual_seed(0)
        masks.append(pruner.fit(*data).mask_)
    assert masks[0] != masks[1]
    assert "numpy.random.seed" in RandomPruner.__doc__
