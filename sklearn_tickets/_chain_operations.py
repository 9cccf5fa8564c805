"""`operations`: what a feed-forward network does, step by step, each step as a module."""

import operator
from collections.abc import Iterator
from typing import Any

from torch import nn

from sklearn_tickets._network import BATCH_NORMS, Tracer
from sklearn_tickets.models import ScaledLinear

# A subclass with a forward of its own is another layer.
_FORWARDS: set[Any] = {vars(kind)["forward"] for kind in (*BATCH_NORMS, ScaledLinear)}
POOLS = {
    f"{kind}_pool{n}d": getattr(nn, f"{kind.title().replace('_', '')}Pool{n}d")
    for kind in ("max", "avg", "adaptive_max", "adaptive_avg")
    for n in (1, 2, 3)
}
# Ways to ask for the batch size, which a reshape may need.
_SHAPES = ("size", getattr, operator.getitem)
SUPPORTED = "Linear, Conv1d to Conv3d, ReLU, pooling, Flatten, Dropout and folded BatchNorm"


def is_layer(module: nn.Module) -> bool:
    """Whether a module computes what a linear layer, a scaled one or a convolution computes."""
    return type(module).forward in _FORWARDS


class _ChainTracer(Tracer):
    """Record layers of the supported kinds as single operations, subclasses, too."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_layer(m) or super().is_leaf_module(m, module_qualified_name)


def operations(module: nn.Module, what: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield what a forward does, one operation after the other.

    Parameters
    ----------
    module : torch.nn.Module
        The network.
    what : str
        Its name in error messages.

    Yields
    ------
    name : str
        The path of a layer, or the name of a function or method.
    operation : torch.nn.Module
        A module that does the same.

    Raises
    ------
    ValueError
        If the forward cannot be traced, or is no chain of operations that have such a module.
    """
    graph = _ChainTracer(what).trace(module)
    current, *nodes = [node for node in graph.nodes if node.target not in _SHAPES]
    for node in nodes:
        name = getattr(node.target, "__name__", str(node.target))
        if [used for used in node.all_input_nodes if used.target not in _SHAPES] != [current]:
            raise ValueError(
                f"{what} must be a chain of layers, each the only input of the next; {name!r} "
                "breaks it."
            )
        current = node
        if node.op == "call_module":
            yield name, module.get_submodule(name)
        elif node.op != "output":
            yield name, _as_module(name.rstrip("_"), node.args[1:], node.kwargs, what)


def _as_module(name: str, args: tuple, kwargs: dict[str, Any], what: str) -> nn.Module:
    """Return the module that does the same as a function or method."""
    if name == "relu":
        return nn.ReLU()
    if name.startswith("dropout") and not kwargs.get("training"):
        return nn.Dropout()
    if name in POOLS:
        return POOLS[name](*args, **kwargs)
    if name == "flatten":
        return nn.Flatten(*args, **kwargs)
    if name == "unflatten":
        return nn.Unflatten(*args, **kwargs)
    if name in ("reshape", "view"):
        return nn.Flatten() if len(args) == 2 else nn.Unflatten(1, args[1:])
    raise ValueError(f"{what} has {name!r}, which is not supported. Supported are {SUPPORTED}.")
