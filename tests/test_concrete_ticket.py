"""Concrete tickets: gates and divergence by hand, and what is found."""

import math

import numpy as np
import pytest
import torch

from sklearn_tickets.pruners import ConcreteTicketPruner
from sklearn_tickets.pruners._concrete_ticket import _Concrete, _reverse_kl
from tests.instances import linear_net, make_net, small_data


@pytest.fixture
def data():
    return small_data()


def test_concrete_gates_pull_only_while_too_many_are_open():
    task = torch.tensor([3.0, 4.0])
    few = _Concrete(torch.tensor([-3.0, -3.0]), density=0.5, temperature=1.0)
    assert few().pull is None
    many = _Concrete(torch.tensor([2.0, 2.0]), density=0.5, temperature=1.0)
    # As strong as the loss's gradient (5), and equal for both.
    expected = task + 5 / math.sqrt(2)
    assert many.balance(task, many().pull).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_reverse_kl_by_hand():
    sparse, dense = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert _reverse_kl(sparse, dense, "mean").item() == pytest.approx(expected)
    # A single logit is that of class 1 against 0.
    one = _reverse_kl(torch.zeros(1), torch.tensor([-math.log(3.0)]), "mean")
    assert one.item() == pytest.approx(expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_distance_is_reduced_as_the_loss_is(data, reduction):
    X, y = data
    net = make_net("classifier", criterion__reduction=reduction)
    pruner = ConcreteTicketPruner(net, train_ticket=False, random_state=0).fit(X, y)
    losses = [record["train_loss"] for record in pruner.rounds_]
    pruner.fit(X, y, sample_weight=np.ones(len(y)))
    assert [record["train_loss"] for record in pruner.rounds_] == pytest.approx(losses, rel=1e-4)


def test_concrete_tickets_keep_what_the_dense_network_needs():
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    net = linear_net([3.0, 0.1, -2.0, 0.2], max_epochs=10)
    pruner = ConcreteTicketPruner(net, sparsity=0.5, train_ticket=False, random_state=0)
    # The labels do not matter.
    pruner.fit(X, X[:, 1])
    assert pruner.mask_["weight"].tolist() == [[True, False, True, False]]


def test_concrete_tickets_can_be_searched_after_warming_up(data):
    net = make_net("classifier", max_epochs=3)
    pruner = ConcreteTicketPruner(
        net, round_epochs=3, rewind_epoch=2, train_ticket=False, random_state=0
    ).fit(*data)
    assert len(pruner.estimator_.history) == 2
