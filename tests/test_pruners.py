"""Each algorithm on networks small enough to score by hand, and what rounds do to a net."""

import copy
import signal

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification, make_regression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    GivenMaskPruner,
    GraSPPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import scoring_sample
from tests.instances import SETTINGS, make_net

X_SMALL = np.array([[1, 1], [2, 0]], dtype=np.float32)
Y_SMALL = np.array([0, 1], dtype=np.float32)


@pytest.fixture
def data():
    X, y = make_classification(n_samples=80, n_features=6, n_informative=4, random_state=0)
    return X.astype(np.float32), y


def two_layer_net():
    """Inputs -> two ReLU units -> one output, all weights different, no biases."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        module[2].weight.copy_(torch.tensor([[5.0, 6.0]]))
    return NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)


def linear_net(weight):
    module = nn.Linear(len(weight), 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([weight]))
    return NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)


def weights(pruner):
    return {name: p.detach() for name, p in pruner.estimator_.module_.named_parameters()}


# One hand-worked example per algorithm --------------------------------------------------


@pytest.mark.parametrize(
    ("pruner_class", "first", "second"),
    [
        # |w|: 1 2 3 4, 5 6
        (MagnitudePruner, [[0, 0], [0, 1]], [[1, 1]]),
        # Flow through each weight: 1*5 2*5 3*6 4*6, 5*(1+2) 6*(3+4)
        (SynFlowPruner, [[0, 0], [1, 1]], [[0, 1]]),
        # |w dL/dw|, the residuals being 42 and 45: 450 0 2376 1008, 450 3384
        (SNIPPruner, [[0, 0], [1, 1]], [[0, 1]]),
    ],
)
def test_half_of_a_small_network_is_kept_as_by_hand(pruner_class, first, second):
    pruner = pruner_class(two_layer_net(), sparsity=0.5, n_rounds=1, train_ticket=False)
    pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_ == TicketMask({"0.weight": first, "2.weight": second})


def score_of(pruner, X, y):
    net = copy.deepcopy(pruner.estimator).initialize()
    scores = pruner._score(net, TicketMask.ones_like(net.module_), X, y)
    return {name: score.flatten().tolist() for name, score in scores.items()}


def test_synflow_scores_are_the_flow_through_each_weight():
    scores = score_of(SynFlowPruner(two_layer_net()), X_SMALL, Y_SMALL)
    assert scores == {"0.weight": [5, 10, 18, 24], "2.weight": [15, 42]}


def test_snip_scores_are_weight_times_gradient():
    scores = score_of(SNIPPruner(two_layer_net()), X_SMALL, Y_SMALL[:, None])
    assert scores == {"0.weight": [450, 0, 2376, 1008], "2.weight": [450, 3384]}


def test_grasp_scores_are_weight_times_hessian_times_gradient():
    # Least squares: g = 2/n X'(Xw - y) = (2, -4), H = 2/n X'X = diag(1, 4), Hg = (2, -16).
    X = np.array([[1, 0], [0, 2]], dtype=np.float32)
    y = np.array([[1], [0]], dtype=np.float32)
    assert score_of(GraSPPruner(linear_net([3.0, -1.0]), temperature=1), X, y) == {
        "weight": [6, 16]
    }


def test_grasp_agrees_with_the_explicit_hessian_at_its_temperature(data):
    X, y = data
    net = make_net("classifier", module=ModuleTemplate(nn.Linear(6, 2, bias=False)))
    scores = score_of(GraSPPruner(net, temperature=3.0), X, y)["weight"]
    w = net.module().weight.detach()

    def loss(w):
        return nn.functional.cross_entropy(torch.from_numpy(X) @ w.T / 3.0, torch.from_numpy(y))

    g = torch.func.grad(loss)(w).flatten()
    H = torch.autograd.functional.hessian(loss, w).reshape(12, 12)
    np.testing.assert_allclose(scores, w.flatten() * (H @ g), rtol=1e-3, atol=1e-8)


def test_imp_prunes_by_trained_magnitude_and_rewinds(data):
    dense = GivenMaskPruner(make_net("classifier", max_epochs=3), random_state=0).fit(*data)
    imp = IterativeMagnitudePruner(
        make_net("classifier", max_epochs=3),
        sparsity=0.5,
        n_rounds=1,
        train_ticket=False,
        random_state=0,
    ).fit(*data)
    trained = {n: w.abs() for n, w in weights(dense).items() if n in imp.mask_}
    assert imp.mask_ == TicketMask.ones_like(MLP(6, 2, hidden=(32,))).shrink(trained, 0.5)
    for name, kept in imp.mask_.items():
        torch.testing.assert_close(weights(imp)[name][kept], imp.initial_state_[name][kept])


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
def test_random_pruning_does_not_depend_on_the_weights():
    kept = [
        RandomPruner(two_layer_net(), sparsity=0.5, train_ticket=False, random_state=seed)
        .fit(X_SMALL, Y_SMALL)
        .mask_.to_vector()
        for seed in range(200)
    ]
    np.testing.assert_allclose(np.mean(kept, axis=0), 0.5, atol=0.11)


@pytest.mark.parametrize("anneal", [False, True])
def test_edge_popup_keeps_the_weights_that_fit_as_they_are(anneal):
    # y = 2 x1 - x3; the weights of x2 and x4 are of no use, at any factor of the output.
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    net = linear_net([2.0, 5.0, -1.0, 4.0]).set_params(
        max_epochs=20, batch_size=50, criterion=nn.MSELoss
    )
    pruner = EdgePopupPruner(net, sparsity=0.5, anneal=anneal, random_state=0)
    pruner.fit(X, 2 * X[:, 0] - X[:, 2])
    assert pruner.mask_["weight"].tolist() == [[True, False, True, False]]
    assert weights(pruner)["weight"].tolist() == [[2, 0, -1, 0]]
    np.testing.assert_allclose(pruner.strong_predict(X), 2 * X[:, 0] - X[:, 2], rtol=1e-5)


def test_edge_popup_learns_the_scores_of_biases():
    module = nn.Linear(3, 1)
    with torch.no_grad():
        module.weight[:], module.bias[:] = torch.tensor([[1.0, 1.0, 1.0]]), 3.0
    X = np.random.RandomState(0).randn(64, 3).astype(np.float32)
    net = make_net("regressor", module=ModuleTemplate(module), batch_size=16)
    pruner = EdgePopupPruner(net, sparsity=0.5, prune_bias=True, learn_scale=False, random_state=0)
    masks = [pruner.fit(X, y).mask_ for y in (X[:, 0] + 3, X[:, 0] + X[:, 1])]
    assert masks[0] == TicketMask({"weight": [[1, 0, 0]], "bias": [1]})
    assert masks[1] == TicketMask({"weight": [[1, 1, 0]], "bias": [0]})


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
def test_edge_popup_empties_no_layer(data):
    pruner = EdgePopupPruner(
        make_net("classifier", max_epochs=2), sparsity=0.99, prune_bias=True, random_state=0
    )
    assert all(kept.any() for kept in pruner.fit(*data).mask_.values() if kept.ndim > 1)


def test_given_mask_is_the_mask(data):
    mask = TicketMask.ones_like(MLP(6, 2, hidden=(32,)), prune_bias=True).shuffled(0)
    mask = mask & TicketMask({name: torch.rand(kept.shape) < 0.5 for name, kept in mask.items()})
    pruner = GivenMaskPruner(make_net("classifier", max_epochs=2), mask, random_state=0).fit(*data)
    assert pruner.mask_ == mask


def test_given_mask_reinitialized_has_the_same_values_elsewhere(data):
    net = make_net("classifier", module=ModuleTemplate(MLP(6, 2, hidden=(20,))), max_epochs=1)
    kept = GivenMaskPruner(net, random_state=0, train_ticket=False).fit(*data)
    redrawn = GivenMaskPruner(net, reinitialize=True, random_state=0, train_ticket=False).fit(*data)
    for name, value in kept.initial_state_.items():
        other = redrawn.initial_state_[name]
        assert not torch.equal(value, other)
        assert torch.equal(value.flatten().sort().values, other.flatten().sort().values)


def test_constant_weights_give_nothing_to_choose_by(data):
    module = nn.Linear(6, 2)
    nn.init.constant_(module.weight, 0.5)
    with pytest.raises(ValueError, match=r"scores all parameters .* the same"):
        MagnitudePruner(make_net("classifier", module=ModuleTemplate(module))).fit(*data)


# Scoring leaves things alone --------------------------------------------------------------


class ConvNet(nn.Module):
    def __init__(self, n_outputs):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.dropout = nn.Dropout()
        self.head = nn.Linear(8 * 4 * 4, n_outputs)

    def forward(self, X):
        return self.head(self.dropout(self.features(X).flatten(1)))


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
    X, y = load_digits(n_class=4, return_X_y=True)
    return (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)[:200], y[:200]


@pytest.mark.parametrize("pruner_class", SETTINGS)
def test_any_pruner_takes_convolutions_batch_norm_and_dropout(pruner_class, images):
    net = make_net("classifier", module=ConvNet, max_epochs=1)
    pruner = pruner_class(net, random_state=0, **SETTINGS[pruner_class]).fit(*images)
    assert set(pruner.mask_) >= {"features.0.weight", "head.weight"}
    assert not any(name.startswith("features.1") for name in pruner.mask_)
    assert pruner.transform(images[0]).shape == (200, 128)
    assert pruner.input_support_.shape == (1, 8, 8)
    assert pruner.predict_proba(images[0]).sum(axis=1) == pytest.approx(1)


@pytest.mark.parametrize("pruner_class", [SNIPPruner, GraSPPruner, SynFlowPruner])
def test_scoring_leaves_batch_norm_statistics_as_they_were(pruner_class, images):
    net = make_net("classifier", module=ConvNet)
    pruner = pruner_class(net, random_state=0, n_rounds=2, train_ticket=False).fit(*images)
    state = pruner.estimator_.module_.state_dict()
    for name in ("features.1.running_mean", "features.1.num_batches_tracked"):
        assert torch.equal(state[name], pruner.initial_state_[name])


@pytest.mark.parametrize("pruner_class", SETTINGS)
def test_any_pruner_takes_shared_weights(pruner_class, data):
    net = make_net("classifier", module=Recurrent, max_epochs=2)
    pruner = pruner_class(net, random_state=0, **SETTINGS[pruner_class]).fit(*data)
    assert "step.weight" in pruner.mask_
    assert not weights(pruner)["step.weight"][~pruner.mask_["step.weight"]].any()


def test_snip_sums_up_the_gradient_over_all_data(data):
    X, y = np.concatenate([data[0]] * 20), np.concatenate([data[1]] * 20)
    pruner = SNIPPruner(make_net("classifier", module=ModuleTemplate(MLP(6, 2))))
    once, twenty_times = score_of(pruner, *data), score_of(pruner, X, y)
    for name, score in once.items():
        np.testing.assert_allclose(score, twenty_times[name], rtol=1e-4, atol=1e-8)


def test_scoring_samples_are_drawn_from_all_classes_equally():
    y = np.repeat([0, 1, 2], [100, 10, 5])
    X = np.arange(115.0)
    net = make_net("classifier")
    _, drawn = scoring_sample(net, X, y, 12)
    assert np.bincount(drawn).tolist() == [4, 4, 4]
    assert len(scoring_sample(make_net("regressor"), X, y, 12)[0]) == 12
    assert scoring_sample(net, X, y, None)[0] is X


# Rounds and rewinding -----------------------------------------------------------------------


def trained_densely(data, n_epochs, **net_params):
    net = make_net("classifier", max_epochs=n_epochs, **net_params)
    return GivenMaskPruner(net, random_state=0).fit(*data)


@pytest.mark.parametrize("rewind_epoch", [0, 2, None])
def test_kept_weights_return_to_where_they_were(data, rewind_epoch):
    pruner = IterativeMagnitudePruner(
        make_net("classifier"),
        sparsity=0.75,
        n_rounds=1,
        round_epochs=4,
        rewind_epoch=rewind_epoch,
        train_ticket=False,
        random_state=0,
    ).fit(*data)
    passed = 4 if rewind_epoch is None else rewind_epoch
    there = weights(trained_densely(data, passed)) if passed else pruner.initial_state_
    for name, kept in pruner.mask_.items():
        assert torch.equal(weights(pruner)[name][kept], there[name][kept])


def test_rewinding_to_an_epoch_continues_as_if_never_interrupted(data):
    """With nothing pruned, two rounds rewound to epoch 2 end where plain training ends."""
    schedule = [("lr", LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5))]
    params = {
        "callbacks": schedule,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "iterator_train__shuffle": False,
    }
    rewound = MagnitudePruner(
        make_net("classifier", max_epochs=5, **params),
        sparsity=0.0,
        n_rounds=2,
        round_epochs=3,
        rewind_epoch=2,
        random_state=0,
    ).fit(*data)
    plain = trained_densely(data, 5, **params)
    for name, value in weights(plain).items():
        assert torch.equal(weights(rewound)[name], value)
    assert rewound.estimator_.history[:, "event_lr"] == plain.estimator_.history[:, "event_lr"]
    assert len(rewound.estimator_.history) == 5


def test_every_restart_begins_the_schedule_again(data):
    schedule = [("lr", LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5))]
    pruner = IterativeMagnitudePruner(
        make_net("classifier", callbacks=schedule, max_epochs=3),
        sparsity=0.5,
        n_rounds=2,
        rewind_epoch=None,
        random_state=0,
    ).fit(*data)
    assert pruner.estimator_.history[:, "event_lr"] == [0.01, 0.005, 0.0025]


def test_densities_fall_geometrically_and_end_exactly_at_the_target(data):
    net = make_net("classifier", max_epochs=1)
    pruner = RandomPruner(net, sparsity=0.99, n_rounds=4, random_state=0)
    with pytest.warns(LayerCollapseWarning):
        pruner.fit(*data)
    n = pruner.mask_.n_parameters
    assert [r["n_kept"] for r in pruner.rounds_] == [
        round(0.01 ** (t / 4) * n) for t in (1, 2, 3, 4)
    ]
    assert list(pruner.rounds_[0]) == [
        *("round", "density", "mask", "n_kept", "n_effective", "collapsed", "train_loss"),
        "seconds",
    ]


def test_a_collapsed_network_is_a_warning_and_a_record(data):
    pruner = MagnitudePruner(make_net("classifier", max_epochs=1), sparsity=0.995, random_state=0)
    with pytest.warns(LayerCollapseWarning, match="no path from inputs to outputs"):
        pruner.fit(*data)
    assert pruner.rounds_[-1]["collapsed"]
    assert pruner.rounds_[-1]["n_effective"] == 0
    assert len(np.unique(pruner.predict(data[0]))) == 1


def test_excluded_parameters_stay_dense(data):
    pruner = MagnitudePruner(
        make_net("classifier", max_epochs=1), exclude=("layers.1.*",), random_state=0
    ).fit(*data)
    assert list(pruner.mask_) == ["layers.0.weight"]
    assert (weights(pruner)["layers.1.weight"] != 0).all()


def test_the_l1_penalty_pulls_weights_to_zero_in_the_rounds_only(data):
    """On constant targets plain SGD moves weights by lr * l1 * sign(w) a step, and no further."""
    X = np.zeros((8, 3), dtype=np.float32)  # no gradient of the data
    module = nn.Linear(3, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -2.0, 3.0]]))
    net = make_net(
        "regressor",
        module=ModuleTemplate(module),
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=4,
        max_epochs=3,
    )
    pruner = MagnitudePruner(net, sparsity=0.3, round_epochs=2, rewind_epoch=None, l1=0.5)
    pruner.fit(X, np.ones(8))
    # Two epochs of two steps: 4 * 0.1 * 0.5. The ticket's own training adds nothing.
    expected = torch.tensor([[0.0, -1.8, 2.8]])
    torch.testing.assert_close(weights(pruner)["weight"], expected)


def test_dead_ends_are_pruned_first():
    """Once a unit's way out is cut, its incoming weights go, though they are the largest."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[9.0, 8.0], [2.0, 3.0]]))
        module[2].weight.copy_(torch.tensor([[0.1, 5.0]]))
    net = NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, n_rounds=2, train_ticket=False)
    with pytest.warns(LayerCollapseWarning):
        pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_ == TicketMask({"0.weight": [[1, 1], [0, 0]], "2.weight": [[0, 1]]})
    pruner.set_params(connected=True).fit(X_SMALL, Y_SMALL)
    assert pruner.mask_["0.weight"][1].tolist() == [False, True]
    assert pruner.mask_["2.weight"].tolist() == [[False, True]]


def test_one_cycle_spans_each_training(data):
    net = make_net("classifier", lr=0.1, max_epochs=4)
    pruner = MagnitudePruner(
        net, sparsity=0.5, round_epochs=2, schedule="one-cycle", random_state=0
    ).fit(*data)
    rates = np.concatenate(pruner.estimator_.history[:, "batches", :, "event_lr"])
    assert len(rates) == 4 * 5
    assert rates.max() == pytest.approx(0.1, rel=0.05)
    assert rates[-1] < 1e-4 < rates[0] < 0.02
    assert not any("one_cycle" in name for name, _ in pruner.estimator_.callbacks_)


def test_one_cycle_leaves_momentum_alone(data):
    net = make_net("classifier", optimizer=torch.optim.SGD, lr=0.1, max_epochs=2)
    pruner = MagnitudePruner(net, sparsity=0.5, schedule="one-cycle", random_state=0).fit(*data)
    assert pruner.estimator_.optimizer_.param_groups[0]["momentum"] == 0


# The nets that can be wrapped -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "has_log"),
    [
        ({"verbose": 0}, False),
        ({"verbose": 1}, True),
        ({"verbose": 0, "callbacks__print_log__sink": len}, True),
    ],
    ids=["silent", "verbose", "own sink"],
)
def test_silent_nets_make_no_tables(settings, has_log, data, capsys):
    net = make_net("classifier", max_epochs=1, **settings)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    log = dict(pruner.estimator_.callbacks_).get("print_log")
    assert (log is not None) == has_log
    assert bool(capsys.readouterr().out) == bool(settings["verbose"])


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


def test_a_binary_net_with_one_logit(data):
    X, y = data
    labels = np.array(["no", "yes"])[y]
    net = NeuralNetBinaryClassifier(
        MLP,
        module__hidden=(32,),
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=30,
        train_split=None,
        verbose=0,
    )
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, labels)
    assert pruner.score(X, labels) > 0.8
    assert pruner.predict_proba(X).shape == (80, 2)
    assert (pruner.predict_proba(X)[:, 1] > 0.5).tolist() == (pruner.predict(X) == "yes").tolist()


def test_several_regression_outputs():
    X, y = make_regression(n_samples=80, n_features=5, n_targets=3, random_state=0)
    pruner = SNIPPruner(make_net("regressor"), sparsity=0.2, random_state=0).fit(X, y / y.std())
    assert pruner.predict(X).shape == (80, 3)
    assert pruner.output_scale_.shape == (3,)


def test_read_only_data_are_taken(data):
    X, y = data
    X.setflags(write=False)
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(X, y)
    pruner.transform(X)


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


@pytest.mark.parametrize("rewind_epoch", [0, 1])
def test_the_best_weights_of_a_denser_round_do_not_come_back(data, tmp_path, rewind_epoch):
    net = make_net(
        "classifier",
        callbacks=[Checkpoint(dirname=tmp_path, load_best=True)],
        train_split=ValidSplit(0.25),
        max_epochs=4,
    )
    pruner = IterativeMagnitudePruner(
        net, sparsity=0.5, n_rounds=3, rewind_epoch=rewind_epoch, random_state=0
    ).fit(*data)
    for name, kept in pruner.mask_.items():
        assert not weights(pruner)[name][~kept].any()
    assert any(pruner.estimator_.history[:, "valid_loss_best"])


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


def test_the_threshold_of_a_binary_net_counts(data):
    net = NeuralNetBinaryClassifier(MLP, threshold=0.9, train_split=None, max_epochs=1, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    expected = pruner.predict_proba(data[0])[:, 1] > 0.9
    assert (pruner.predict(data[0]) == 1).tolist() == expected.tolist()


def test_a_criterion_without_probabilities_has_no_predict_proba(data):
    net = make_net("classifier", criterion=nn.MultiMarginLoss, max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    pruner.predict(data[0])
    with pytest.raises(ValueError, match=r"MultiMarginLoss does not say .* predict_nonlinearity"):
        pruner.predict_proba(data[0])


def test_a_fitted_net_is_a_misunderstanding(data):
    net = make_net("classifier", module=ModuleTemplate(MLP(6, 2)), max_epochs=1).fit(*data)
    with pytest.warns(UserWarning, match=r"ModuleTemplate\(estimator.module_\)"):
        MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)


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


class Softmax(MLP):
    def forward(self, X):
        return super().forward(X).softmax(dim=1)


class LogSoftmax(MLP):
    def forward(self, X):
        return super().forward(X).log_softmax(dim=1)


class TwoTensors(MLP):
    def forward(self, X):
        return super().forward(X), X


class FlatOutput(MLP):
    def forward(self, X):
        return super().forward(X)[:, :1]


def diverging():
    return make_net("classifier", optimizer=torch.optim.SGD, lr=1e6, max_epochs=3)


@pytest.mark.parametrize(
    ("make_pruner", "complaint"),
    [
        (lambda: MagnitudePruner(make_net("classifier"), sparsity=1.0), "'sparsity' parameter"),
        (lambda: MagnitudePruner(make_net("classifier"), sparsity=-0.1), "'sparsity' parameter"),
        (lambda: MagnitudePruner(make_net("classifier"), scope="local"), "'scope' parameter"),
        (
            lambda: MagnitudePruner(make_net("classifier"), round_epochs=3, rewind_epoch=4),
            "rewind_epoch=4 is beyond the 3 epochs trained in a round",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier"), round_epochs=5, rewind_epoch=4, final_epochs=2
            ),
            "rewind_epoch=4 is beyond the 2 epochs of the ticket's training",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier", callbacks=[EarlyStopping("train_loss", threshold=10.0)]),
                round_epochs=9,
                rewind_epoch=8,
                final_epochs=9,
            ),
            "rewind_epoch=8 is beyond the . epochs after which a callback",
        ),
        (
            lambda: MagnitudePruner(NeuralNetClassifier(MLP(6, 2), criterion=nn.CrossEntropyLoss)),
            r"instance of MLP.*ModuleTemplate\(module\)",
        ),
        (lambda: MagnitudePruner(NeuralNetClassifier(MLP)), "criterion is NLLLoss"),
        (lambda: SNIPPruner(make_net("classifier", module=Softmax)), "softmax inside"),
        (lambda: SynFlowPruner(make_net("classifier", module=LogSoftmax)), "log_softmax"),
        (
            lambda: MagnitudePruner(make_net("classifier", module=TwoTensors)),
            "cannot make one tensor of outputs",
        ),
        (
            lambda: MagnitudePruner(NeuralNetBinaryClassifier(MLP, criterion=nn.BCELoss)),
            "BCEWithLogitsLoss",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier", callbacks=[LRScheduler()]), schedule="one-cycle"
            ),
            "both set the learning rate",
        ),
        (lambda: MagnitudePruner(make_net("classifier", module=FlatOutput)), r"\(n_samples, 1\)"),
        (
            lambda: MagnitudePruner(make_net("classifier", module__n_features=5)),
            r"from X with rows of shape \(6,\)",
        ),
        (lambda: MagnitudePruner(diverging(), sparsity=0.5), r"training loss .* is (nan|inf)"),
        (
            lambda: MagnitudePruner(
                make_net("classifier", module__hidden=()), exclude=("layers*",)
            ),
            "no prunable parameters",
        ),
        (
            lambda: MagnitudePruner(make_net("classifier"), exclude=("head.*",)),
            r"exclude='head.\*' matches no parameter",
        ),
        (
            lambda: GivenMaskPruner(make_net("classifier"), TicketMask({"weight": [[True]]})),
            "mask does not fit MLP",
        ),
        (
            lambda: GivenMaskPruner(
                make_net("classifier"), TicketMask({"layers.0.weight": np.zeros((32, 6))})
            ),
            "mask keeps nothing",
        ),
        (
            lambda: MagnitudePruner(
                make_net("classifier"), round_epochs=3, rewind_epoch=2, schedule="one-cycle"
            ),
            "schedule='one-cycle' begins anew",
        ),
        (lambda: MagnitudePruner(make_net("classifier"), l1=-1.0), "'l1' parameter"),
        (lambda: MagnitudePruner("net"), "'estimator' parameter"),
        (lambda: GraSPPruner(make_net("classifier"), temperature=0), "'temperature' parameter"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_half_done(make_pruner, complaint, data):
    pruner = make_pruner()
    with pytest.raises((ValueError, TypeError), match=complaint):
        pruner.fit(*data)
    assert not hasattr(pruner, "mask_")


def test_synflow_refuses_a_softmax_in_a_regressor():
    X, y = make_regression(n_samples=40, n_features=5, n_targets=3, random_state=0)
    net = make_net("regressor", module=Softmax)
    with pytest.raises(ValueError, match="softmax inside"):
        SynFlowPruner(net).fit(X, y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused(bad, data):
    X, y = data[0].copy(), data[1].astype(float)
    X[3, 2] = bad
    with pytest.raises(ValueError, match="Input X contains"):
        MagnitudePruner(make_net("classifier")).fit(X, data[1])
    y[3] = bad
    with pytest.raises(ValueError, match="Input y contains"):
        MagnitudePruner(make_net("regressor")).fit(data[0], y)


def test_other_columns_at_predict_are_refused(data):
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    with pytest.raises(ValueError, match="X has 5 features, but SNIPPruner is expecting 6"):
        pruner.predict(data[0][:, :5])


def test_rounds_keep_their_trained_weights_if_asked():
    X, y = make_classification(n_samples=80, n_features=6, n_informative=4, random_state=0)
    net = make_net("classifier", max_epochs=3)
    pruner = IterativeMagnitudePruner(net, sparsity=0.5, n_rounds=3, random_state=0)
    pruner.set_params(store_rounds=True, train_ticket=False).fit(X, y)
    mask = TicketMask.ones_like(pruner.estimator_.module_)
    for record in pruner.rounds_:
        state = record["state"]
        assert list(state) == list(pruner.initial_state_)
        weight = state["layers.0.weight"]
        assert not torch.equal(weight, pruner.initial_state_["layers.0.weight"])
        # Trained under the mask before the round, from which the smallest were then taken.
        assert torch.equal(weight != 0, mask["layers.0.weight"])
        trained = torch.cat([state[name].abs().flatten() for name in mask])
        kept = torch.from_numpy(record["mask"].to_vector())
        assert trained[~kept].max() <= trained[kept].min()
        mask = record["mask"]
    pruner.set_params(store_rounds=False).fit(X, y)
    assert "state" not in pruner.rounds_[0]


def test_sparsity_aware_weights_keep_signals_their_size():
    rng = np.random.RandomState(0)
    mask = TicketMask(
        {
            "layers.0.weight": rng.uniform(size=(400, 100)) < 0.05,
            "layers.1.weight": rng.uniform(size=(2, 400)) < 0.5,
        }
    )
    X, y = rng.standard_normal((20, 100)), np.arange(20) % 2
    net = make_net("classifier", module__hidden=(400,))
    pruner = GivenMaskPruner(net, mask, reinitialize="sparsity-aware", train_ticket=False)
    pruner.set_params(random_state=0).fit(X, y)
    weight, kept = pruner.initial_state_["layers.0.weight"], mask["layers.0.weight"]
    n_inputs = kept.sum(dim=1)
    sizes = (weight**2 * kept).sum(dim=1)[n_inputs > 0]
    assert n_inputs.min() < 3 < 8 < n_inputs.max()
    assert sizes.mean() == pytest.approx(2, rel=0.1)
    few = n_inputs[n_inputs > 0] < 4
    assert sizes[few].mean() == pytest.approx(2, rel=0.3)
    assert sizes[~few].mean() == pytest.approx(2, rel=0.15)


def test_signs_are_transferred_and_sizes_are_not(data):
    net = make_net("classifier")
    own = GivenMaskPruner(net, train_ticket=False, random_state=0).fit(*data).initial_state_
    signs = {name: torch.randn(value.shape) for name, value in own.items() if value.ndim > 1}
    signs["layers.0.weight"][0] = 0
    signs["not a parameter"] = torch.ones(3)
    pruner = GivenMaskPruner(net, signs=signs, train_ticket=False, random_state=0).fit(*data)
    for name, value in pruner.initial_state_.items():
        assert torch.equal(value.abs(), own[name].abs())
        expected = signs[name].sign() if name in signs else own[name].sign()
        zero = expected == 0
        assert torch.equal(value.sign()[~zero], expected[~zero])
        assert torch.equal(value[zero], own[name][zero])
    with pytest.raises(ValueError, match=r"signs\['layers.0.bias'\] has the shape \(3,\)"):
        GivenMaskPruner(net, signs={"layers.0.bias": np.ones(3)}).fit(*data)
