"""Planted problems: data, a random host network, and the one ticket that solves them."""

from sklearn_tickets.datasets._boundaries import BoundaryTask
from sklearn_tickets.datasets._existence import (
    ticket_existence_probability,
    ticket_existence_width,
)
from sklearn_tickets.datasets._functions import FunctionTask
from sklearn_tickets.datasets._generator import PlantedTicket, PlantedTicketGenerator
from sklearn_tickets.datasets._image_files import load_cifar10, load_mnist
from sklearn_tickets.datasets._parity import ParityTask
from sklearn_tickets.datasets._planted_module import PlantedModule
from sklearn_tickets.datasets._planting import plant_ticket
from sklearn_tickets.datasets._spiral import SpiralTask
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
    "SpiralTask",
    "load_cifar10",
    "load_mnist",
    "plant_ticket",
    "ticket_existence_probability",
    "ticket_existence_width",
]
