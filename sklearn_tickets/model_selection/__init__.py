"""Model selection: scikit-learn's searches, with the candidates trained as one network."""

from sklearn_tickets.model_selection._search import BatchedGridSearchCV, BatchedRandomizedSearchCV

__all__ = ["BatchedGridSearchCV", "BatchedRandomizedSearchCV"]
