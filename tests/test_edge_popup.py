"""Edge-popup: the weights it finds, biases, and layers that stay."""

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import EdgePopupPruner
from tests.instances import linear_net, make_net, small_data, weights


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
