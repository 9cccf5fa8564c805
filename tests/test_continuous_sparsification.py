"""Continuous sparsification: its gates by hand, its densities and rounds."""

import math

import pytest
import torch
from sklearn.datasets import load_digits

from sklearn_tickets.pruners import ContinuousSparsificationPruner
from sklearn_tickets.pruners._continuous_sparsification import SoftGates
from tests.instances import make_net, small_data


@pytest.fixture
def data():
    return small_data()


def test_soft_gates_start_open_and_harden():
    gates = SoftGates(
        torch.zeros(2), penalty=0.0, density=None, initial=0.0, final_temperature=100.0
    )
    gates.begin_epoch(1, 3)
    assert gates().gate.tolist() == [1.0, 1.0]
    with torch.no_grad():
        gates.scores.copy_(torch.tensor([0.5, -0.5]))
    gates.begin_epoch(2, 3)
    assert gates.temperature == pytest.approx(10)
    assert gates().gate.tolist() == pytest.approx([2 / (1 + math.exp(-5)), 2 / (1 + math.exp(5))])
    gates.begin_epoch(3, 3)
    assert gates().gate.tolist() == pytest.approx([2, 0], abs=1e-6)
    gates.begin_round(None)
    assert gates.scores.tolist() == [0.0, -50.0]
    gates.begin_round(None)
    gates.close_(torch.tensor([True, False]))
    assert gates().gate.tolist() == [0.0, 0.0]


def test_density_rises_with_the_initial_scores():
    X, y = load_digits(return_X_y=True)
    net = make_net("classifier", max_epochs=3, lr=3e-3)
    densities = [
        ContinuousSparsificationPruner(
            net, sparsity=None, mask_init=init, train_ticket=False, random_state=0
        )
        .fit(X / 16, y)
        .mask_.density
        for init in (-0.3, -0.1, 0.0, 0.1, 0.3)
    ]
    assert densities == sorted(set(densities))


def test_rounds_are_nested_and_go_on_from_trained_weights(data):
    net = make_net("classifier", max_epochs=4)
    pruner = ContinuousSparsificationPruner(
        net, sparsity=0.75, n_rounds=3, train_ticket=False, random_state=0
    ).fit(*data)
    losses = [record["train_loss"] for record in pruner.rounds_]
    assert losses[1] < losses[0]
    assert [record["round"] for record in pruner.rounds_] == [1, 2, 3]
