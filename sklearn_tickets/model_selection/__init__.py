"""Model selection: searches and replicates whose networks are trained as one."""

from sklearn_tickets.model_selection._replicates import fit_replicates
from sklearn_tickets.model_selection._search import BatchedGridSearchCV, BatchedRandomizedSearchCV

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV", "fit_replicates"]
