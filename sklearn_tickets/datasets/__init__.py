"""Planted problems: data, a random host network, and the one ticket that solves them."""

from sklearn_tickets.datasets._boundaries import BoundaryTask
from sklearn_tickets.datasets._functions import FunctionTask
from sklearn_tickets.datasets._generator import PlantedTicket, PlantedTicketGenerator
from sklearn_tickets.datasets._parity import ParityTask
from sklearn_tickets.datasets._planting import PlantedModule, plant_ticket
from sklearn_tickets.datasets._tasks import (
    CircleTask,
    HelixTask,
    PlantingTask,
    ReluTask,
)

__all__ = [
    "BoundaryTask",
    "CircleTask",
    "FunctionTask",
    "HelixTask",
    "ParityTask",
    "PlantedModule",
    "PlantedTicket",
    "PlantedTicketGenerator",
    "PlantingTask",
    "ReluTask",
    "plant_ticket",
]
