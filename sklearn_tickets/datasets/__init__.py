"""Planted problems: data, a random host network, and the one ticket that solves them."""

from sklearn_tickets.datasets._existence import ticket_existence_probability, ticket_existence_width
from sklearn_tickets.datasets._generator import PlantedTicket, PlantedTicketGenerator
from sklearn_tickets.datasets._image_files import load_cifar10, load_mnist
from sklearn_tickets.datasets._planted_module import PlantedModule
from sklearn_tickets.datasets._planting import plant_ticket

__all__ = [
    "PlantedModule",
    "PlantedTicket",
    "PlantedTicketGenerator",
    "load_cifar10",
    "load_mnist",
    "plant_ticket",
    "ticket_existence_probability",
    "ticket_existence_width",
]
