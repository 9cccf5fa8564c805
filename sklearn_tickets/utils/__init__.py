"""Discovery of the pruners, and the checks of their contract, open to third parties."""

from sklearn_tickets.utils._checks import check_pruner
from sklearn_tickets.utils._discovery import all_pruners

__all__ = ["all_pruners", "check_pruner"]
