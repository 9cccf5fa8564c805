"""Relaxed Bernoulli gates: their distribution."""

import pytest
import torch

from sklearn_tickets.pruners._bernoulli_gate import _ClippedNormal


def test_clipped_normal_gates():
    torch.manual_seed(0)
    gates = _ClippedNormal(torch.full((100_000,), 0.3), penalty=1.0, density=None, noise=0.5)
    assert (gates() > 0).float().mean().item() == pytest.approx(0.7257, abs=0.005)
    assert gates.expected()[0].item() == pytest.approx(0.3)
