"""SynFlow: its scores by hand, and a module without flow."""

import pytest
import torch
from sklearn.datasets import make_regression

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import SynFlowPruner
from tests.instances import X_SMALL, Y_SMALL, Softmax, make_net, score_of, two_layer_net


def test_half_of_a_small_network_is_kept_as_by_hand():
    # Flow through each weight: 1*5 2*5 3*6 4*6, 5*(1+2) 6*(3+4)
    pruner = SynFlowPruner(two_layer_net(), sparsity=0.5, n_rounds=1, train_ticket=False)
    pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_ == TicketMask({"0.weight": [[0, 0], [1, 1]], "2.weight": [[0, 1]]})


def test_synflow_scores_are_the_flow_through_each_weight():
    scores = score_of(SynFlowPruner(two_layer_net()), X_SMALL, Y_SMALL)
    assert scores == {"0.weight": [5, 10, 18, 24], "2.weight": [15, 42]}


def test_synflow_refuses_a_softmax_in_a_regressor():
    X, y = make_regression(n_samples=40, n_features=5, n_targets=3, random_state=0)
    net = make_net("regressor", module=Softmax)
    with pytest.raises(ValueError, match="softmax inside"):
        SynFlowPruner(net).fit(X, y)


def test_an_excluded_layer_takes_part_with_its_absolute_weights():
    net = two_layer_net().initialize()
    with torch.no_grad():
        net.module_[2].weight.copy_(torch.tensor([[-5.0, 6.0]]))
    mask = TicketMask.ones_like(net.module_, exclude=["2.*"])
    scores = SynFlowPruner(net)._score(net, mask, X_SMALL, Y_SMALL)
    # Flow through each weight: 1*5 2*5 3*6 4*6. Signed, it would be -5 -10 18 24.
    assert scores["0.weight"].flatten().tolist() == [5, 10, 18, 24]
