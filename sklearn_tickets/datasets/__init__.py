"""Planted problems: data, a random host network, and a known ticket that solves them.

The generator, planting, bounds on the existence of tickets, and loaders of real data. Tasks are in
`sklearn_tickets.datasets.tasks`.
"""

from sklearn_tickets.datasets._cubist_spiral import make_cubist_spiral
from sklearn_tickets.datasets._existence import ticket_existence_probability, ticket_existence_width
from sklearn_tickets.datasets._generator import PlantedTicketGenerator
from sklearn_tickets.datasets._image_files import load_cifar10, load_mnist
from sklearn_tickets.datasets._mnist1d import load_mnist1d
from sklearn_tickets.datasets._planted_module import PlantedModule
from sklearn_tickets.datasets._planted_ticket import PlantedTicket
from sklearn_tickets.datasets._planting import plant_ticket

__all__ = [
    "PlantedModule",
    "PlantedTicket",
    "PlantedTicketGenerator",
    "load_cifar10",
    "load_mnist",
    "load_mnist1d",
    "make_cubist_spiral",
    "plant_ticket",
    "ticket_existence_probability",
    "ticket_existence_width",
]
