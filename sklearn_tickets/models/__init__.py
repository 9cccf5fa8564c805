"""Network factories: callables that give a skorch net a fresh module at every call."""

from sklearn_tickets.models._mlp import MLP
from sklearn_tickets.models._template import ModuleTemplate

__all__ = ["MLP", "ModuleTemplate"]
