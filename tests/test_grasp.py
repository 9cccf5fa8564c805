"""GraSP: its scores by hand, and against an explicit Hessian."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import GraSPPruner
from tests.instances import assert_refused, linear_net, make_net, score_of, small_data


@pytest.fixture
def data():
    return small_data()


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


def test_a_temperature_of_zero_is_refused(data):
    pruner = GraSPPruner(make_net("classifier"), temperature=0)
    assert_refused(pruner, data, "'temperature' parameter")
