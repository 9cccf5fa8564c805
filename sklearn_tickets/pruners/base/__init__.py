"""What pruners are made of: their bases, gates, and gradients of the loss.

A pruner of your own is a subclass of one of these, with one method to write:

- `ScoringPruner`: ``_score`` tells what each parameter is worth, in rounds if need be;
- `FrozenGatesPruner`, `JointGatesPruner`: ``_gates`` makes the `Gates` by which the mask is
  learned, the weights frozen or trained with it;
- `SparsityPruner`: ``_search`` finds a mask in any other way.

Its parameters are annotated attributes (`ParameterFields`).
"""

from sklearn_tickets.pruners.base._base import BasePruner, Search
from sklearn_tickets.pruners.base._fitted import FittedTicketMixin
from sklearn_tickets.pruners.base._gates import Gates, Loss, PenalizedGates
from sklearn_tickets.pruners.base._gates_pruner import (
    FrozenGatesPruner,
    GatesPruner,
    JointGatesPruner,
    PenalizedGatesPruner,
)
from sklearn_tickets.pruners.base._gradients import (
    Array,
    Scores,
    batch_losses,
    gradient,
    masked_leaves,
    scoring_sample,
    total_gradient,
)
from sklearn_tickets.pruners.base._layout import Layout
from sklearn_tickets.pruners.base._learn_mask import LearnMask
from sklearn_tickets.pruners.base._output_scale import classification_scale, regression_scale
from sklearn_tickets.pruners.base._parameters import (
    Count,
    Epochs,
    FreeSparsity,
    NonNegative,
    ParameterFields,
    Positive,
    RandomState,
    Schedule,
)
from sklearn_tickets.pruners.base._rounds import Rounds, Run
from sklearn_tickets.pruners.base._scoring import RoundPruner, ScoringPruner, SparsityPruner
from sklearn_tickets.pruners.base._targets import class_codes, encode_targets

__all__ = [
    "Array",
    "BasePruner",
    "Count",
    "Epochs",
    "FittedTicketMixin",
    "FreeSparsity",
    "FrozenGatesPruner",
    "Gates",
    "GatesPruner",
    "JointGatesPruner",
    "Layout",
    "LearnMask",
    "Loss",
    "NonNegative",
    "ParameterFields",
    "PenalizedGates",
    "PenalizedGatesPruner",
    "Positive",
    "RandomState",
    "RoundPruner",
    "Rounds",
    "Run",
    "Schedule",
    "Scores",
    "ScoringPruner",
    "Search",
    "SparsityPruner",
    "batch_losses",
    "class_codes",
    "classification_scale",
    "encode_targets",
    "gradient",
    "masked_leaves",
    "regression_scale",
    "scoring_sample",
    "total_gradient",
]
