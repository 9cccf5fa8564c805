"""Fits that begin with the same gradient compute it once, and find what each finds alone."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import FORCEPruner, GraSPPruner, SNIPPruner
from sklearn_tickets.pruners.base import BatchLosses, masked_leaves, total_gradient
from sklearn_tickets.pruners.base import _gradients as gradients
from sklearn_tickets.pruners.base._shared_gradients import shared_gradients
from tests.searches import CIRCLE, check_same, make_net


@pytest.fixture
def count(monkeypatch):
    """The number of batches that are differentiated."""
    calls = []
    compute = gradients.gradient

    def counted(*args, **kwargs):
        calls.append(1)
        return compute(*args, **kwargs)

    monkeypatch.setattr(gradients, "gradient", counted)
    return lambda: len(calls)


@pytest.mark.parametrize("pruner_class", [SNIPPruner, GraSPPruner, FORCEPruner])
def test_candidates_of_a_seed_share_their_first_gradient(pruner_class, count):
    net = CIRCLE.make_net(max_epochs=1)
    rounds = {"n_rounds": 2} if pruner_class is FORCEPruner else {}
    pruner = pruner_class(net, prune_bias=True, **rounds)
    check_same(pruner, {"random_state": [0, 1], "sparsity": [0.1, 0.2, 0.3]})
    # Of 12 fits, 4 differ in the seed or the fold. Only the first gradient is the same.
    first, other = {SNIPPruner: (1, 0), GraSPPruner: (1, 1), FORCEPruner: (1, 1)}[pruner_class]
    assert count() == (4 + 12) * first + (12 + 12) * other


class Plain(nn.Module):
    """A linear network."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 4)

    def forward(self, X):
        return self.linear(X)


class Counting(Plain):
    """A network that counts its calls, and changes with them."""

    n_calls = 0

    def forward(self, X):
        self.n_calls += 1
        return super().forward(X) * self.n_calls


class Random(Plain):
    """A network whose outputs are random, also in evaluation mode."""

    def forward(self, X):
        return super().forward(X) + torch.randn(())


class OwnLoss(NeuralNetClassifier):
    """A net with a loss of its own."""

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return super().get_loss(y_pred, y_true, *args, **kwargs) * self.factor


class Hiding(nn.CrossEntropyLoss):
    """A criterion whose pickle leaves out what it depends on."""

    factor = 1.0

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "factor"}

    def forward(self, output, target):
        return self.factor * super().forward(output, target)


def losses_of(net, **settings):
    """The losses on the circle, at the weights of a net."""
    leaves = masked_leaves(net, TicketMask.ones_like(net.module_))
    X, y = CIRCLE.X[:8], CIRCLE.y[:8]
    return BatchLosses(net, leaves, **{"X": X, "y": y} | settings)


def gradient_of(losses):
    return total_gradient(losses.parameters, losses)["linear.weight"]


def initialize(module=Plain, cls=NeuralNetClassifier, **settings):
    torch.manual_seed(0)
    return cls(module, **{"criterion": nn.CrossEntropyLoss} | settings).initialize()


def test_what_is_found_is_a_copy(count):
    found = {}
    for _ in range(3):
        with shared_gradients(found):
            gradient = gradient_of(losses_of(initialize()))
            expected = gradient.clone()
            gradient.zero_()
    torch.testing.assert_close(expected, gradient_of(losses_of(initialize())))
    assert count() == 2
    assert expected.any()


@pytest.mark.parametrize(
    "other",
    [
        lambda net: losses_of(net, X=CIRCLE.X[8:16]),
        lambda net: losses_of(net, y=1 - CIRCLE.y[:8] % 2),
        lambda net: losses_of(net, sample_weight=np.arange(8.0)),
        lambda net: losses_of(net, temperature=2.0),
        lambda net: losses_of(net, batch_size=3),
        lambda net: losses_of(initialize(Counting)),
        lambda net: losses_of(initialize(criterion__label_smoothing=0.1)),
    ],
    ids=["inputs", "targets", "weights", "temperature", "batches", "module", "criterion"],
)
def test_gradients_of_anything_else_are_their_own(other):
    net, found = initialize(), {}
    with shared_gradients(found):
        gradient_of(losses_of(net))
    torch.manual_seed(0)
    expected = gradient_of(other(net))
    with shared_gradients(found):
        torch.testing.assert_close(gradient_of(other(net)), expected, rtol=0, atol=0)


@pytest.mark.parametrize("module", [Counting, Random])
def test_what_changes_anything_is_computed_each_time(module, count):
    found = {}
    for _ in range(2):
        with shared_gradients(found):
            gradient_of(losses_of(initialize(module)))
    assert (count(), found) == (2, {})


def test_losses_of_other_nets_may_depend_on_anything():
    net, found = initialize(cls=OwnLoss), {}
    for factor in (1, 2):
        net.factor = factor
        with shared_gradients(found):
            gradient = gradient_of(losses_of(net))
    net.factor = 1
    torch.testing.assert_close(gradient, 2 * gradient_of(losses_of(net)))


def test_what_a_pickle_leaves_out_may_differ():
    found = {}
    for factor in (1, 2):
        net = initialize(criterion=Hiding)
        net.criterion_.factor = factor
        with shared_gradients(found):
            gradient = gradient_of(losses_of(net))
    net.criterion_.factor = 1
    torch.testing.assert_close(gradient, 2 * gradient_of(losses_of(net)))


def test_what_cannot_be_compared_is_computed_each_time(count):
    found = {}
    for _ in range(2):
        net = make_net(Plain).initialize()
        net.module_.activation = lambda X: X
        with shared_gradients(found):
            gradient_of(losses_of(net))
    assert (count(), found) == (2, {})
