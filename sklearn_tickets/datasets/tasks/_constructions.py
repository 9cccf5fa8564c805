"""Building blocks of ReLU networks with weights set by hand, each a few layers.

A layer is a pair (weight, bias) of float64 arrays with shapes (n_outputs, n_inputs) and
(n_outputs,), as in ``torch.nn.Linear``; a network is a tuple of layers with a ReLU after
all but the last. The blocks follow [1]_. Every weight that is zero in exact arithmetic is exactly
zero.

References
----------
.. [1] J. Fischer and R. Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?",
   International Conference on Learning Representations, 2022. arXiv:2111.11153.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Affine: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]

# Copy the first coordinate and split the second by sign, so that after a ReLU the sum of the split
# parts is its absolute value.
_SPLIT = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
_JOIN = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])


def linear(weight: ArrayLike, bias: ArrayLike = 0.0) -> Affine:
    """Make a layer of float64 arrays.

    Parameters
    ----------
    weight : array-like of shape (n_outputs, n_inputs)
        The weights.
    bias : array-like of shape (n_outputs,) or float, default=0.0
        The biases; a number is used for all of them.

    Returns
    -------
    layer : tuple of ndarray
        Weight and bias.

    Raises
    ------
    ValueError
        If the weights are no matrix, or there are not as many biases as rows.
    """
    weight = np.array(weight, dtype=np.float64)
    if weight.ndim != 2 or np.shape(bias) not in ((), (len(weight),)):
        raise ValueError(
            f"weight has the shape {weight.shape} and bias {np.shape(bias)}; they must have "
            "(n_outputs, n_inputs) and (n_outputs,)."
        )
    return weight, np.full(len(weight), bias, dtype=np.float64)


def feed_forward(layers: Sequence[Affine], X: NDArray) -> NDArray[np.float64]:
    """Evaluate a network.

    Parameters
    ----------
    layers : sequence of (weight, bias)
        The network.
    X : ndarray of shape (n_samples, n_inputs)
        The inputs.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        Outputs of the last layer, which is linear.
    """
    *hidden, (weight, bias) = layers
    for hidden_weight, hidden_bias in hidden:
        X = np.maximum(X @ hidden_weight.T + hidden_bias, 0)
    return X @ weight.T + bias


def live_part(layers: Sequence[Affine]) -> tuple[Affine, ...]:
    """Remove the hidden units that do not affect the outputs.

    These are units without outgoing weights, and units that are always 0: they have no
    incoming weights and no positive bias.

    Parameters
    ----------
    layers : sequence of (weight, bias)
        A network, possibly pruned. Weights may have more than two axes.

    Returns
    -------
    layers : tuple of (weight, bias)
        A network of the remaining units that computes the same outputs.
    """
    links = [(weight != 0).reshape(*weight.shape[:2], -1).any(axis=2) for weight, _ in layers]
    fed = [np.ones(links[0].shape[1], dtype=bool)]
    for link, (_, bias) in zip(links, layers, strict=True):
        fed.append((link & fed[-1]).any(axis=1) | (bias > 0))
    used = [np.ones(len(links[-1]), dtype=bool)]
    for link in links[::-1]:
        used.append((link & used[-1][:, None]).any(axis=0))
    alive = [one & other for one, other in zip(fed, used[::-1], strict=True)]
    # All inputs and outputs stay.
    alive[0][:] = alive[-1][:] = True
    return tuple(
        (weight[np.ix_(rows, columns)], bias[rows])
        for (weight, bias), (columns, rows) in zip(layers, pairwise(alive), strict=True)
    )


def deepened(layers: Sequence[Affine], n_layers: int) -> tuple[Affine, ...]:
    """Add identity layers after the narrowest hidden layer, where they need the fewest weights.

    Parameters
    ----------
    layers : sequence of (weight, bias)
        A network.
    n_layers : int
        Number of layers of weights to reach, at least ``len(layers)``.

    Returns
    -------
    layers : tuple of (weight, bias)
        A network that computes the same outputs.

    Raises
    ------
    ValueError
        If there are more layers already.
    """
    layers = tuple(layers)
    if n_layers < len(layers):
        raise ValueError(
            f"n_layers={n_layers} is less than the {len(layers)} layers that there are; choose "
            "a larger depth."
        )
    if len(layers) == 1 < n_layers:
        # A ReLU keeps only the positive part, so each output comes with its negative.
        weight, bias = layers[0]
        both = np.concatenate([weight, -weight]), np.concatenate([bias, -bias])
        eye = np.eye(len(bias))
        layers = both, linear(np.hstack([eye, -eye]))
    widths = [len(bias) for _, bias in layers[:-1]]
    at = int(np.argmin(widths)) + 1 if widths else 0
    identity = linear(np.eye(layers[at - 1][0].shape[0]))
    return *layers[:at], *(identity,) * (n_layers - len(layers)), *layers[at:]


def lifted(
    layers: Sequence[Affine], lift: float | NDArray[np.float64], n_layers: int
) -> tuple[Affine, ...]:
    """Add identity layers at the end, until there are `n_layers` layers of weights.

    The outputs pass them raised by `lift`, which makes them non-negative: no ReLU changes them.
    """
    *hidden, (weight, bias) = layers
    if len(layers) == n_layers:
        return tuple(layers)
    eye = np.eye(len(bias))
    identities = (linear(eye),) * (n_layers - len(layers) - 1)
    return *hidden, (weight, bias + lift), *identities, linear(eye, -lift)


def zigzag(
    turns: NDArray[np.float64], slope: float, start: float, n_inputs: int, n_layers: int
) -> tuple[Affine, ...]:
    """Build two logits: 0, and a zigzag line of the sum of the inputs.

    The line has the value `start` at the first of `turns`, rises with slope `slope`, and changes
    the slope's sign at the others. The sum is never less than the first. With three or more
    layers of weights, one unit adds up the inputs, and further ones copy the sum.
    """
    slopes = np.append(slope, np.resize([-2 * slope, 2 * slope], len(turns) - 1))
    logits = linear([0 * slopes, slopes], [0, start])
    if n_layers == 2:
        return linear(np.ones((len(turns), n_inputs)), -turns), logits
    total, copies = linear(np.ones((1, n_inputs))), (linear([[1]]),) * (n_layers - 3)
    return total, *copies, linear(np.ones((len(turns), 1)), -turns), logits


def piecewise_linear(
    function: Callable[[NDArray], NDArray], knots: NDArray[np.float64]
) -> tuple[Affine, Affine]:
    """Approximate a function of one variable by a ReLU layer and a linear one.

    The network equals `function` at the knots and is linear between them. The hidden
    units ``relu(p_j (x - s_j))`` alternate between the signs p_j = 1 and -1.

    Parameters
    ----------
    function : callable
        Maps an array of shape (n,) to one of shape (n,) or (n, n_outputs).
    knots : ndarray of shape (n_knots,)
        Increasing and equidistant points s_j.

    Returns
    -------
    hidden, outer : tuple of (weight, bias)
        Weights of shapes (n_knots, 1) and (n_outputs, n_knots).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets.tasks import feed_forward
    >>> from sklearn_tickets.datasets.tasks._constructions import piecewise_linear
    >>> square = piecewise_linear(np.square, knots=np.linspace(0, 1, 3))
    >>> feed_forward(square, np.array([[0.25], [0.5], [1.0]])).ravel()
    array([0.125, 0.25 , 1.   ])
    """
    signs = np.where(np.arange(len(knots)) % 2, -1.0, 1.0)
    values = function(np.append(knots, 2 * knots[-1] - knots[-2])).reshape(len(knots) + 1, -1)
    slopes = np.diff(values, axis=0) / (knots[1] - knots[0])
    bends = np.diff(slopes, axis=0, prepend=0)
    # Units of negative sign are sloped at the first knot; the first unit compensates for it.
    bends[0] += bends[signs < 0].sum(axis=0)
    # Bends that are rounding noise are set to 0: linear parts need no unit.
    bends[np.abs(bends) < 1e-9 * np.abs(bends).max()] = 0
    at_first_knot = np.maximum(signs * (knots[0] - knots), 0)
    hidden = linear(signs[:, None], -signs * knots)
    return hidden, linear(bends.T, values[0] - at_first_knot @ bends)


def absolute_values() -> tuple[Affine, Affine]:
    """Map (x1, x2) to (|x1|, |x2|): four units split them by sign, two add up the parts.

    Returns
    -------
    split, add : tuple of (weight, bias)
        Weights of shapes (4, 2) and (2, 4); no biases.
    """
    split = linear([[1, 0], [-1, 0], [0, 1], [0, -1]])
    add = linear([[1, 1, 0, 0], [0, 0, 1, 1]])
    return split, add


def _reflection(angle: float) -> NDArray[np.float64]:
    """Coordinates of a plane vector along the axis at `angle`, and across it."""
    return np.array([[np.cos(angle), np.sin(angle)], [np.sin(angle), -np.cos(angle)]])


def mirror_layers(n_layers: int) -> tuple[tuple[Affine, ...], NDArray[np.float64], float]:
    """Fold the quarter plane repeatedly, which narrows it and keeps the norm.

    Each layer takes the coordinates along and across the axis at half the previous angle
    (pi/4, pi/8, ...); the ReLU and the sum of the split parts mirror what lies beyond
    the axis. The weights of the next layer reconstruct the mirrored vector.

    Parameters
    ----------
    n_layers : int
        Number of layers, at least 1.

    Returns
    -------
    layers : tuple of (weight, bias)
        The first of shape (3, 2), then (3, 3); no biases.
    join : ndarray of shape (2, 3)
        Reads the two coordinates, along and across the last axis, from the last layer.
    angle : float
        Angle of the last axis, which bounds the angles of all folded vectors.
    """
    angles = np.pi / 4 * 0.5 ** np.arange(n_layers)
    first = linear(_SPLIT @ _reflection(angles[0]))
    further = (
        linear(_SPLIT @ _reflection(angle) @ _reflection(previous) @ _JOIN)
        for previous, angle in pairwise(angles)
    )
    return (first, *further), _JOIN, float(angles[-1])
