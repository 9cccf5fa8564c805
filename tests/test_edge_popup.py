"""Edge-popup: the weights it finds, biases, and layers that stay."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets._random import seeded
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import EdgePopupPruner
from sklearn_tickets.pruners._edge_popup import BestScored, initial_scores
from sklearn_tickets.training import Layout
from tests.instances import layout_of, linear_net, make_net, small_data, weights


@pytest.fixture
def data():
    return small_data()


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


def gates_of(*scores, density, anneal=False):
    """Gates of weights with these scores."""
    layout = layout_of(*[(1, len(own)) for own in scores])
    joined = torch.tensor([score for own in scores for score in own])
    return BestScored(joined, layout=layout, density=density, anneal=anneal)


def test_the_best_entry_of_each_weight_is_open():
    gates = gates_of([0.9, 0.8], [0.2, 0.1], density=0.5)
    gates.begin_epoch(1, 1)
    assert gates().gate.tolist() == [1, 0, 1, 0]


def test_the_density_falls_to_its_target():
    gates = gates_of([float(i) for i in range(16)], density=1 / 16, anneal=True)
    n_open = []
    for epoch in (1, 2, 3, 4):
        gates.begin_epoch(epoch, 4)
        n_open.append(int(gates().gate.sum()))
    assert n_open == [8, 4, 2, 1]  # 16 rho^(i / E)


def test_the_density_falls_from_that_of_the_mask():
    mask = TicketMask({"weight": [[1] * 16 + [0] * 16]})
    layout = Layout(mask, "global")
    gates = BestScored(torch.linspace(0, 1, 32), layout=layout, density=1 / 32, anneal=True)
    gates.close_(layout.pruned)
    n_open = []
    for epoch in (1, 2, 3, 4):
        gates.begin_epoch(epoch, 4)
        n_open.append(int(gates().gate[:16].sum()))
    assert n_open == [8, 4, 2, 1]  # 32 (1/2)^(1 - i / E) (1/32)^(i / E)


def test_scores_are_trained_with_momentum_and_decay():
    gates = gates_of([1.0, -1.0], density=0.5)
    gates.begin_epoch(1, 1)
    optimizer = gates.optimizer()
    expected, velocity = torch.tensor([1.0, -1.0]), torch.zeros(2)
    for _ in range(3):
        optimizer.step([gates.balance(torch.ones(2), gates().pull)], lr=0.1)
        velocity = 0.9 * velocity + 1 + 5e-4 * expected
        expected = expected - 0.1 * velocity
    torch.testing.assert_close(gates.scores, expected)


@pytest.mark.parametrize(
    ("shape", "fan_in"), [((500, 16), 16), ((500, 4, 3, 3), 36), ((4000,), 4000)]
)
def test_initial_scores_are_uniform_and_smaller_with_more_inputs(shape, fan_in):
    with seeded(0, "cpu"):
        scores = initial_scores(torch.ones(shape)).flatten() * fan_in**0.5
    # Mean 1/2, deviation 12 ** -0.5, within four standard errors of 4000 draws or more.
    assert scores.min() >= 0
    assert 0.99 < scores.max() <= 1 + 1e-6
    assert abs(scores.mean() - 0.5) < 0.02
    assert abs(scores.std() - 12**-0.5) < 0.01
