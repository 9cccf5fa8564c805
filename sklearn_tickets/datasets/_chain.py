"""Reading a feed-forward network, whatever module it comes in, as a chain of layers.

A chain is what planting understands: layers of weights that pass their units on to the
next layer through ReLU and pooling. A weight has three axes: its units, its inputs (which
are the units before it), and the taps through which it reads one input, such as the pixels
of a convolution's kernel or those of a feature map that a linear layer reads flattened.
"""

import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from sklearn_tickets._network import Tracer
from sklearn_tickets.datasets.tasks import Affine
from sklearn_tickets.models import ScaledLinear

_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOLS = {
    f"{kind}_pool{n}d": getattr(nn, f"{kind.title().replace('_', '')}Pool{n}d")
    for kind in ("max", "avg", "adaptive_max", "adaptive_avg")
    for n in (1, 2, 3)
}
# Ways to ask for the batch size, of which a reshape may make use.
_SHAPES = ("size", getattr, operator.getitem)
_WEIGHTY = ("Linear", "Conv")
_SETTINGS = (
    *("kernel_size", "stride", "padding", "dilation", "padding_mode"),
    *("ceil_mode", "count_include_pad", "output_size"),
)
_IDLE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
_SUPPORTED = "Linear, Conv1d to Conv3d, ReLU, pooling, Flatten, Dropout and folded BatchNorm"


@dataclass(frozen=True)
class ChainLayer:
    """One layer of weights.

    Parameters
    ----------
    name : str
        Its path in the module.
    weight : ndarray of shape (n_units, n_inputs, n_taps)
        The weights. They share the module's memory unless something is folded into them.
    bias : ndarray of shape (n_units,) or None
        The biases.
    """

    name: str
    weight: NDArray
    bias: NDArray | None


@dataclass(frozen=True)
class Chain:
    """A feed-forward network.

    Parameters
    ----------
    steps : tuple of str
        What happens from inputs to outputs, layers included; equal for networks of one kind.
    layers : tuple of ChainLayer
        The layers of weights.
    """

    steps: tuple[str, ...]
    layers: tuple[ChainLayer, ...]

    @property
    def is_mlp(self) -> bool:
        """Whether there are but linear layers with a ReLU between them."""
        return set(self.steps) <= {"Linear", "ReLU"}

    def arrays(self) -> tuple[Affine, ...]:
        """Weights and biases in float64, copied; a missing bias is 0."""
        return tuple(
            (
                layer.weight.astype(np.float64),
                np.zeros(len(layer.weight))
                if layer.bias is None
                else layer.bias.astype(np.float64),
            )
            for layer in self.layers
        )


class _ChainTracer(Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, _LAYERS) or super().is_leaf_module(m, module_qualified_name)


def chain_arrays(layers: Iterable[tuple[ArrayLike, ArrayLike]], what: str) -> Chain:
    """Make a fully connected chain of weights and biases.

    Parameters
    ----------
    layers : iterable of (weight, bias)
        Per layer, arrays of shapes (n_outputs, n_inputs) and (n_outputs,).
    what : str
        What to call them in error messages.

    Returns
    -------
    chain : Chain
        Float64 arrays.

    Raises
    ------
    ValueError
        If the shapes do not fit together.
    """
    chained: list[ChainLayer] = []
    for i, (weight, bias) in enumerate(layers):
        weight, bias = np.asarray(weight, dtype=np.float64), np.asarray(bias, dtype=np.float64)
        n_inputs = len(chained[-1].weight) if chained else weight.shape[-1]
        if weight.shape != (len(bias), n_inputs) or bias.ndim != 1:
            raise ValueError(
                f"{what} does not chain: layer {i} has {n_inputs} inputs, a weight of shape "
                f"{weight.shape} and a bias of shape {bias.shape}; give arrays of shapes "
                "(n_outputs, n_inputs) and (n_outputs,)."
            )
        chained.append(ChainLayer(f"layer {i}", weight[:, :, None], bias))
    return Chain((("Linear", "ReLU") * len(chained))[:-1], tuple(chained))


def read_chain(module: nn.Module, what: str) -> Chain:
    """Follow a module's forward from input to output.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on the CPU. It is read as it is in evaluation mode: dropout does nothing,
        and batch normalization is folded into the layer before it.
    what : str
        What to call it in error messages.

    Returns
    -------
    chain : Chain
        Arrays of the network's own type.

    Raises
    ------
    ValueError
        If the network is no chain of supported layers whose shapes fit together, with a
        ReLU after all but the last, linear one.
    """
    steps: list[str] = []
    layers: list[ChainLayer] = []
    is_flat = has_relu = True
    for name, operation in _operations(module, what):
        if isinstance(operation, _LAYERS):
            if not has_relu:
                raise ValueError(f"{what} has no ReLU between {layers[-1].name!r} and {name!r}.")
            if isinstance(operation, nn.Linear) and not is_flat:
                raise ValueError(f"{what} has no Flatten between maps and the linear {name!r}.")
            layers.append(_read_layer(name, operation, layers, what))
            is_flat, has_relu = isinstance(operation, nn.Linear), False
        elif isinstance(operation, _BATCH_NORMS) and steps and steps[-1].startswith(_WEIGHTY):
            layers[-1] = _fold(layers[-1], operation)
        elif isinstance(operation, nn.ReLU):
            has_relu = True
        elif not layers and isinstance(operation, (nn.Flatten, nn.Unflatten)):
            pass
        elif isinstance(operation, nn.Flatten) and operation.start_dim == 1:
            is_flat = True
        elif not isinstance(operation, (*_POOLS.values(), *_IDLE)):
            raise ValueError(
                f"{what} has {type(operation).__name__} {name!r}, which cannot be planted there: "
                f"{_SUPPORTED} can."
            )
        if isinstance(operation, (*_LAYERS, *_POOLS.values(), nn.ReLU)):
            steps.append(_describe(operation))
    if not steps or steps[-1] != "Linear":
        raise ValueError(
            f"{what} must end in a Linear layer; it ends in {(steps or ['nothing'])[-1]}."
        )
    return Chain(tuple(steps), tuple(layers))


def _operations(module: nn.Module, what: str) -> Iterator[tuple[str, nn.Module]]:
    """Every operation of the forward: its name, and a module that does it."""
    try:
        graph = _ChainTracer().trace(module)
    except Exception as error:
        raise ValueError(
            f"The forward of {what}, {type(module).__name__}, cannot be followed: {error}"
        ) from error
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
    """The module that does the same as a function or method."""
    if name == "relu":
        return nn.ReLU()
    if name.startswith("dropout"):
        return nn.Dropout()
    if name in _POOLS:
        return _POOLS[name](*args, **kwargs)
    if name == "flatten":
        return nn.Flatten(*args, **kwargs)
    if name == "unflatten":
        return nn.Unflatten(*args, **kwargs)
    if name in ("reshape", "view"):
        return nn.Flatten() if len(args) == 2 else nn.Unflatten(1, args[1:])
    raise ValueError(f"{what} has {name!r}, which cannot be planted: {_SUPPORTED} can.")


def _describe(operation: nn.Module) -> str:
    """The kind of an operation, with all settings but the numbers of units."""
    name = "Linear" if isinstance(operation, nn.Linear) else type(operation).__name__
    settings = {key: getattr(operation, key) for key in _SETTINGS if hasattr(operation, key)}
    # (2, 2) and 2 mean the same.
    plain = {
        key: value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
        for key, value in settings.items()
    }
    return name + (f"({', '.join(f'{k}={v}' for k, v in plain.items())})" if plain else "")


def _read_layer(name: str, layer: Any, before: list[ChainLayer], what: str) -> ChainLayer:
    """The arrays of a layer, once its inputs are known to be the units before it."""
    if name in [other.name for other in before] or getattr(layer, "groups", 1) != 1:
        raise ValueError(f"{what} uses layer {name!r} twice, or in groups; use plain layers once.")
    weight = layer.weight.detach().numpy()
    bias = None if layer.bias is None else layer.bias.detach().numpy()
    if isinstance(layer, ScaledLinear):
        scale = layer.output_scale.numpy()
        weight, bias = weight * scale[:, None], None if bias is None else bias * scale
    n_inputs = len(before[-1].weight) if before else weight.shape[1]
    is_linear = isinstance(layer, nn.Linear)
    if weight.shape[1] % n_inputs if is_linear else weight.shape[1] != n_inputs:
        raise ValueError(
            f"{what} does not chain: layer {name!r} takes {weight.shape[1]} inputs and "
            f"{before[-1].name!r} before it has {n_inputs} units."
        )
    return ChainLayer(name, weight.reshape(len(weight), n_inputs, -1), bias)


def _fold(layer: ChainLayer, norm: Any) -> ChainLayer:
    """The layer that does what `layer` and the batch normalization after it do."""
    weight, bias = fuse_conv_bn_weights(
        torch.tensor(layer.weight, dtype=torch.float64),
        None if layer.bias is None else torch.tensor(layer.bias, dtype=torch.float64),
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )
    return ChainLayer(layer.name, weight.detach().numpy(), bias.detach().numpy())
