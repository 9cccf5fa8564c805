"""Sample weights: losses by hand, in every kind of training, and what would lose them."""

import copy
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.callback import ScoringMonitor
from sklearn.ensemble import AdaBoostClassifier
from sklearn.metrics import recall_score
from sklearn.utils.class_weight import compute_sample_weight
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import BatchScoring, Callback, EarlyStopping, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import DataLoader

from sklearn_tickets.pruners import (
    ConcreteTicketPruner,
    GivenMaskPruner,
    GraSPPruner,
    MagnitudePruner,
    RigLPruner,
    SNIPPruner,
)
from sklearn_tickets.pruners._genetic import _misclassified, _rescaled_mse
from sklearn_tickets.training import Training, batch_iterator, weighted_loss, with_weights
from tests.instances import (
    SETTINGS,
    instances,
    linear_net,
    make_net,
    multilabel_data,
    multilabel_net,
    score_of,
    small_data,
)
from tests.small_nets import initialized

pytestmark = pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")

X, Y = small_data()
WEIGHTS = np.random.RandomState(0).randint(1, 4, len(X)).astype(float)
FULL = {"batch_size": -1, "iterator_train__shuffle": False}


def parameters(pruner):
    return torch.cat([p.detach().flatten() for p in pruner.estimator_.module_.parameters()])


def assert_same_fit(first, second, **tolerance):
    assert first.mask_ == second.mask_
    assert_allclose(parameters(first), parameters(second), **tolerance)
    assert_allclose(first.output_scale_, second.output_scale_, **tolerance)


# Losses by hand -------------------------------------------------------------------


@pytest.mark.parametrize(("reduction", "expected"), [("mean", 14 / 4), ("sum", 14)])
def test_the_loss_weighs_rows_by_hand(reduction, expected):
    """Squared errors 1, 4 and 9, 0 of two outputs, with weights 1 and 1."""
    output = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    criterion = nn.MSELoss(reduction=reduction)
    loss = partial(weighted_loss, criterion, output, torch.zeros(2, 2))
    assert loss(torch.ones(2)).item() == expected
    assert loss(torch.tensor([2.0, 0.0])).item() == (10 / 4 if reduction == "mean" else 10)
    assert criterion.reduction == reduction


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_follows_the_weighted_gradient(reduction):
    """w = 1; rows x = 1 and 2 with y = 0, so gradients 2 w x^2 are 2 and 8."""
    net = linear_net([1.0], optimizer=torch.optim.SGD, lr=0.01, max_epochs=1)
    net.set_params(criterion__reduction=reduction)
    pruner = GivenMaskPruner(net).fit([[1.0], [2.0]], [0.0, 0.0], sample_weight=[3, 1])
    gradient = {"mean": (3 * 2 + 8) / 4, "sum": 3 * 2 + 8}[reduction]
    assert parameters(pruner).item() == pytest.approx(1 - 0.01 * gradient)


def test_scores_weigh_rows():
    """SNIP's score is |w dL/dw|: with rows 1, 2 of gradients 2, 8 and 0, 0."""
    net = linear_net([1.0, 3.0])
    rows, targets = np.array([[1, 0], [2, 0]], np.float32), np.zeros((2, 1), np.float32)
    assert score_of(SNIPPruner(net), rows, targets, np.array([1.5, 0.5])) == {
        "weight": [pytest.approx((1.5 * 2 + 0.5 * 8) / 2), 0]
    }
    # GraSP: H g w with g = 3.5 and H = 3.5, at temperature 1.
    pruner = GraSPPruner(net, temperature=1.0)
    scores = score_of(pruner, rows, targets, np.array([1.5, 0.5]))
    assert scores["weight"][0] == pytest.approx(3.5**2)


def test_the_genetic_fitness_weighs_rows():
    logits, labels = np.array([[2.0, 1], [0, 1], [3, 0]]), np.array([1, 1, 0])
    assert _misclassified(logits, labels, None) == pytest.approx(1 / 3)
    assert _misclassified(logits, labels, np.array([6.0, 3, 3])) == 1 / 2
    outputs, targets = np.array([[1.0], [-1.0]]), np.array([1.0, -3.0])
    assert _rescaled_mse(outputs, targets, None) == 1
    # The scale is 5 / 2, not 2.
    assert _rescaled_mse(outputs, targets, np.array([1.0, 3])) == (1.5**2 + 3 * 0.5**2) / 4


# In every training ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
@pytest.mark.parametrize("position", range(len(SETTINGS)), ids=[cls.__name__ for cls in SETTINGS])
def test_equal_weights_change_nothing(kind, position):
    pruner = instances(kind)[position]
    expected = clone(pruner).fit(X, Y)
    assert_same_fit(pruner.fit(X, Y, sample_weight=np.full(len(X), 4)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("net_class", "criterion"),
    [
        (NeuralNetClassifier, nn.CrossEntropyLoss),
        (NeuralNetClassifier, partial(nn.CrossEntropyLoss, label_smoothing=0.1)),
        (NeuralNetClassifier, partial(nn.CrossEntropyLoss, reduction="sum")),
        (NeuralNetClassifier, nn.MultiMarginLoss),
        (NeuralNetBinaryClassifier, nn.BCEWithLogitsLoss),
        (NeuralNetRegressor, nn.HuberLoss),
        (NeuralNetRegressor, nn.L1Loss),
        (NeuralNetRegressor, partial(nn.MSELoss, reduction="sum")),
    ],
)
def test_weights_are_repeated_rows_in_full_batches(net_class, criterion):
    net = make_net("classifier", **FULL, max_epochs=3, lr=1e-3)
    settings = {k: v for k, v in net.get_params(deep=False).items() if k != "predict_nonlinearity"}
    net = net_class(**settings | {"criterion": criterion})
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0)
    rows = np.arange(len(X)).repeat(WEIGHTS.astype(int))
    repeated = clone(pruner).fit(X[rows], Y[rows])
    assert_same_fit(clone(pruner).fit(X, Y, sample_weight=WEIGHTS), repeated, rtol=1e-3, atol=1e-5)


def test_rows_of_weight_zero_are_as_if_they_were_not_there():
    half = np.arange(len(X)) % 2
    pruner = MagnitudePruner(make_net("classifier", max_epochs=2), random_state=0)
    expected = clone(pruner).fit(X[half > 0], Y[half > 0])
    assert_same_fit(pruner.fit(X, Y, sample_weight=half), expected, rtol=1e-5)


@pytest.mark.parametrize("factor", [1e-300, 1e307])
def test_a_factor_on_all_weights_changes_nothing(factor):
    pruner = SNIPPruner(make_net("classifier", max_epochs=2), sparsity=0.5, random_state=0)
    expected = clone(pruner).fit(X, Y, sample_weight=WEIGHTS)
    assert_same_fit(pruner.fit(X, Y, sample_weight=factor * WEIGHTS), expected, rtol=1e-4)


def test_classes_are_those_of_all_rows():
    labels = np.where(np.arange(len(X)) < 9, 2, Y)
    pruner = MagnitudePruner(make_net("classifier", max_epochs=1), random_state=0)
    pruner.fit(X, labels, sample_weight=labels < 2)
    assert pruner.classes_.tolist() == [0, 1, 2]
    assert pruner.predict_proba(X).shape[1] == 3


@pytest.mark.parametrize("iterator", [DataLoader, batch_iterator])
@pytest.mark.parametrize("is_split", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_carry_the_weights_of_their_rows(iterator, is_split, shuffle):
    net = initialized(train_split=ValidSplit(3) if is_split else None, iterator_train=iterator)
    numbers = np.arange(20, dtype=np.float32)
    rows = with_weights(numbers[:, None], numbers / 4)
    for dataset in net.get_split_datasets(rows, numbers)[: 1 + is_split]:
        batches = list(iterator(dataset, batch_size=3, shuffle=shuffle))
        assert sum(len(y) for _, y in batches) == len(dataset)
        for inputs, y in batches:
            assert inputs["X"][:, 0].tolist() == y.tolist()
            assert inputs["sample_weight"].tolist() == (y / 4).tolist()


def test_other_dictionaries_are_left_to_a_data_loader():
    numbers = np.arange(4, dtype=np.float32)
    [(inputs, _)] = batch_iterator(Dataset({"X": numbers}, numbers), batch_size=4)
    assert inputs.keys() == {"X"}


@pytest.mark.parametrize("validation", ["split", "predefined"])
def test_callbacks_see_predictions_as_ever(validation):
    splits = {"split": ValidSplit(4), "predefined": predefined_split(Dataset(X[:9], 2 * Y[:9]))}
    names = {
        f"{kind}_{is_cached}": EpochScoring(
            "accuracy", name=f"{kind}_{is_cached}", on_train=kind == "train", use_caching=is_cached
        )
        for kind in ("train", "valid")
        for is_cached in (True, False)
    }
    names["batch"] = BatchScoring("accuracy", name="batch")
    net = make_net(
        "classifier",
        max_epochs=2,
        train_split=splits[validation],
        callbacks=[*names.items(), ("stop", EarlyStopping(load_best=True))],
    )
    pruner = GivenMaskPruner(net, random_state=0).fit(X, 2 * Y, sample_weight=WEIGHTS)
    history = pruner.estimator_.history
    for name in names:
        assert all(0 <= score <= 1 for score in history[:, name])
    assert_allclose(history[:, "valid_True"], history[:, "valid_False"])
    assert_allclose(history[:, "valid_True"], history[:, "batch"], rtol=1e-6)


def test_scikit_learns_callbacks_see_the_weights():
    monitor = ScoringMonitor(scoring="accuracy")
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0)
    pruner.set_callbacks(monitor).fit(X, Y, sample_weight=WEIGHTS)
    [score] = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "fit"]
    assert score == pytest.approx(pruner.score(X, Y, sample_weight=WEIGHTS))
    assert score != pytest.approx(pruner.score(X, Y))


def test_predefined_validation_data_have_no_weights():
    net = make_net("classifier", max_epochs=1, train_split=predefined_split(Dataset(X, Y)))
    net.set_params(optimizer=torch.optim.SGD, lr=1e-9)
    fitted = GivenMaskPruner(net, random_state=0).fit(X, Y, sample_weight=1 + 99 * Y)
    logits = torch.from_numpy(fitted.strong_output(X))
    expected = nn.functional.cross_entropy(logits, torch.from_numpy(Y)).item()
    assert fitted.estimator_.history[0, "valid_loss"] == pytest.approx(expected, rel=1e-5)
    assert fitted.estimator_.history[0, "train_loss"] != pytest.approx(expected, rel=1e-2)


class PicklesItself(Callback):
    """As Checkpoint does."""

    def on_epoch_end(self, net, **kwargs):
        assert pickle.loads(pickle.dumps(net.module_)) is not None
        copy.deepcopy(net)


def test_a_net_can_be_copied_while_it_trains_and_is_itself_again_afterwards():
    net = initialized(callbacks=[PicklesItself()])
    inputs = np.ones((8, 3), dtype=np.float32)
    Training(net, inputs, inputs[:, :1], until=1, sample_weight=np.ones(8)).run()
    assert not {"infer", "get_loss"} & vars(net).keys()


@pytest.mark.parametrize("pruner_class", [RigLPruner, ConcreteTicketPruner])
def test_masks_that_are_learned_see_the_weights(pruner_class):
    net = make_net("classifier", max_epochs=3)
    pruner = pruner_class(net, random_state=0, **SETTINGS[pruner_class])
    weighted = clone(pruner).fit(X, Y, sample_weight=1 + 50 * (X[:, 0] > 0))
    assert weighted.mask_ != pruner.fit(X, Y).mask_


def test_balanced_weights_find_the_rare_class():
    rng = np.random.RandomState(0)
    labels = (rng.rand(400) < 0.05).astype(int)
    rows = (rng.randn(400, 4) + labels[:, None]).astype(np.float32)
    pruner = MagnitudePruner(make_net("classifier", max_epochs=8), sparsity=0.5, random_state=0)
    weights = compute_sample_weight("balanced", labels)
    plain, weighted = (
        recall_score(labels, clone(pruner).fit(rows, labels, sample_weight=w).predict(rows))
        for w in (None, weights)
    )
    assert weighted > plain + 0.3


def test_ensembles_and_calibration_pass_their_weights_on():
    net = make_net("classifier", max_epochs=6)
    pruner = MagnitudePruner(net, sparsity=0.3, random_state=0)
    boosted = AdaBoostClassifier(pruner, n_estimators=3, random_state=0)
    assert boosted.fit(X, Y).score(X, Y) > 0.7
    calibrated = CalibratedClassifierCV(pruner, cv=2).fit(X, Y, sample_weight=WEIGHTS)
    [one, _] = calibrated.calibrated_classifiers_
    alone = clone(pruner).fit(X[len(X) // 2 :], Y[len(X) // 2 :])
    assert one.estimator.mask_.n_kept == alone.mask_.n_kept
    assert calibrated.score(X, Y) > 0.7


# What is refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        (np.ones(3), r"sample_weight.shape == \(3,\), expected \(80,\)"),
        (np.ones((80, 2)), "Sample weights must be 1D"),
        (-np.ones(80), "Negative values in data passed to `sample_weight`"),
        (np.zeros(80), "Sample weights must contain at least one non-zero"),
        (np.full(80, np.nan), "Input sample_weight contains NaN"),
        (np.full(80, np.inf), "Input sample_weight contains infinity"),
        (1 - Y, "sample_weight is above 0 only for rows of the class 0"),
    ],
)
def test_weights_are_validated(weights, complaint):
    with pytest.raises(ValueError, match=complaint):
        MagnitudePruner(make_net("classifier")).fit(X, Y, sample_weight=weights)


@pytest.mark.parametrize("factor", [1e-320, 1e-20, 1e20, 1e300])
def test_weights_of_a_sum_that_float32_cannot_hold_are_refused(factor):
    pruner = MagnitudePruner(make_net("classifier", criterion__reduction="sum"))
    with pytest.raises(ValueError, match=r"sample_weight has the maximum .* Divide sample_weight"):
        pruner.fit(X, Y, sample_weight=factor * WEIGHTS)


class OwnLoss(nn.Module):
    """A loss without a reduction, or one that it does not honor."""

    def __init__(self, reduction=None):
        super().__init__()
        if reduction is not None:
            self.reduction = reduction

    def forward(self, output, y):
        return nn.functional.cross_entropy(output, y)


class Halved(NeuralNetClassifier):
    def get_loss(self, *args, **kwargs):
        return super().get_loss(*args, **kwargs) / 2


class OwnStep(NeuralNetClassifier):
    def train_step_single(self, batch, **kwargs):
        return super().train_step_single(batch, **kwargs)


def first_rows(dataset, y):
    return Dataset(dataset.X[:40], y[:40]), Dataset(dataset.X[40:], y[40:])


def without_weights(dataset, **kwargs):
    dataset.X = dataset.X["X"]
    return DataLoader(dataset, **kwargs)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"criterion": OwnLoss}, "criterion OwnLoss .*no attribute 'reduction'"),
        (
            {"criterion": partial(OwnLoss, "mean")},
            "OwnLoss .*shape \\(\\) for 2 rows",
        ),
        ({"criterion": OwnLoss("batchmean")}, "criterion OwnLoss is not the mean"),
        ({"criterion__weight": torch.tensor([0.5, 1.5])}, "CrossEntropyLoss is not.*weights of"),
        ({"criterion__ignore_index": 1}, "CrossEntropyLoss is not"),
        ({"train_split": first_rows}, "train_split=.*does not take rows with weights"),
        ({"iterator_train": without_weights}, "iterator_train=.*does not take rows with weights"),
    ],
)
def test_what_would_lose_weights_is_refused(settings, complaint):
    net = make_net("classifier", **settings)
    with pytest.raises(ValueError, match=f"sample_weight.*{complaint}"):
        MagnitudePruner(net).fit(X, Y, sample_weight=WEIGHTS)


@pytest.mark.parametrize(
    ("net_class", "method"), [(Halved, "get_loss"), (OwnStep, "train_step_single")]
)
def test_methods_that_would_ignore_weights_are_refused(net_class, method):
    net = net_class(**make_net("classifier", max_epochs=1).get_params(deep=False))
    pruner = MagnitudePruner(net, random_state=0)
    with pytest.raises(ValueError, match=f"{net_class.__name__} has a {method} method of its own"):
        pruner.fit(X, Y, sample_weight=WEIGHTS)
    pruner.fit(X, Y)


def test_rows_without_any_label_may_be_all_that_is_left():
    X, y = multilabel_data()
    y[:40] = 0
    weights = np.repeat([1.0, 0.0], [40, 60])
    pruner = MagnitudePruner(multilabel_net(batch_size=-1), random_state=0)
    weighted = clone(pruner).fit(X, y, sample_weight=weights)
    assert weighted.mask_ == pruner.fit(X[:40], y[:40]).mask_
