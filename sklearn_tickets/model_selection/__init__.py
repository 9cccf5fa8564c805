"""Searches and replicates that train many small networks as one."""

from sklearn_tickets.model_selection._replicates import fit_replicates
from sklearn_tickets.model_selection._search import BatchedGridSearchCV, BatchedRandomizedSearchCV

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV", "fit_replicates"]
