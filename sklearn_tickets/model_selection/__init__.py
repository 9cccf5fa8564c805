"""Searches and replicates that train many small networks as one, and a rule to select by."""

from sklearn_tickets.model_selection._replicates import fit_replicates
from sklearn_tickets.model_selection._search import BatchedGridSearchCV, BatchedRandomizedSearchCV
from sklearn_tickets.model_selection._sparsest_within import sparsest_within
from sklearn_tickets.model_selection._together import (  # noqa: F401 - for the rooms above
    Outcome,
    Task,
    fit_in_batches,
)
from sklearn_tickets.model_selection._train_together import (  # noqa: F401 - for the rooms above
    Log,
    train_together,
)

__all__ = [
    "BatchedGridSearchCV",
    "BatchedRandomizedSearchCV",
    "fit_replicates",
    "sparsest_within",
]
