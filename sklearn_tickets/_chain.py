"""`read_chain`: read a feed-forward network of any module class as a chain of layers.

A chain is what planting and annealing understand: layers of weights that pass their units on to the
next layer through ReLU and pooling. The weights have the axes of a `LinearMap`: units, inputs
(the units of the layer before), and taps.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn

from sklearn_tickets._chain_operations import POOLS, SUPPORTED, is_layer, operations
from sklearn_tickets._network import BATCH_NORMS, LinearMap
from sklearn_tickets.models import ScaledLinear

_BATCH_NORMS = tuple(BATCH_NORMS.values())
_WEIGHTY = ("Linear", "Conv")
_SETTINGS = (
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "padding_mode",
    "ceil_mode",
    "count_include_pad",
    "divisor_override",
    "output_size",
)
_IDLE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)


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
        The operations from inputs to outputs, layers included; equal for networks that differ
        only in their numbers of units.
    layers : tuple of ChainLayer
        The layers of weights.
    """

    steps: tuple[str, ...]
    layers: tuple[ChainLayer, ...]

    @property
    def is_mlp(self) -> bool:
        """Whether all layers are linear, with ReLU between them and nothing else."""
        return set(self.steps) <= {"Linear", "ReLU"}

    def arrays(self) -> tuple[tuple[NDArray, NDArray], ...]:
        """Copy the weights and biases to float64; missing biases are 0."""
        return tuple(
            (
                layer.weight.astype(np.float64),
                np.zeros(len(layer.weight))
                if layer.bias is None
                else layer.bias.astype(np.float64),
            )
            for layer in self.layers
        )


def chain_arrays(layers: Iterable[tuple[ArrayLike, ArrayLike]], what: str) -> Chain:
    """Make a fully connected chain of weights and biases.

    Parameters
    ----------
    layers : iterable of (weight, bias)
        Per layer, arrays of shapes (n_outputs, n_inputs) and (n_outputs,).
    what : str
        Their name in error messages.

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
    """Read a module's layers in the order in which its forward calls them.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on the CPU. It is read as it is in evaluation mode: dropout does nothing,
        and batch normalization is folded into the layer before it.
    what : str
        Its name in error messages.

    Returns
    -------
    chain : Chain
        Arrays of the network's own type.

    Raises
    ------
    ValueError
        If the forward cannot be traced, or the network is not a chain of supported layers
        whose shapes fit together, with ReLU after every layer but the last, a linear one.
    """
    steps: list[str] = []
    maps: dict[str, LinearMap] = {}
    is_flat = has_relu = True
    for name, operation in operations(module, what):
        if is_layer(operation):
            if not has_relu:
                raise ValueError(f"{what} has no ReLU between {list(maps)[-1]!r} and {name!r}.")
            if isinstance(operation, nn.Linear) and not is_flat:
                raise ValueError(f"{what} has no Flatten between maps and the linear {name!r}.")
            maps[name] = _read_layer(name, operation, maps, what)
            is_flat, has_relu = isinstance(operation, nn.Linear), False
        elif (
            isinstance(operation, _BATCH_NORMS)
            and operation.track_running_stats
            and steps
            and steps[-1].startswith(_WEIGHTY)
        ):
            last = list(maps)[-1]
            maps[last] = maps[last].fold(operation)
        elif isinstance(operation, nn.ReLU):
            has_relu = True
        elif not maps and isinstance(operation, (nn.Flatten, nn.Unflatten)):
            pass
        elif isinstance(operation, nn.Flatten) and operation.start_dim == 1:
            is_flat = True
        elif not isinstance(operation, (*POOLS.values(), *_IDLE)):
            raise ValueError(
                f"{what} has {type(operation).__name__} {name!r}, which is not supported there. "
                f"Supported are {SUPPORTED}."
            )
        if is_layer(operation) or isinstance(operation, (*POOLS.values(), nn.ReLU)):
            steps.append(_describe(operation))
    if not steps or steps[-1] != "Linear":
        raise ValueError(
            f"{what} must end in a Linear layer; it ends in {(steps or ['nothing'])[-1]}."
        )
    layers = (
        ChainLayer(name, part.weight.numpy(), None if part.bias is None else part.bias.numpy())
        for name, part in maps.items()
    )
    return Chain(tuple(steps), tuple(layers))


def read_mlp(module: nn.Module, n_features: int, what: str) -> list[str]:
    """Read a module of linear layers with ReLU between them, and nothing else that computes.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on any device.
    n_features : int
        Number of features of a flattened row.
    what : str
        Its name in error messages.

    Returns
    -------
    layers : list of str
        The paths of the layers, from inputs to outputs.

    Raises
    ------
    ValueError
        If the network is anything else, or layers share parameters.
    """
    module = copy.deepcopy(module).cpu()
    chain = read_chain(module, what)
    names = dict(module.named_parameters())
    for name, _ in module.named_parameters(remove_duplicate=False):
        if name not in names:
            raise ValueError(f"{what} uses the parameter {name!r} under another name, too.")
    for layer in chain.layers:
        weight = names.get(f"{layer.name}.weight")
        if weight is None or not np.array_equal(weight.detach().numpy(), layer.weight[:, :, 0]):
            raise ValueError(f"{what} has a layer {layer.name!r} that is no plain Linear.")
    n_layers, n_inputs = len(chain.layers), chain.layers[0].weight.shape[1]
    if chain.steps != (("Linear", "ReLU") * n_layers)[:-1] or n_inputs != n_features:
        raise ValueError(
            f"{what} must be Linear layers of the {n_features} features with ReLU between them; "
            f"it is {', '.join(chain.steps)}, of {n_inputs} inputs."
        )
    return [layer.name for layer in chain.layers]


def _describe(operation: nn.Module) -> str:
    """Name an operation and all its settings except the numbers of units."""
    name = "Linear" if isinstance(operation, nn.Linear) else type(operation).__name__
    settings = {key: getattr(operation, key) for key in _SETTINGS if hasattr(operation, key)}
    # (2, 2) and 2 mean the same.
    plain = {
        key: value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
        for key, value in settings.items()
    }
    return name + (f"({', '.join(f'{k}={v}' for k, v in plain.items())})" if plain else "")


def _read_layer(name: str, layer: Any, before: dict[str, LinearMap], what: str) -> LinearMap:
    """Read a layer after checking that its inputs are the units of the layer before."""
    if name in before or getattr(layer, "groups", 1) != 1:
        raise ValueError(f"{what} uses layer {name!r} twice, or in groups; use plain layers once.")
    if isinstance(layer, ScaledLinear):
        layer = layer.plain()
    n_read = layer.weight.shape[1]
    n_inputs = len(list(before.values())[-1].weight) if before else n_read
    if n_read % n_inputs if isinstance(layer, nn.Linear) else n_read != n_inputs:
        raise ValueError(
            f"{what} does not chain: layer {name!r} takes {n_read} inputs and "
            f"{list(before)[-1]!r} before it has {n_inputs} units."
        )
    return LinearMap.of(layer, n_inputs)
