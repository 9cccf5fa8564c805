"""`plant_ticket`: hide a small network in a large one, without changing what it computes."""

import copy
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from sklearn_tickets._mask import TicketMask
from sklearn_tickets._module import plain_module
from sklearn_tickets._train import independent_rng
from sklearn_tickets.datasets._constructions import Layer, live_part
from sklearn_tickets.models import MLP

# Layers with much fewer planted weights than the average get larger ones. So few do not make
# size a better detector, and the outputs come out larger, which matters to training: with
# tiny outputs, one step of Adam on a tiny bias of a late layer is a leap.
_THIN_SHARE, _THIN_SIZE = 0.25, 1.5


class PlantedMLP(MLP):
    """An `MLP` with given layers that knows its ticket and, maybe, its outputs' scale."""

    output_scale: Tensor | None

    def __init__(
        self, layers: nn.ModuleList, ticket: TicketMask, output_scale: Tensor | None
    ) -> None:
        # Not MLP's own: it would draw weights from torch's global random stream.
        nn.Module.__init__(self)
        self.layers = layers
        self.ticket = ticket
        self.register_buffer("output_scale", output_scale)

    def forward(self, X: Tensor) -> Tensor:
        outputs = super().forward(X)
        return outputs if self.output_scale is None else outputs * self.output_scale


class PlantedModule:
    """A factory of networks with a planted ticket, all at the same initial weights.

    Pass it to a skorch net as its ``module``. It can be pickled, deep-copied and cloned,
    and nothing trains the weights it holds: every call returns a fresh copy.

    Parameters
    ----------
    host : MLP
        The network, ticket included. It is copied.
    ticket : TicketMask
        Which of its weights and biases are the ticket.
    output_scale : array-like of shape (n_outputs,)
        Factors that bring the ticket's outputs to the task's units.

    Attributes
    ----------
    ticket : TicketMask
        As given.
    output_scale : ndarray of shape (n_outputs,)
        As given, in float64.

    See Also
    --------
    plant_ticket : Makes a `PlantedModule`.

    Examples
    --------
    >>> from sklearn_tickets.datasets import ReluTask, plant_ticket
    >>> from sklearn_tickets.models import MLP
    >>> host = MLP(n_features=1, n_outputs=1, hidden=(20, 20))
    >>> factory = plant_ticket(ReluTask().construct(depth=4), host, random_state=0)
    >>> factory
    PlantedModule(1-20-20-1, TicketMask(3 of 481 parameters))
    >>> factory().ticket
    TicketMask(3 of 481 parameters)
    """

    def __init__(self, host: MLP, ticket: TicketMask, output_scale: ArrayLike) -> None:
        self._host = copy.deepcopy(host)
        self.ticket = ticket
        self.output_scale = np.array(output_scale, dtype=np.float64)

    def __call__(self, output_scale: bool = False) -> MLP:
        """Make a network at the planted weights.

        Parameters
        ----------
        output_scale : bool, default=False
            Whether the network multiplies its outputs by the factors. It has the same
            parameters either way.

        Returns
        -------
        module : MLP
            With the ticket as its attribute ``ticket``.
        """
        host = copy.deepcopy(self._host)
        dtype = next(host.parameters()).dtype
        scale = torch.tensor(self.output_scale, dtype=dtype) if output_scale else None
        return PlantedMLP(host.layers, self.ticket, scale)

    def __repr__(self) -> str:
        return (
            f"PlantedModule({'-'.join(map(str, _sizes(layers_of(self._host))))}, {self.ticket!r})"
        )


def layers_of(module: MLP) -> tuple[Layer, ...]:
    """Weights and biases of a network on the CPU, as arrays that share its memory.

    Parameters
    ----------
    module : MLP
        The network.

    Returns
    -------
    layers : tuple of (weight, bias)
        Arrays of the network's own type.
    """
    arrays = [parameter.detach().numpy() for parameter in module.parameters()]
    return tuple(zip(arrays[::2], arrays[1::2], strict=True))


def _sizes(layers: Sequence[Layer]) -> list[int]:
    """Number of inputs, of units in each hidden layer, and of outputs."""
    return [layers[0][0].shape[1], *(len(bias) for _, bias in layers)]


def _hiding_factors(
    weight: NDArray[np.float64], deviation: float, rng: RandomState
) -> NDArray[np.float64]:
    """Factors, one per row, that make the size of the rows' non-zero weights ordinary.

    Their root mean square becomes `deviation` times a random number of the row's own, or
    less where the largest would otherwise be beyond three times that.
    """
    magnitude = np.abs(weight)
    n_weights = np.maximum(np.count_nonzero(weight, axis=1), 1)
    root_mean_square = np.sqrt((magnitude**2).sum(axis=1) / n_weights)
    size = np.maximum(root_mean_square, magnitude.max(axis=1) / 3)
    wanted = deviation * rng.uniform(0.8, 1.2, size=len(weight))
    # A unit without weights, a constant, stays as it is.
    return np.divide(wanted, size, out=np.ones(len(weight)), where=size > 0)


def plant_ticket(
    target: Any,
    host: MLP,
    *,
    scaling: Literal["hidden", "trainable"] = "hidden",
    random_state: int | RandomState | None = None,
) -> PlantedModule:
    """Hide a small ReLU network among the random weights of a larger one.

    The units of the small network take the places of randomly drawn units of the host, as
    in [1]_. The weights and biases among them are overwritten, and those alone are the
    ticket: all others of the host set to zero, it computes the small network's outputs.

    Parameters
    ----------
    target : sequence of (weight, bias), MLP or fitted pruner of one
        The small network: per layer, arrays of shapes (n_outputs, n_inputs) and
        (n_outputs,). Zeros are no part of the ticket, and hidden units without weights and
        bias are left out.
    host : MLP
        The large network, with as many layers, inputs and outputs. It is not changed.
    scaling : {"hidden", "trainable"}, default="hidden"
        What size the planted weights have.

        - ``"hidden"``: the size of their layer's other weights. A ReLU unit computes the
          same if its incoming weights are multiplied and its outgoing weights divided by
          a positive number, and every unit gets its own; the outputs keep theirs and are
          to be multiplied by ``output_scale``.
        - ``"trainable"``: the size that they have in `target`, so that ``output_scale``
          is 1 and gradient descent starts well from them.
    random_state : int, RandomState or None, default=None
        Draws the places and the factors.

    Returns
    -------
    factory : PlantedModule
        Makes networks with the planted ticket.

    Raises
    ------
    TypeError
        If the host is not an MLP.
    ValueError
        If the target does not fit into the host, `scaling` is unknown, or a layer of the
        host has no size to hide in.

    Notes
    -----
    A planted unit that has no bias in the target gets the bias 0, so that it does not
    matter whether one masks biases. As this would give the unit away, a random quarter of
    the other units of its layer get the bias 0, too.

    References
    ----------
    .. [1] J. Fischer and R. Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?",
       International Conference on Learning Representations, 2022. arXiv:2111.11153.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.datasets import CircleTask, plant_ticket
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
    if not isinstance(host, MLP):
        raise TypeError(f"host must be an MLP; got {type(host).__name__}.")
    if hasattr(target, "estimator_"):
        target = plain_module(target.estimator_.module_)
    layers = live_part(layers_of(target) if isinstance(target, MLP) else target)
    host = copy.deepcopy(host).cpu()
    host_layers = layers_of(host)
    _check_room(_sizes(layers), _sizes(host_layers))
    rng = independent_rng(random_state)

    kept = [np.zeros(parameter.shape, dtype=bool) for parameter in host.parameters()]
    n_planted = [np.count_nonzero(weight) for weight, _ in layers]
    inputs = np.arange(layers[0][0].shape[1])
    factors = np.ones(len(inputs))
    for i, (weight, bias) in enumerate(layers):
        host_weight, host_bias = host_layers[i]
        kept_weight, kept_bias = kept[2 * i : 2 * i + 2]
        is_output = i == len(layers) - 1
        places = np.arange(len(bias)) if is_output else rng.permutation(len(host_bias))
        units, others = np.split(places, [len(bias)])

        weight = weight / factors
        factors = np.ones(len(bias))
        if scaling == "hidden":
            deviation = float(np.sqrt(np.mean(np.square(host_weight, dtype=np.float64))))
            if deviation == 0:
                raise ValueError(
                    f"All weights of layer {i} of host are 0, so that scaling='hidden' finds no "
                    "size for planted ones. Initialize the host, or use scaling='trainable'."
                )
            if n_planted[i] < _THIN_SHARE * np.mean(n_planted):
                deviation *= _THIN_SIZE
            factors = _hiding_factors(weight, deviation, rng)
        weight, bias = factors[:, None] * weight, factors * bias

        rows, columns = np.nonzero(weight)
        host_weight[units[rows], inputs[columns]] = weight[rows, columns]
        kept_weight[units[rows], inputs[columns]] = True
        host_bias[units] = bias
        kept_bias[units] = bias != 0
        if not bias.all():
            host_bias[others[: len(others) // 4]] = 0
        inputs = units

    names = [name for name, _ in host.named_parameters()]
    return PlantedModule(host, TicketMask(dict(zip(names, kept, strict=True))), 1 / factors)


def _check_room(needed: Sequence[int], given: Sequence[int]) -> None:
    """Raise a ValueError unless a host of sizes `given` has room for a target of `needed`."""
    if len(needed) != len(given):
        raise ValueError(
            f"host has {len(given) - 1} layers of weights and target has {len(needed) - 1}; "
            "use a host with as many."
        )
    if (needed[0], needed[-1]) != (given[0], given[-1]):
        raise ValueError(
            f"host has {given[0]} inputs and {given[-1]} outputs, target has {needed[0]} and "
            f"{needed[-1]}; use a host with as many."
        )
    for layer, (n_needed, n_given) in enumerate(zip(needed, given, strict=True)):
        if n_given < n_needed:
            raise ValueError(
                f"host has {n_given} units in hidden layer {layer} and target needs {n_needed}; "
                f"use a host whose hidden layers have {max(needed[1:-1])} units or more."
            )
