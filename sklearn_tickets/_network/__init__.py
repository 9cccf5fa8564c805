"""What the library asks of a torch module: its parameters, paths, outputs and operations."""

from sklearn_tickets._network._connections import Connections
from sklearn_tickets._network._copies import check_calls, evaluation_copy, with_plain_weights
from sklearn_tickets._network._flow import positive_flow, trace_paths
from sklearn_tickets._network._inference import (
    hidden_features,
    infer,
    is_large,
    normalization_statistics,
    rows_per_batch,
)
from sklearn_tickets._network._linear_flow import LinearFlow
from sklearn_tickets._network._linear_map import BATCH_NORMS, LinearMap
from sklearn_tickets._network._module import (
    NORMALIZATION_LAYERS,
    check_own_weights,
    evaluating,
    functional_call,
    plain_module,
    prunable_parameters,
)
from sklearn_tickets._network._rows import Rows, SparseRows, as_tensor, row_sizes
from sklearn_tickets._network._tracer import TRACING, Tracer, traced_module
from sklearn_tickets._network._unit_groups import UnitGroup, unit_groups
from sklearn_tickets._network._units import (
    NO_PADDING,
    Units,
    fits,
    is_matrix,
    node_parameters,
    normalizes,
    passed_on,
)
from sklearn_tickets._network._verification import check_same_outputs, draw_inputs, example_inputs

__all__ = [
    "BATCH_NORMS",
    "NORMALIZATION_LAYERS",
    "NO_PADDING",
    "TRACING",
    "Connections",
    "LinearFlow",
    "LinearMap",
    "Rows",
    "SparseRows",
    "Tracer",
    "UnitGroup",
    "Units",
    "as_tensor",
    "check_calls",
    "check_own_weights",
    "check_same_outputs",
    "draw_inputs",
    "evaluating",
    "evaluation_copy",
    "example_inputs",
    "fits",
    "functional_call",
    "hidden_features",
    "infer",
    "is_large",
    "is_matrix",
    "node_parameters",
    "normalization_statistics",
    "normalizes",
    "passed_on",
    "plain_module",
    "positive_flow",
    "prunable_parameters",
    "row_sizes",
    "rows_per_batch",
    "trace_paths",
    "traced_module",
    "unit_groups",
    "with_plain_weights",
]
