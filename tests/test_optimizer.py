"""`StackedOptimizer`: each network is updated as by an optimizer of its own."""

import logging

import pytest
import torch

from sklearn_tickets.pruners import MagnitudePruner
from tests.searches import CIRCLE, check_same, stacked


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


@pytest.mark.parametrize("fused", [True, None])
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "optimizer__nesterov": True},
        {"optimizer": torch.optim.Adam, "optimizer__amsgrad": True},
        {"optimizer": torch.optim.AdamW},
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_optimizers_with_settings_of_their_own(settings, fused, caplog):
    net = CIRCLE.make_net(**settings, optimizer__fused=fused)
    pruner = MagnitudePruner(net.set_params(max_epochs=2), sparsity=0.5, random_state=0)
    decay = {"estimator__optimizer__weight_decay": [0.1]}
    check_same(pruner, [{"estimator__lr": [1e-2, 1e-3]}, decay])
    assert stacked(caplog) == [6]
