"""What pruners are made of: their bases, parameters, and gradients of the loss.

A pruner of your own is a subclass of one of these, with one method to write:

- `ScoringPruner`: ``_score`` tells what each parameter is worth;
- `GradientPruner`: ``_saliency`` does so from gradients of the training loss;
- `FrozenGatesPruner`, `JointGatesPruner`: ``_gates`` makes the `training.Gates` by which the
  mask is learned, the weights frozen or trained with it;
- `SparsityPruner`: ``_search`` finds a mask in any other way.

Its parameters are annotated attributes (`ParameterFields`).
"""

from sklearn_tickets.pruners.base._base import BasePruner, Search
from sklearn_tickets.pruners.base._gates_pruner import (
    FrozenGatesPruner,
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
from sklearn_tickets.pruners.base._output_scale import regression_scale
from sklearn_tickets.pruners.base._parameters import (
    Count,
    Epochs,
    FreeSparsity,
    NonNegative,
    ParameterFields,
    Positive,
    Schedule,
)
from sklearn_tickets.pruners.base._rounds import Rounds, Run
from sklearn_tickets.pruners.base._scoring import GradientPruner, ScoringPruner, SparsityPruner
from sklearn_tickets.pruners.base._targets import class_codes, encode_targets

__all__ = [
    "Array",
    "BasePruner",
    "Count",
    "Epochs",
    "FreeSparsity",
    "FrozenGatesPruner",
    "GradientPruner",
    "JointGatesPruner",
    "NonNegative",
    "ParameterFields",
    "PenalizedGatesPruner",
    "Positive",
    "Rounds",
    "Run",
    "Schedule",
    "Scores",
    "ScoringPruner",
    "Search",
    "SparsityPruner",
    "batch_losses",
    "class_codes",
    "encode_targets",
    "gradient",
    "masked_leaves",
    "regression_scale",
    "scoring_sample",
    "total_gradient",
]
