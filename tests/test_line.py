"""Errors on the line between two states of a network."""

from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets.inspection import ModeConnectivity
from sklearn_tickets.inspection._line import error_at, error_function, errors_on_line
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner
from tests.instances import make_net


@pytest.fixture(scope="module")
def data():
    X = np.random.RandomState(0).uniform(-1, 1, (200, 3)).astype("float32")
    return X, np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


@pytest.fixture(scope="module")
def fitted(data):
    return GivenMaskPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)


class Shifted(nn.Module):
    """Multiplies by a weight and a buffer, and adds a whole number."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.register_buffer("factor", torch.ones(()))
        self.register_buffer("shift", torch.zeros((), dtype=torch.int64))

    def forward(self, X):
        return X * self.weight * self.factor + self.shift


def test_buffers_are_interpolated_unless_they_are_whole_numbers():
    X = np.ones((1, 1), dtype="float32")
    a = {"weight": torch.tensor(2.0), "factor": torch.tensor(1.0), "shift": torch.tensor(5)}
    b = {"weight": torch.tensor(4.0), "factor": torch.tensor(3.0), "shift": torch.tensor(9)}
    line = errors_on_line(Shifted(), a, b, X, lambda outputs: outputs.item(), n_points=3, X_train=X)
    assert line.alphas.tolist() == [0, 0.5, 1]
    assert line.errors.tolist() == [2 + 5, 3 * 2 + 5, 4 * 3 + 5]


def test_connectivity_is_a_value():
    alphas = np.array([0.0, 0.5, 1.0])
    line = ModeConnectivity(alphas, [0.1, 0.15, 0.16])
    assert line.barrier == pytest.approx(0.03)
    assert not line.is_stable()
    assert line.is_stable(0.04)
    assert repr(line) == "ModeConnectivity(barrier 0.03 on 3 points)"
    alphas[0] = 7
    assert line.alphas[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        line.errors[0] = 0
    with pytest.raises(AttributeError):
        line.errors = alphas


def test_line_ends_are_the_networks_themselves(data):
    X, _ = data
    a, b = MLP(3, 1), MLP(3, 1)
    evaluate = partial(np.sum, dtype=np.float64)
    line = errors_on_line(a, a.state_dict(), b.state_dict(), X, evaluate, n_points=4, X_train=X)
    ends = [error_at(a, net.state_dict(), X, evaluate, X_train=X) for net in (a, b)]
    assert line.errors[[0, -1]].tolist() == ends
    same = errors_on_line(a, a.state_dict(), a.state_dict(), X, evaluate, n_points=7, X_train=X)
    assert set(same.errors) == {ends[0]}


def test_outputs_of_nets_become_predictions(fitted):
    classifier, regressor = make_net("classifier"), make_net("regressor")
    outputs = np.array([[1.0, 2.0], [0.0, -1.0]])
    assert error_function(classifier, [1, 1])(outputs) == 0.5
    assert error_function(fitted, ["same", "same"])(outputs) == 0.5
    binary = NeuralNetBinaryClassifier(MLP, threshold=0.9)
    assert error_function(binary, [0, 1, 1])(np.array([[2.0], [2.5], [0.0]])) == pytest.approx(
        1 / 3
    )
    assert error_function(regressor, [[0, 0], [0, 0]])(outputs) == (1 + 4 + 1) / 4
    # One output has the shape of y, so that any metric will do.
    assert error_function(regressor, [1, 0], lambda y, p: abs(y - p).mean())(outputs[:, :1]) == 0
