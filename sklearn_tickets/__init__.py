"""Lottery tickets for scikit-learn: plant a known ticket, prune, score who finds it."""

from sklearn_tickets._mask import LayerCollapseWarning, TicketMask
from sklearn_tickets._train import HoldMask
from sklearn_tickets.datasets import PlantedTicketGenerator, plant_ticket
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    BasePruner,
    GivenMaskPruner,
    GraSPPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
    SynFlowPruner,
)

__all__ = [
    "MLP",
    "BasePruner",
    "GivenMaskPruner",
    "GraSPPruner",
    "HoldMask",
    "IterativeMagnitudePruner",
    "LayerCollapseWarning",
    "MagnitudePruner",
    "ModuleTemplate",
    "PlantedTicketGenerator",
    "RandomPruner",
    "SNIPPruner",
    "SynFlowPruner",
    "TicketMask",
    "plant_ticket",
]
