"""Gates: what they pay for being open."""

import copy
import math

import numpy as np
import pytest
import torch

from sklearn_tickets.pruners._bernoulli_gate import _ClippedNormal
from sklearn_tickets.pruners._concrete_ticket import _Concrete
from sklearn_tickets.pruners._continuous_sparsification import SoftGates
from sklearn_tickets.pruners._edge_popup import BestScored
from sklearn_tickets.pruners._gem_miner import _Rounded
from sklearn_tickets.pruners._hard_concrete import _HardConcrete
from tests.instances import layout_of


@pytest.mark.parametrize(
    ("gates", "penalty"),
    [
        (
            SoftGates(
                torch.zeros(5), penalty=2.0, density=None, initial=0.0, final_temperature=100.0
            ),
            lambda gates: torch.sigmoid(gates.temperature * gates.scores).mean(),
        ),
        (
            _HardConcrete(torch.zeros(5), penalty=2.0, density=None, temperature=0.5),
            lambda gates: torch.sigmoid(gates.scores - 0.5 * math.log(0.1 / 1.1)).mean(),
        ),
        (
            _ClippedNormal(torch.zeros(5), penalty=2.0, density=None, noise=0.3),
            lambda gates: torch.special.ndtr(gates.scores / 0.3).mean(),
        ),
        (
            _Rounded(
                torch.zeros(5), layout=layout_of((1, 5)), density=0.5, penalty=2.0, freeze_every=1
            ),
            lambda gates: (gates.scores**2).mean(),
        ),
    ],
    ids=["soft", "hard concrete", "clipped normal", "rounded"],
)
def test_penalties_are_as_documented(gates, penalty):
    gates.begin_epoch(2, 3)
    gates.scores = torch.linspace(-0.2, 0.9, 5, requires_grad=True)
    (expected,) = torch.autograd.grad(2.0 * penalty(gates), gates.scores)
    gates.scores = gates.scores.detach()
    found = gates().pull
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize(
    "gates",
    [
        SoftGates(torch.zeros(4), penalty=1.0, density=None, initial=0.0, final_temperature=100.0),
        _HardConcrete(torch.zeros(4), penalty=1.0, density=None, temperature=0.5),
        _ClippedNormal(torch.zeros(4), penalty=1.0, density=None, noise=0.3),
        _Concrete(torch.zeros(4), density=0.1, temperature=0.5),
        BestScored(torch.zeros(4), layout=layout_of((1, 4)), density=0.5, anneal=True),
        _Rounded(torch.ones(4), layout=layout_of((1, 4)), density=0.5, penalty=1, freeze_every=1),
    ],
    ids=["soft", "hard concrete", "clipped normal", "concrete", "best scored", "rounded"],
)
def test_closed_gates_stay_closed(gates):
    closed = torch.tensor([False, True, False, True])
    gates.close_(closed)
    gates.begin_epoch(1, 1)
    optimizer = gates.optimizer()
    for _ in range(20):
        gate, slope, pull = gates()
        assert not gate[closed].any()
        assert not gates.expected()[closed].any()
        task = torch.zeros(4) if slope is None else slope - 1
        optimizer.step([task if pull is None else gates.balance(task, pull)], lr=0.1)
        gates.project_()


@pytest.mark.parametrize(
    "gates",
    [
        SoftGates(torch.zeros(4), penalty=1.0, density=None, initial=0.0, final_temperature=100.0),
        _HardConcrete(torch.zeros(4), penalty=1.0, density=None, temperature=0.5),
        _ClippedNormal(torch.zeros(4), penalty=1.0, density=None, noise=0.3),
    ],
    ids=["soft", "hard concrete", "clipped normal"],
)
def test_the_openness_counts_all_parameters(gates):
    gates.begin_epoch(1, 1)
    whole = copy.deepcopy(gates)().pull
    gates.close_(torch.tensor([False, True, False, True]))
    # The mean is over all four, and may be half as large now.
    assert gates().pull.tolist() == pytest.approx((whole * torch.tensor([1, 0, 1, 0])).tolist())


def test_what_may_be_open_is_free():
    gates = _ClippedNormal(torch.tensor([0.0, 0.0]), penalty=1.0, density=0.6, noise=1.0)
    assert copy.deepcopy(gates)().pull is None
    gates.density = 0.4
    slope = 1 / math.sqrt(2 * math.pi) / 2
    assert gates().pull.tolist() == pytest.approx([slope, slope])


@pytest.mark.parametrize(
    "gates",
    [
        SoftGates(torch.zeros(9), penalty=1.0, density=None, initial=0.1, final_temperature=100.0),
        _HardConcrete(torch.zeros(9), penalty=1.0, density=None, temperature=0.5),
        _ClippedNormal(torch.zeros(9), penalty=1.0, density=None, noise=0.3),
        _Concrete(torch.zeros(9), density=0.1, temperature=0.5),
    ],
    ids=["soft", "hard concrete", "clipped normal", "concrete"],
)
def test_slopes_are_derivatives(gates):
    gates.begin_epoch(2, 3)

    def at(scores):
        first = copy.deepcopy(gates)
        first.scores = scores
        return first(torch.Generator().manual_seed(0))

    scores, step = torch.linspace(-0.4, 1.3, 9), 1e-3
    expected = (at(scores + step).gate - at(scores - step).gate) / (2 * step)
    torch.testing.assert_close(at(scores).slope, expected, rtol=2e-3, atol=2e-3)
