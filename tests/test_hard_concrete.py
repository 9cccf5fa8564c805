"""Hard concrete gates: closed, open or between."""

import math

import pytest
import torch

from sklearn_tickets.pruners._hard_concrete import _HardConcrete


def test_hard_concrete_gates_are_closed_open_or_between():
    torch.manual_seed(0)
    gates = _HardConcrete(torch.full((100_000,), 0.5), penalty=1.0, density=None, temperature=2 / 3)
    z = gates().gate
    assert (z == 0).any()
    assert (z == 1).any()
    expected = torch.sigmoid(torch.tensor(0.5 - 2 / 3 * math.log(0.1 / 1.1)))
    assert (z > 0).float().mean().item() == pytest.approx(expected.item(), abs=0.005)
    assert gates.expected()[0].item() == pytest.approx(1.2 / (1 + math.exp(-0.5)) - 0.1)
    # The threshold is where the gate without noise opens.
    at_threshold = _HardConcrete(
        torch.tensor([gates.threshold]), penalty=1.0, density=None, temperature=2 / 3
    )
    assert at_threshold.expected().item() == pytest.approx(0, abs=1e-6)
