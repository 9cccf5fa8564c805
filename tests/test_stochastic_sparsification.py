"""Stochastic sparsification: its gates on average."""

import math

import pytest
import torch

from sklearn_tickets.pruners._stochastic_sparsification import _DrawnGates


def test_drawn_gates_are_the_soft_ones_on_average():
    torch.manual_seed(0)
    gates = _DrawnGates(
        torch.full((20_000,), -0.5), penalty=0.0, density=None, initial=-0.5, final_temperature=10.0
    )
    gates.begin_epoch(1, 2)
    drawn = gates().gate
    scale = 1 + math.exp(0.5)
    assert drawn.unique().tolist() == pytest.approx([0, scale])
    assert drawn.mean().item() == pytest.approx(1, abs=0.02)
    assert gates.expected().tolist()[0] == pytest.approx(1)
