"""How the networks of a pruner's rounds relate."""

import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from sklearn_tickets.inspection import round_connectivity
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import ContinuousSparsificationPruner, IterativeMagnitudePruner
from tests.instances import make_net


def with_rounds(weights, masks, **parameters):
    """A pruner of linear networks that were trained to these weights and pruned to these masks."""
    X = np.eye(len(weights[0]), dtype="float32")
    net = make_net("regressor", module=partial(MLP, hidden=()), max_epochs=1)
    pruner = IterativeMagnitudePruner(net, n_rounds=1, random_state=0, **parameters).fit(X, X[:, 0])
    pruner.rounds_ = [
        {
            "round": t,
            "mask": TicketMask({"layers.0.weight": [kept]}),
            "state": {"layers.0.weight": torch.tensor([w]), "layers.0.bias": torch.zeros(1)},
        }
        for t, (w, kept) in enumerate(zip(weights, masks, strict=True), 1)
    ]
    pruner.mask_ = pruner.rounds_[-1]["mask"]
    return pruner, X, X[:, 0]


@pytest.fixture(scope="module")
def data():
    X = np.random.RandomState(0).uniform(-1, 1, (200, 3)).astype("float32")
    return X, np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


@pytest.fixture(scope="module")
def fitted(data):
    net = make_net("classifier", max_epochs=5)
    pruner = IterativeMagnitudePruner(net, sparsity=0.75, n_rounds=2, store_rounds=True)
    return pruner.set_params(random_state=0).fit(*data)


class Normalized(nn.Module):
    """Normalizes its inputs, then is a linear map."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.normalize = nn.BatchNorm1d(n_features)
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.linear(self.normalize(X))


def test_angles_and_signs_by_hand():
    weights = [[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [1.0, 1.0], [0.1, 0.1]]
    rounds = round_connectivity(*with_rounds(weights, [[1, 1]] * 5, train_ticket=False))
    assert rounds.angular_distance.loc[1].tolist() == pytest.approx([0, 1, 2, 0.5, 0.5])
    # Exactly 0, not the square root of a rounding error.
    assert rounds.angular_distance.loc[4, 5] < 1e-15
    assert rounds.sign_agreement.loc[4].tolist() == [0.5, 0.5, 0, 1, 1]


def test_only_weights_that_both_rounds_keep_are_compared():
    weights = [[1.0, 5.0, 2.0, 3.0], [1.0, -5.0, 2.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    masks = [[1, 0, 1, 0], [1, 1, 1, 0], [0, 1, 0, 0]]
    rounds = round_connectivity(*with_rounds(weights, masks, train_ticket=False))
    assert rounds.angular_distance.loc[1, 2] == 0
    assert rounds.sign_agreement.loc[1, 2] == 1
    assert rounds.angular_distance.loc[2, 3] == 2
    assert np.isnan(rounds.angular_distance.loc[1, 3])
    assert np.isnan(rounds.sign_agreement.loc[1, 3])
    assert rounds.mask_overlap.loc[1].tolist() == pytest.approx([1, 2 / 3, 0])


def test_weights_by_hand():
    weights, masks = [[3.0, -1.0, 2.0, 0.5], [4.0, 0.0, -0.25, 0.0]], [[1, 0, 1, 0], [1, 0, 0, 0]]
    pruner, X, _ = with_rounds(weights, masks)
    rounds = round_connectivity(pruner, X, [0, 0, 0, 1])
    table = rounds.weights
    assert table.index.tolist() == [1, 2, "final"]
    assert table["density"].tolist() == [1, 0.5, 0.25]
    assert table["threshold"].tolist()[:2] == [1, 0.25]
    assert np.isnan(table.loc["final", "threshold"])
    assert table["mean_magnitude"].tolist()[:2] == [1.625, 2.125]
    assert table["median_magnitude"].tolist()[:2] == [1.5, 2.125]
    assert table["error"].tolist()[:2] == [(9 + 1 + 4 + 0.25) / 4, (16 + 1 / 16 + 1) / 4]
    assert rounds.trained[2].tolist() == [4, -0.25]


def test_histograms_count_what_each_round_trained():
    weights, masks = [[3.0, -1.0, 2.0, 0.5], [4.0, 0.0, -0.25, 0.0]], [[1, 0, 1, 0], [1, 0, 0, 0]]
    rounds = round_connectivity(*with_rounds(weights, masks, train_ticket=False))
    counts = rounds.histogram([-2, 0, 3, 5])
    assert counts[1].tolist() == [1, 2, 1]
    assert counts[2].tolist() == [1, 0, 1]
    assert counts.index[1] == pd.Interval(0, 3, closed="left")
    assert rounds.histogram(7).sum().tolist() == [4, 2]


def test_barrier_by_hand():
    # relu(x) on one hidden unit and relu(x) / 2 on the other: half way, 1/4 + 1/8 of it.
    net = make_net("regressor", module=partial(MLP, hidden=(2,)), max_epochs=1)
    X = np.ones((3, 1), dtype="float32")
    pruner = IterativeMagnitudePruner(
        net, n_rounds=2, sparsity=0, store_rounds=True, train_ticket=False, random_state=0
    ).fit(X, X[:, 0])
    for unit, record in enumerate(pruner.rounds_):
        state = {name: torch.zeros_like(value) for name, value in record["state"].items()}
        state["layers.0.weight"][unit, 0] = 1
        state["layers.1.weight"][0, unit] = [1, 0.5][unit]
        record["state"] = state
    rounds = round_connectivity(pruner, X, X[:, 0], n_points=3)
    height = (5 / 8) ** 2 - (1 / 2) ** 2 / 2
    assert rounds.barrier.to_numpy().tolist() == [[0, height], [height, 0]]
    assert repr(rounds) == "RoundConnectivity(2 networks, largest barrier 0.266)"

    def absolute(y_true, y_pred):
        return np.abs(y_true - y_pred).max()

    rounds = round_connectivity(pruner, X, X[:, 0], n_points=3, metric=absolute)
    assert rounds.barrier.loc[1, 2] == 5 / 8 - 1 / 4


def test_fitted_pruner_is_compared_round_by_round(fitted, data):
    rounds = round_connectivity(fitted, *data, n_points=5)
    tables = [
        rounds.barrier,
        rounds.angular_distance,
        rounds.sign_agreement,
        rounds.mask_overlap,
    ]
    for table, itself in zip(tables, [0, 0, 1, 1], strict=True):
        assert table.index.tolist() == table.columns.tolist() == [1, 2, "final"]
        assert np.array_equal(table, table.T)
        assert (np.diag(table) == itself).all()
    assert rounds.mask_overlap.loc[1, "final"] == pytest.approx(0.5, abs=0.01)
    assert (rounds.barrier.to_numpy()[np.triu_indices(3, 1)] > 0).any()
    assert rounds.angular_distance.loc[2, "final"] > 0
    # Labels are strings: the network's outputs are decoded.
    assert rounds.weights.loc["final", "error"] == pytest.approx(1 - fitted.score(*data))
    assert rounds.weights["density"].tolist() == pytest.approx([1, 0.5, 0.25], abs=0.01)


def test_learned_masks_have_rounds_too(data):
    pruner = ContinuousSparsificationPruner(
        make_net("classifier", max_epochs=1), sparsity=0.5, n_rounds=2, store_rounds=True
    )
    pruner.set_params(train_ticket=False, random_state=0).fit(*data)
    rounds = round_connectivity(pruner, *data, n_points=2)
    assert rounds.barrier.index.tolist() == [1, 2]
    assert rounds.mask_overlap.loc[1, 2] == pruner.mask_.n_kept / pruner.rounds_[0]["n_kept"]
    assert np.isfinite(rounds.weights).all(axis=None)


def test_normalization_is_estimated_on_the_training_data(data):
    X, y = data
    net = make_net("classifier", module=Normalized, max_epochs=1)
    pruner = IterativeMagnitudePruner(net, sparsity=0.5, n_rounds=2, store_rounds=True)
    pruner.set_params(random_state=0).fit(X, y)
    for record in pruner.rounds_:
        record["state"]["normalize.running_mean"].fill_(1e3)  # of no account
    before = copy.deepcopy(pruner.estimator_.module_.state_dict())
    reference = round_connectivity(pruner, X, y, n_points=3)
    shifted = round_connectivity(pruner, X + 10, y, n_points=3)
    pd.testing.assert_frame_equal(shifted.weights, reference.weights)
    unseen = round_connectivity(pruner, X + 10, y, n_points=3, X_train=X)
    assert (unseen.weights["error"] != reference.weights["error"]).all()
    assert all(
        torch.equal(value, before[name])
        for name, value in pruner.estimator_.module_.state_dict().items()
    )


def test_rounds_must_have_been_stored(data):
    pruner = IterativeMagnitudePruner(make_net("classifier", max_epochs=1), sparsity=0.5)
    pruner.set_params(n_rounds=1, random_state=0)
    with pytest.raises(NotFittedError):
        round_connectivity(pruner, *data)
    with pytest.raises(ValueError, match=r"IterativeMagnitudePruner .* store_rounds=True"):
        round_connectivity(pruner.fit(*data), *data)


def test_data_must_fit_together(fitted, data):
    X, y = data
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        round_connectivity(fitted, X, y[:-1])
    with pytest.raises(ValueError, match="n_points must be at least 2"):
        round_connectivity(fitted, X, y, n_points=1)
