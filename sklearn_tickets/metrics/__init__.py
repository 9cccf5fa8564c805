"""Metrics that compare masks, and scorers of pruners for scikit-learn's model selection."""

from sklearn_tickets.metrics._matching import ticket_matched_overlap_score
from sklearn_tickets.metrics._overlap import (
    ticket_chance_level,
    ticket_f1_score,
    ticket_overlap_score,
    ticket_precision_score,
    ticket_recall_score,
)
from sklearn_tickets.metrics._scorers import (
    effective_sparsity,
    make_strong_scorer,
    make_ticket_scorer,
    planted_ticket,
    sparse_accuracy,
    sparse_neg_mean_squared_error,
    sparse_r2,
    strong_accuracy,
    strong_neg_mean_squared_error,
    strong_r2,
    ticket_f1,
    ticket_overlap,
    ticket_precision,
    ticket_recall,
)

__all__ = [
    "effective_sparsity",
    "make_strong_scorer",
    "make_ticket_scorer",
    "planted_ticket",
    "sparse_accuracy",
    "sparse_neg_mean_squared_error",
    "sparse_r2",
    "strong_accuracy",
    "strong_neg_mean_squared_error",
    "strong_r2",
    "ticket_chance_level",
    "ticket_f1",
    "ticket_f1_score",
    "ticket_matched_overlap_score",
    "ticket_overlap",
    "ticket_overlap_score",
    "ticket_precision",
    "ticket_precision_score",
    "ticket_recall",
    "ticket_recall_score",
]
