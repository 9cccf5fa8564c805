"""Lottery tickets for scikit-learn: plant a known ticket, prune, score who finds it.

The names of a first session are here; everything else is imported from its subpackage.
"""

import importlib
from typing import Any

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import sparse_accuracy, ticket_overlap
from sklearn_tickets.pruners import SynFlowPruner

__version__ = "0.1.0"

__all__ = [
    "PlantedTicketGenerator",
    "SynFlowPruner",
    "__version__",
    "sparse_accuracy",
    "ticket_overlap",
]

_SUBPACKAGES = (
    "benchmark",
    "datasets",
    "export",
    "inspection",
    "masks",
    "metrics",
    "model_selection",
    "models",
    "pruners",
    "training",
    "utils",
)


def __dir__() -> list[str]:
    return [*__all__, *_SUBPACKAGES]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"sklearn_tickets.{name}")
    raise AttributeError(f"module 'sklearn_tickets' has no attribute {name!r}")
