"""What pruners are made of: their bases, gates, and gradients of the loss."""

from sklearn_tickets.pruners.base._base import BasePruner
from sklearn_tickets.pruners.base._fitted import FittedTicketMixin
from sklearn_tickets.pruners.base._gates import (
    Gates,
    Layout,
    LearnMask,
    PenalizedGates,
    best,
    with_a_foothold,
)
from sklearn_tickets.pruners.base._gradients import (
    batch_losses,
    masked_leaves,
    scoring_sample,
    total_gradient,
)
from sklearn_tickets.pruners.base._learned_mask import LearnedMaskPruner, TrainedMaskPruner
from sklearn_tickets.pruners.base._output_scale import classification_scale, regression_scale

__all__ = [
    "BasePruner",
    "FittedTicketMixin",
    "Gates",
    "Layout",
    "LearnMask",
    "LearnedMaskPruner",
    "PenalizedGates",
    "TrainedMaskPruner",
    "batch_losses",
    "best",
    "classification_scale",
    "masked_leaves",
    "regression_scale",
    "scoring_sample",
    "total_gradient",
    "with_a_foothold",
]
