"""Bases of pruners, their parameters, and gradients of the training loss.

A custom pruner subclasses one of these bases and implements one method:

- `ScoringPruner`: ``_score`` scores the parameters, of which single ones or whole units go;
- `WeightScoringPruner`: the same for algorithms that remove single ones only;
- `GradientPruner`: ``_saliency`` scores them by gradients of the training loss;
- `FrozenGatesPruner`, `JointGatesPruner`: ``_gates`` makes the `training.Gates` that learn the
  mask while the weights are frozen or trained;
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
    BatchLosses,
    Scores,
    gradient,
    masked_leaves,
    scoring_sample,
    total_gradient,
)
from sklearn_tickets.pruners.base._output_scale import (
    classification_scale,
    regression_scale,
    scale_and_temperature,
)
from sklearn_tickets.pruners.base._parameters import (
    Count,
    Epochs,
    FreeSparsity,
    NonNegative,
    ParameterFields,
    Positive,
    Schedule,
)
from sklearn_tickets.pruners.base._readings import apply_nonlinearity, class_codes
from sklearn_tickets.pruners.base._rounds import Rounds, Run
from sklearn_tickets.pruners.base._scoring import (
    GradientPruner,
    ScoringPruner,
    WeightScoringPruner,
)
from sklearn_tickets.pruners.base._shared_gradients import (  # noqa: F401 - for the rooms above
    shared_gradients,
)
from sklearn_tickets.pruners.base._sparsity import SparsityPruner
from sklearn_tickets.pruners.base._targets import encode_targets, is_multilabel

__all__ = [
    "Array",
    "BasePruner",
    "BatchLosses",
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
    "WeightScoringPruner",
    "apply_nonlinearity",
    "class_codes",
    "classification_scale",
    "encode_targets",
    "gradient",
    "is_multilabel",
    "masked_leaves",
    "regression_scale",
    "scale_and_temperature",
    "scoring_sample",
    "total_gradient",
]
