"""Gem-Miner: what is frozen stays frozen."""

import pytest
import torch

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners._gem_miner import _Rounded
from sklearn_tickets.training import Layout
from tests.instances import layout_of


def test_rounded_gates_freeze_the_lowest_for_good():
    layout = layout_of((1, 4))
    scores = torch.tensor([0.9, 0.6, 0.4, 0.2])
    gates = _Rounded(scores, layout=layout, density=0.25, penalty=0.0, freeze_every=1)
    gates.begin_epoch(1, 2)
    assert gates().gate.tolist() == [1, 1, 0, 0]
    with torch.no_grad():
        gates.scores.copy_(torch.tensor([0.7, 0.8, 1.3, 1.2]))
        gates.project_()
    assert gates.scores.tolist() == pytest.approx([0.7, 0.8, 0, 0])
    gates.begin_epoch(2, 2)
    assert gates().gate.tolist() == [0, 1, 0, 0]


def test_the_density_falls_from_that_of_the_mask():
    layout = Layout(TicketMask({"weight": [[1] * 8 + [0] * 8]}), "global")
    gates = _Rounded(torch.ones(16), layout=layout, density=1 / 8, penalty=0.0, freeze_every=1)
    gates.close_(layout.pruned)
    with torch.no_grad():
        gates.scores[:8] = torch.linspace(0.6, 0.9, 8)
    n_active = []
    for epoch in (1, 2):
        gates.begin_epoch(epoch, 2)
        n_active.append(int(gates.active.sum()))
    assert n_active == [4, 2]  # 16 (1/2)^(1 - i / E) (1/8)^(i / E)


def test_frozen_gates_do_not_come_back_when_others_fall_to_zero():
    gates = _Rounded(
        torch.linspace(0.9, 0.6, 4),
        layout=layout_of((1, 4)),
        density=0.25,
        penalty=0.0,
        freeze_every=1,
    )
    gates.begin_epoch(1, 4)
    with torch.no_grad():
        gates.scores.zero_()
        gates.project_()
    gates.begin_epoch(2, 4)
    assert gates.active.tolist() == [1, 1, 1, 0]


def test_the_last_epoch_freezes_whatever_the_interval():
    gates = _Rounded(
        torch.linspace(0.9, 0.6, 4),
        layout=layout_of((1, 4)),
        density=0.25,
        penalty=0.0,
        freeze_every=2,
    )
    n_active = []
    for epoch in (1, 2, 3):
        gates.begin_epoch(epoch, 3)
        n_active.append(int(gates.active.sum()))
    assert n_active == [4, 2, 1]  # 4 rho^(2/3) = 1.6, 4 rho = 1
