"""`plant_ticket`: hide a small network in a large one, without changing what it computes."""

import copy
from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from sklearn_tickets._chain import Chain, chain_arrays, read_chain
from sklearn_tickets._estimators import find_pruner
from sklearn_tickets._network import (
    NORMALIZATION_LAYERS,
    check_calls,
    check_same_outputs,
    draw_inputs,
    evaluating,
    evaluation_copy,
    plain_module,
    with_plain_weights,
)
from sklearn_tickets._random import independent_rng
from sklearn_tickets.datasets._planted_module import PlantedModule
from sklearn_tickets.datasets.tasks import Affine, deepened, feed_forward, live_part
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import ScaledLinear

# Layers with far fewer planted weights than the average get larger ones. These are too few to make
# size a better detector, and they make the outputs larger, which helps training: if outputs are
# tiny, one step of Adam on a tiny bias of a late layer changes them too much.
_THIN_SHARE, _THIN_SIZE = 0.25, 1.5


def _hiding_factors(
    weight: NDArray[np.float64], deviation: float, rng: RandomState
) -> NDArray[np.float64]:
    """Factors, one per row, that give the rows' non-zero weights an ordinary size.

    Their root mean square becomes `deviation` times a random number that is drawn for the row, or
    less where the largest weight would otherwise exceed three times that.
    """
    magnitude = np.abs(weight)
    n_weights = np.maximum(np.count_nonzero(weight, axis=1), 1)
    root_mean_square = np.sqrt((magnitude**2).sum(axis=1) / n_weights)
    size = np.maximum(root_mean_square, magnitude.max(axis=1) / 3)
    wanted = deviation * rng.uniform(0.8, 1.2, size=len(weight))
    # A unit without weights is constant and stays as it is.
    return np.divide(wanted, size, out=np.ones(len(weight)), where=size > 0)


def plant_ticket(
    target: Any,
    host: nn.Module,
    *,
    scaling: Literal["hidden", "trainable"] = "hidden",
    random_state: int | RandomState | None = None,
) -> PlantedModule:
    """Hide a small ReLU network among the random weights of a larger one.

    The units of the small network take the places of randomly drawn units of the host, as
    in [1]_. The weights and biases among them are overwritten and form the ticket: with all others
    set to zero, the host computes the small network's outputs.

    Parameters
    ----------
    target : module, fitted pruner, or sequence of (weight, bias)
        The small network. Zeros are not part of the ticket, and hidden units that no output
        depends on are left out.

        - A module: linear and convolutional layers with ReLU, pooling, flattening and dropout
          between them. Batch normalization is folded into the layer before it.
        - A fitted pruner of such a module, also at the end of a ``Pipeline`` or inside a fitted
          search: the ticket that it found is planted, with its trained weights, so that its
          quality on the data that the pruner reads is known.
        - Per layer, arrays of shapes (n_outputs, n_inputs) and (n_outputs,).
    host : torch.nn.Module
        The large network: the same layers, with the same numbers of inputs and outputs and at
        least as many units (channels) in each hidden layer. A fully connected host may have more
        layers. The host is not modified.
    scaling : {"hidden", "trainable"}, default="hidden"
        Size of the planted weights.

        - ``"hidden"``: the size of their layer's other weights. A network computes the same if the
          incoming weights of a ReLU unit are multiplied and its outgoing weights divided by a
          positive number, which is drawn for every unit. Output units are rescaled too: their
          outputs must be multiplied by ``output_scale``.
        - ``"trainable"``: the size that they have in `target`, so that ``output_scale`` is 1 and
          training starts from well-scaled weights.
    random_state : int, RandomState or None, default=None
        Source of the random units and factors.

    Returns
    -------
    factory : PlantedModule
        Factory of networks with the planted ticket.

    Raises
    ------
    TypeError
        If the host is not a module.
    ValueError
        If target or host is not a chain of such layers, the target does not fit into the host,
        a layer has hooks or a forward of its own, the planted ticket computes something else than
        the target, `scaling` is unknown, or it is ``"hidden"`` and all weights of a layer of the
        host are 0.

    Notes
    -----
    A planted unit that has no bias in the target gets the bias 0, so that masking biases makes no
    difference. As this would reveal the unit, a random quarter of the other units of its layer
    also get the bias 0.

    In a deeper, fully connected host, identity layers copy the target's narrowest hidden layer.

    References
    ----------
    .. [1] J. Fischer and R. Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?",
       International Conference on Learning Representations, 2022. arXiv:2111.11153.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.datasets import plant_ticket
    >>> from sklearn_tickets.datasets.tasks import CircleTask
    >>> from sklearn_tickets.models import MLP
    >>> host = MLP(n_features=2, n_outputs=4, hidden=(50, 50, 50))
    >>> factory = plant_ticket(CircleTask().construct(depth=5), host, random_state=0)
    >>> module = factory(output_scale=True)
    >>> module.ticket.apply_(module)
    >>> module(torch.tensor([[0.1, 0.0], [1.0, 1.0]])).argmax(dim=1)
    tensor([0, 3])
    """
    if scaling not in ("hidden", "trainable"):
        raise ValueError(f"scaling must be 'hidden' or 'trainable'; got {scaling!r}.")
    if not isinstance(host, nn.Module):
        raise TypeError(f"host must be a torch.nn.Module; got {type(host).__name__}.")
    host = plain_module(host)
    check_calls(host, "host")
    for name, layer in host.named_modules():
        # The hooks that are left compute a weight, as parametrizations do.
        is_computed = is_parametrized(layer) or bool(layer._forward_pre_hooks)
        if is_computed or isinstance(layer, (*NORMALIZATION_LAYERS, ScaledLinear)):
            raise ValueError(
                f"host has {type(layer).__name__} {name!r}, which rescales what is planted; use a "
                "host without it (that of a target is folded into the layer before it)."
            )
    host = copy.deepcopy(host).cpu()
    for parameter in host.parameters():
        # Reshaped arrays share the memory of contiguous parameters only.
        parameter.data = parameter.data.contiguous()
    if hasattr(target, "fit"):
        target = find_pruner(target, "target").pruner.estimator_.module_
    if isinstance(target, nn.Module):
        small = read_chain(with_plain_weights(target, "target").cpu(), "target")
    else:
        small = chain_arrays(target, "target")
    with evaluating(host):
        large = read_chain(host, "host")
    if small.is_mlp and large.is_mlp and len(small.layers) < len(large.layers):
        flat = [(weight[:, :, 0], bias) for weight, bias in small.arrays()]
        small = chain_arrays(deepened(flat, len(large.layers)), "target")
    layers = live_part(small.arrays())
    _check_room(small.steps, layers, large)
    rng = independent_rng(random_state)

    kept: dict[str, NDArray] = {}
    n_planted = [np.count_nonzero(weight) for weight, _ in layers]
    inputs = np.arange(layers[0][0].shape[1])
    factors = np.ones(len(inputs))
    for i, ((weight, bias), layer) in enumerate(zip(layers, large.layers, strict=True)):
        is_output = i == len(layers) - 1
        n_units = len(layer.weight)
        places = np.arange(n_units) if is_output else rng.permutation(n_units)
        units, others = np.split(places, [len(bias)])

        weight = weight / factors[:, None]
        factors = np.ones(len(bias))
        if scaling == "hidden":
            deviation = float(np.sqrt(np.mean(np.square(layer.weight, dtype=np.float64))))
            if deviation == 0:
                raise ValueError(
                    f"All weights of layer {i} of host are 0, so that scaling='hidden' has no "
                    "size for planted ones. Initialize the host, or use scaling='trainable'."
                )
            if n_planted[i] < _THIN_SHARE * np.mean(n_planted):
                deviation *= _THIN_SIZE
            factors = _hiding_factors(weight.reshape(len(weight), -1), deviation, rng)
        weight, bias = factors[:, None, None] * weight, factors * bias

        rows, columns, taps = np.nonzero(weight)
        at = units[rows], inputs[columns], taps
        layer.weight[at] = weight[rows, columns, taps]
        kept_weight = np.zeros(layer.weight.shape, dtype=bool)
        kept_weight[at] = True
        path = f"{layer.name}." if layer.name else ""
        kept[f"{path}weight"] = kept_weight.reshape(host.get_parameter(f"{path}weight").shape)
        if layer.bias is not None:
            layer.bias[units] = bias
            kept[f"{path}bias"] = np.zeros(n_units, dtype=bool)
            kept[f"{path}bias"][units] = bias != 0
            if not bias.all():
                layer.bias[others[: len(others) // 4]] = 0
        inputs = units
    factory = PlantedModule(host, TicketMask(kept), 1 / factors)
    _check_planted(factory, target)
    return factory


def _check_planted(factory: PlantedModule, target: Any) -> None:
    """Check that the masked host computes what `target` does, on inputs that can be guessed."""
    planted: Any = factory(output_scale=True).eval()
    planted.ticket.apply_(planted)
    with torch.no_grad():
        X = draw_inputs(planted)
        if X is None:
            return
        if isinstance(target, nn.Module):
            network: Any = evaluation_copy(target, "target").cpu().to(X.dtype)
        else:
            network = partial(_feed_forward, target)
        check_same_outputs(planted, network, X, ("the planted ticket", "target"))


def _feed_forward(target: Sequence[tuple[ArrayLike, ArrayLike]], X: Tensor) -> Tensor:
    """Evaluate a target of arrays."""
    layers = [(np.asarray(weight), np.asarray(bias)) for weight, bias in target]
    return torch.from_numpy(feed_forward(layers, X.double().numpy())).to(X.dtype)


def _check_room(steps: Sequence[str], layers: Sequence[Affine], host: Chain) -> None:
    """Raise a ValueError unless `host` has room for the layers of a target of these steps."""
    if steps != host.steps:
        if len(layers) != len(host.layers):
            raise ValueError(
                f"host has {len(host.layers)} layers of weights and target has {len(layers)}; "
                "use a host with as many."
            )
        found, wanted = next(
            pair for pair in zip_longest(host.steps, steps, fillvalue="nothing") if len({*pair}) > 1
        )
        raise ValueError(
            f"host has {found} where target has {wanted}; use a host of the same layers, with "
            "more units."
        )
    shapes = [layer.weight.shape for layer in host.layers]
    needed = [weight.shape for weight, _ in layers]
    ends = (shapes[0][1], shapes[-1][0]), (needed[0][1], needed[-1][0])
    if len({*ends}) > 1:
        raise ValueError(
            f"host has {ends[0][0]} inputs and {ends[0][1]} outputs, target has {ends[1][0]} and "
            f"{ends[1][1]}; use a host with as many."
        )
    widest = max((shape[0] for shape in needed[:-1]), default=0)
    for i, (given, need) in enumerate(zip(shapes, needed, strict=True), 1):
        if given[0] < need[0]:
            raise ValueError(
                f"host has {given[0]} units in hidden layer {i} and target needs {need[0]}; "
                f"use a host whose hidden layers have {widest} units or more."
            )
        if given[2] != need[2]:
            raise ValueError(
                f"host reads maps of {given[2]} pixels in layer {host.layers[i - 1].name!r} and "
                f"target maps of {need[2]}; build both for images of the same size."
            )
        if host.layers[i - 1].bias is None and layers[i - 1][1].any():
            raise ValueError(
                f"host has no bias in layer {host.layers[i - 1].name!r} and target needs one; use "
                "a host with biases."
            )
