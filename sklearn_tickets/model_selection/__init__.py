"""Searches and replicates that train many small networks as one, and a rule to select by."""

from sklearn_tickets.model_selection._replicates import fit_replicates
from sklearn_tickets.model_selection._search import BatchedGridSearchCV, BatchedRandomizedSearchCV
from sklearn_tickets.model_selection._sparsest_within import sparsest_within

# For other rooms; not public.
from sklearn_tickets.model_selection._together import (
    Outcome as Outcome,
    Task as Task,
    fit_in_batches as fit_in_batches,
)

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "fit_replicates",
    "sparsest_within",
]
