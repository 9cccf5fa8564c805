"""Masks: which parameters of a network are kept."""

from sklearn_tickets.masks._allocation import Allocation, Scope
from sklearn_tickets.masks._common_parameters import common_parameters
from sklearn_tickets.masks._ticket_mask import LayerCollapseWarning, TicketMask

__all__ = ["Allocation", "LayerCollapseWarning", "Scope", "TicketMask", "common_parameters"]
