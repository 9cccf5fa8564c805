"""Relaxed Bernoulli gates: their distribution, and what they may cost."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score

from sklearn_tickets.pruners import BernoulliGatePruner
from sklearn_tickets.pruners._bernoulli_gate import _ClippedNormal
from tests.instances import make_net


def test_clipped_normal_gates():
    torch.manual_seed(0)
    gates = _ClippedNormal(torch.full((100_000,), 0.3), penalty=1.0, density=None, noise=0.5)
    assert (gates().gate > 0).float().mean().item() == pytest.approx(0.7257, abs=0.005)
    assert gates.expected()[0].item() == pytest.approx(0.3)


def test_two_steps_share_noise_and_penalty():
    gates = _ClippedNormal(torch.full((1000,), 0.5), penalty=1.0, density=0.1, noise=0.1)
    for _ in range(2):
        first, second = gates(), gates()
        np.testing.assert_allclose((first.gate + second.gate) / 2, 0.5, rtol=1e-6)
        assert first.gate.std().item() == pytest.approx(0.1, rel=0.1)
        assert second.pull is first.pull
    assert (first.gate != gates().gate).all()


def test_the_free_density_falls_to_its_target_in_the_first_half():
    gates = _ClippedNormal(torch.zeros(2), penalty=1.0, density=0.25, noise=0.5)
    free = []
    for epoch in (1, 2, 3, 4):
        gates.begin_epoch(epoch, 4)
        free.append(gates.density)
    assert free == [0.5, 0.25, 0.25, 0.25]
    gates.begin_epoch(1, 1)
    assert gates.density == 0.25


def test_the_free_density_falls_from_that_of_the_mask():
    gates = _ClippedNormal(torch.zeros(2), penalty=1.0, density=1 / 8, initial=0.5, noise=0.5)
    gates.begin_epoch(1, 4)
    assert gates.density == pytest.approx(0.25)


def test_without_a_density_nothing_is_free():
    gates = _ClippedNormal(torch.zeros(2), penalty=1.0, density=None, noise=0.5)
    gates.begin_epoch(1, 4)
    assert gates.density is None


@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0, 1e6])
def test_the_penalty_pulls_at_most_half_as_much_as_the_loss(size):
    gates = _ClippedNormal(torch.zeros(2), penalty=1.0, density=0.1, noise=1.0)
    full = gates().pull
    gates.ceiling = 0.5
    task = torch.tensor([size, 0.0])
    pull = gates.balance(task, full) - task
    expected = full * min(1.0, 0.5 * size / full.norm().item())
    np.testing.assert_allclose(pull, expected, rtol=1e-2 if size == 1e-6 else 1e-5, atol=0.1 * size)


@pytest.mark.parametrize("seed", [0, 1])
def test_short_trainings_find_strong_tickets_of_digits(seed):
    """132 steps; a fixed penalty of 10 closed all gates before the loss was felt (.25)."""
    X, y = load_digits(n_class=4, return_X_y=True)
    X = X / 16
    net = make_net("classifier", batch_size=32, max_epochs=6, lr=3e-3)
    pruner = BernoulliGatePruner(net, sparsity=0.8, random_state=seed).fit(X, y)
    assert accuracy_score(y, pruner.strong_predict(X)) > 0.6
