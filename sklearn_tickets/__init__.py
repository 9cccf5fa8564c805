"""Lottery tickets for scikit-learn: plant a known ticket, prune, score who finds it."""

from sklearn_tickets._mask import LayerCollapseWarning, TicketMask
from sklearn_tickets._train import HoldMask
from sklearn_tickets.datasets import PlantedTicketGenerator, plant_ticket
from sklearn_tickets.models import MLP, ModuleTemplate

__all__ = [
    "MLP",
    "HoldMask",
    "LayerCollapseWarning",
    "ModuleTemplate",
    "PlantedTicketGenerator",
    "TicketMask",
    "plant_ticket",
]
