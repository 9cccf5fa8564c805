"""Reading strong tickets: on which rows, on how many, and when."""

import pickle

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets.pruners import RandomPruner
from sklearn_tickets.pruners.base import _strong_ticket
from sklearn_tickets.pruners.base._strong_ticket import rows_to_read


@pytest.mark.parametrize("n_rows", [1, 2, 9_999, 10_000])
def test_all_of_few_rows_are_read(n_rows):
    y = np.random.RandomState(0).randint(3, size=n_rows)
    np.testing.assert_array_equal(rows_to_read(y, 10_000), np.arange(n_rows))


def test_many_rows_are_thinned_out_and_classes_keep_their_shares():
    """Also if every second row is of the same class, and if rows are sorted."""
    y = np.arange(40_000) % 4
    for order in (y, np.sort(y), np.random.RandomState(0).permutation(y)):
        rows = rows_to_read(order, 10_000)
        assert len(np.unique(rows)) == 10_000
        np.testing.assert_array_equal(np.sort(rows), rows)
        np.testing.assert_allclose(np.bincount(order[rows]), 2500, atol=1)
    assert len(rows_to_read(np.zeros((20_001, 2)), 128)) == 128


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_targets_in_columns_keep_their_shares_though_they_alternate(n_outputs):
    """With 19,999 rows, every second one would be chosen."""
    y = np.repeat(np.arange(19_999)[:, None] % 2, n_outputs, axis=1)
    assert y[rows_to_read(y, 10_000)].mean() == pytest.approx(0.5, abs=1e-3)


def make_normalized(n_features, n_outputs, width):
    """A network with normalization."""
    return nn.Sequential(
        nn.Linear(n_features, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, n_outputs)
    )


def fit(n_features, width):
    """A fitted pruner, and its data."""
    X = np.random.RandomState(0).randn(300, n_features).astype("float32")
    y = np.arange(300) % 3
    net = NeuralNetClassifier(
        make_normalized,
        module__width=width,
        criterion=nn.CrossEntropyLoss,
        train_split=None,
        max_epochs=1,
        verbose=0,
    )
    return RandomPruner(net, sparsity=0.5, random_state=0).fit(X, y), X, y


@pytest.mark.parametrize(("n_features", "n_read"), [(900, 300), (1000, 128)])
def test_statistics_of_large_networks_are_those_of_some_rows(n_features, n_read):
    pruner, X, y = fit(n_features, width=1000)
    first = pruner.mask_.apply(pruner.initial_state_)
    rows = torch.from_numpy(X[rows_to_read(y, n_read)])
    hidden = nn.functional.linear(rows, first["0.weight"], first["0.bias"])
    found = pruner.strong_statistics_
    torch.testing.assert_close(
        found["1.running_mean"].float(), hidden.mean(dim=0), rtol=1e-4, atol=1e-4
    )
    assert pruner.output_scale_.shape == (3,)


@pytest.fixture
def readings(monkeypatch):
    """A list that grows with each strong ticket that is read."""
    calls = []
    infer = _strong_ticket.infer
    monkeypatch.setattr(_strong_ticket, "infer", lambda *args: calls.append(1) or infer(*args))
    return calls


@pytest.mark.parametrize("width", [10, 1000])
def test_tickets_are_read_when_first_asked_for(width, readings):
    pruner, X, y = fit(1000, width)
    pruner.score(X, y)
    assert not readings
    assert pruner.output_scale_.shape == (3,)
    assert pruner.temperature_ > 0
    assert len(readings) == 1


def test_many_numbers_are_read_at_once_rather_than_held(readings, monkeypatch):
    monkeypatch.setattr(_strong_ticket, "_MAX_HELD_BYTES", 300 * 8 * 4)
    fit(8, width=10)
    assert not readings
    fit(9, width=10)
    assert len(readings) == 1


@pytest.mark.parametrize("width", [10, 1000])
def test_they_are_read_on_the_data_of_the_fit_even_if_these_change_later(width):
    expected = fit(1000, width)[0].output_scale_
    pruner, X, _ = fit(1000, width)
    X[:] = 0
    np.testing.assert_array_equal(pruner.output_scale_, expected)


@pytest.mark.parametrize("width", [10, 1000])
def test_pickles_hold_the_reading_and_no_data(width):
    pruner, X, _ = fit(1000, width)
    pickled = pickle.dumps(pruner)
    assert X[0].tobytes() not in pickled
    found = pickle.loads(pickled)
    np.testing.assert_array_equal(found.output_scale_, pruner.output_scale_)
    np.testing.assert_array_equal(found.strong_predict(X), pruner.strong_predict(X))


class Reciprocals(nn.Module):
    """Finite outputs in training only."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.linear = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.linear(X) / (1 if self.training else (X[:, :1] - 1).abs())


def test_outputs_that_are_not_finite_have_no_scale():
    X = np.random.RandomState(0).randn(100, 4).astype("float32")
    X[60, 0] = 1
    net = NeuralNetRegressor(Reciprocals, train_split=None, max_epochs=1, verbose=0)
    pruner = RandomPruner(net, sparsity=0.5, random_state=0).fit(X, X[:, 1])
    for read in (pruner, pickle.loads(pickle.dumps(pruner))):
        assert np.isfinite(read.predict(X[:50])).all()
        with pytest.raises(ValueError, match=r"no output_scale_: .* not finite for some rows"):
            read.strong_predict(X)
