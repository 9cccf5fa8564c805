"""`Units`: the neurons and channels that the nodes of a graph compute, and what passes them on."""

import operator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn

from sklearn_tickets._network._linear_map import BATCH_NORMS

NO_PADDING = (0, (0,), (0, 0), (0, 0, 0), "valid")

# Modules, functions and methods by one name: MaxPool2d and max_pool2d are "maxpool2d".
_IDLE = {"identity", "dropout", "dropout1d", "dropout2d", "dropout3d"}
_ELEMENTWISE = (
    {"relu", "relu_", "relu6", "leakyrelu", "elu", "selu", "celu", "gelu", "silu", "mish"}
    | {"hardswish", "hardsigmoid", "hardtanh", "softplus", "softsign", "sigmoid", "tanh"}
    | {"add", "sub", "mul"}
)
_POOLS = {
    f"{kind}pool{n}d" for kind in ("max", "avg", "adaptivemax", "adaptiveavg") for n in (1, 2, 3)
}


@dataclass(eq=False)
class Units:
    """The units that a node of the graph computes."""

    # The value of each, NaN if it depends on the input. The number of further axes, each of
    # length 1, says what a unit is: none a number, one a flattened map, two a map.
    constant: Tensor
    # The nodes that keep the same units, this one included.
    peers: set[fx.Node]
    # Whether an output depends on it.
    needed: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.needed = torch.zeros(len(self.constant), dtype=torch.bool)


def operation_of(node: fx.Node, module: nn.Module | None) -> str:
    """Name what a node does, as in `_IDLE`, `_ELEMENTWISE` and `_POOLS`."""
    name = getattr(type(module) if module else node.target, "__name__", str(node.target)).lower()
    return name[:-1].replace("_", "") + name[-1]  # a trailing "_" means "in place"


def _flattens(node: fx.Node, module: Any) -> bool:
    """Whether a node flattens all axes but the first."""
    given = (*node.args[1:], *node.kwargs.items())
    dims = (module.start_dim, module.end_dim) if module else given
    return dims in ((1,), (1, -1), (("start_dim", 1),))


def is_matrix(node: Any, module: Any, matrices: set[fx.Node], reads_rows: bool) -> bool:
    """Whether a node is known to compute a tensor of two axes."""
    name, sources = operation_of(node, module), node.all_input_nodes
    if node.op == "placeholder":
        return reads_rows
    if name == "flatten":
        return _flattens(node, module)
    if name in ("view", "reshape"):
        return len(node.args) == 3
    keeps_axes = name in _IDLE | _ELEMENTWISE or type(module) is nn.Linear
    return keeps_axes and matrices.issuperset(sources)


def fits(module: Any, before: Units | None) -> bool:
    """Whether the layer's weight has an axis for the units before it."""
    if not isinstance(module, nn.Linear):
        return module.groups == 1 and (before is None or before.constant.ndim == 3)
    if before is None or before.constant.ndim == 2:
        return True
    return before.constant.shape == (module.in_features,)


def normalizes(norm: Any, layer: Any) -> bool:
    """Whether a module is batch normalization of a layer's units."""
    is_kind = type(norm) is BATCH_NORMS.get(type(layer))
    return is_kind and norm.num_features == len(layer.weight)


def node_parameters(traced: fx.GraphModule, node: fx.Node) -> list[nn.Parameter]:
    """List the parameters that a node uses."""
    if node.op == "call_module":
        return list(traced.get_submodule(str(node.target)).parameters())
    values = [operator.attrgetter(str(node.target))(traced)] if node.op == "get_attr" else []
    return [value for value in values if isinstance(value, nn.Parameter)]


def passed_on(node: Any, module: Any, units: dict[fx.Node, Units]) -> Tensor | None:
    """Compute the units after an operation; None if it does not pass on those before it."""
    if not node.all_input_nodes or not units.keys() >= set(node.all_input_nodes):
        return None
    constant, *others = [units[source].constant for source in node.all_input_nodes]
    name = operation_of(node, module)
    if name in _IDLE:
        return constant
    if name in _ELEMENTWISE and all(other.shape == constant.shape for other in others):
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: units[n].constant)
        method = getattr(Tensor, node.target) if node.op == "call_method" else node.target
        return (module or method)(*args, **kwargs)
    if name == "flatten":
        return constant.reshape(constant.shape[:2]) if _flattens(node, module) else None
    if name in _POOLS and constant.ndim == 3:
        # The settings of functional average pools are not read: they may count zeros.
        settings = vars(module) if module else {}
        is_mean = settings.get("padding") in NO_PADDING and not settings.get("divisor_override")
        if name.startswith("avg") and not is_mean:
            return constant.masked_fill(constant != 0, torch.nan)
        return constant.clone()
    return None
