"""SynFlow: its scores by hand, and a module without flow."""

import pytest
import torch
from sklearn.datasets import make_regression
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import SynFlowPruner
from tests.instances import (
    X_SMALL,
    Y_SMALL,
    Softmax,
    assert_refused,
    make_net,
    run_of,
    score_of,
    two_layer_net,
)


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
    scores = SynFlowPruner(net)._score(run_of(net, X_SMALL, Y_SMALL, mask=mask))
    # Flow through each weight: 1*5 2*5 3*6 4*6. Signed, it would be -5 -10 18 24.
    assert scores["0.weight"].flatten().tolist() == [5, 10, 18, 24]


class Factors(nn.Module):
    """A matrix, a factor for all outputs, and a parameter that is added to them."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        self.tau = nn.Parameter(torch.tensor(-0.5))
        self.shift = nn.Parameter(torch.tensor([7.0, 7.0]))

    def forward(self, x):
        return x @ self.W * self.tau + self.shift


class ScaledBranch(Factors):
    def forward(self, x):
        return 2 * x - self.tau * (x @ self.W)


class DividedWeight(Factors):
    def forward(self, x):
        return nn.functional.linear(x, self.W.mT / -2, self.shift)


class Sine(Factors):
    def forward(self, x):
        return (x @ self.W).sin() * self.tau


class ChannelFactor(Factors):
    def forward(self, x):
        return nn.functional.conv1d(x[..., None], self.W.mT[..., None]).squeeze(-1) / self.tau / 4


@pytest.mark.parametrize("module", [Factors, ScaledBranch, DividedWeight, Sine, ChannelFactor])
def test_parameters_that_multiply_are_no_biases(module):
    """The factor is 1/2 in each of them."""
    net = make_net("regressor", module=ModuleTemplate(module()))
    scores = score_of(SynFlowPruner(net), X_SMALL, Y_SMALL)
    assert scores == {"W": [0.5, 1, 1.5, 2]}


class Indexed(nn.Module):
    """Layers that look up, remember, attend, or have a branch."""

    def __init__(self, forward, **parts):
        super().__init__()
        self.parts, self.last, self.function = nn.ModuleDict(parts), nn.Linear(6, 1), forward

    def forward(self, x):
        return self.last(self.function(self.parts, x))


UNKNOWN = {
    "embedding": Indexed(lambda p, x: p["e"](x.long()).flatten(1), e=nn.Embedding(3, 3)),
    "gru": Indexed(lambda p, x: p["r"](x[:, None])[0].flatten(1), r=nn.GRU(2, 6, batch_first=True)),
    "lstm": Indexed(
        lambda p, x: p["r"](x[:, None])[0].flatten(1), r=nn.LSTM(2, 6, batch_first=True)
    ),
    "multi_head_attention_forward": Indexed(
        lambda p, x: p["a"](x[:, None], x[:, None], x[:, None])[0].flatten(1).repeat(1, 3),
        a=nn.MultiheadAttention(2, 1, batch_first=True),
    ),
    "cdist": Indexed(
        lambda p, x: p["f"](torch.cdist(x, torch.eye(2).to(x.dtype))), f=nn.Linear(2, 6)
    ),
    "bool": Indexed(lambda p, x: p["f"](x if x.sum() > 0 else -x), f=nn.Linear(2, 6)),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_networks_without_known_flow_are_refused_before_they_are_trained(name):
    net = make_net("regressor", module=ModuleTemplate(UNKNOWN[name]), iterator_train=None)
    pruner = SynFlowPruner(net, round_epochs=1)
    assert_refused(pruner, (X_SMALL, Y_SMALL), f"cannot follow the flow through {name} inside")
