"""Tickets that exist by chance: their probability, and the width of network that it takes."""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr
from sklearn.utils.validation import check_array

from sklearn_tickets.datasets.tasks import Affine, linear

Distribution: TypeAlias = Literal["uniform", "normal"]


def ticket_existence_probability(
    target: Sequence[Affine],
    width: int | Sequence[int],
    X: ArrayLike,
    *,
    tolerance: float = 0.1,
    distribution: Distribution = "uniform",
) -> float:
    r"""Bound from below the probability that a random network contains a ticket.

    Masked by a strong lottery ticket, the untrained network computes the outputs of a small
    target network within `tolerance`, up to a known positive factor. The bound, after [1]_, counts
    only tickets with the same units and weights as the target.

    Parameters
    ----------
    target : sequence of (weight, bias)
        The small ReLU network: per layer, arrays of shapes (n_outputs, n_inputs) and
        (n_outputs,). Its zeros need no counterpart.
    width : int or sequence of int
        Number of units in each hidden layer of the random network, which has as many layers,
        inputs and outputs as the target.
    X : array-like of shape (n_samples, n_inputs)
        The inputs on which the two networks must agree.
    tolerance : float, default=0.1
        Largest Euclidean distance between their outputs, in the target's units.
    distribution : {"uniform", "normal"}, default="uniform"
        Distribution of the independent weights and biases: uniform on [-1, 1] or standard normal.
        If a layer's weights are scaled, its biases and all later ones must be scaled by the same
        number; then only the known factor changes.

    Returns
    -------
    probability : float
        The lower bound, which is 0.0 if it is vacuous.

    Raises
    ------
    ValueError
        If `target` is not a network of finite numbers, `X` does not fit it, or `width`,
        `tolerance` or `distribution` is out of range.

    See Also
    --------
    ticket_existence_width : Find the width at which the hidden units exist.

    Notes
    -----
    The target's layers l = 1, ..., L are first divided by their largest magnitudes c_l, and
    their biases by those of all layers before, too, which divides the outputs by the product
    c of all c_l. Non-zero parameters of layer l may then deviate by

    .. math:: \epsilon_l = \frac{\epsilon}{L \sqrt{n_l k_l} \max(1, (1 + \sup_x
       \|x^{(l)}\|_1) \prod_{m > l} (\|W_m\|_2 + \epsilon / L))},

    where epsilon is `tolerance` / c, x^(l) the layer's input, n_l the number of its units, and
    k_l the largest number of non-zero parameters of one. The matrix norm is the spectral one;
    the maximum with 1 keeps the norm of a matrix's errors below epsilon / L. A tolerance that is
    large compared with the outputs makes epsilon_l of early layers smaller, not larger.

    A random unit is target unit i with probability q_i, the product of the masses within
    epsilon_l of its non-zero parameters. With uniform weights, q_i is epsilon_l to the power of
    their number, but near -1 and 1 up to half of each mass is outside the support; with normal
    weights, each factor is 0.48 to 0.8 times epsilon_l. A hidden layer can choose among its random
    units, and has all of the target's units with a probability of at least

    .. math:: 1 - \sum_i (1 - q_i')^{width}, \quad q_i' = q_i^2 / \sum_j q_{ij},

    where q_ij is the probability that one random unit could be both i and j. It cannot serve as
    both; if no unit could be two, q' is q, as in [1]_. Output units cannot be chosen: the product
    of their q is the last layer's factor. As units are chosen without regard to the next layer and
    are not rescaled individually, tickets can be much more likely than the bound.

    References
    ----------
    .. [1] J. Fischer and R. Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?",
       International Conference on Learning Representations, 2022. arXiv:2111.11153.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import ticket_existence_probability
    >>> from sklearn_tickets.datasets.tasks import ReluTask
    >>> x = np.linspace(-1, 1, 101)[:, None]
    >>> for width in (10, 1000, 100_000):
    ...     print(f"{ticket_existence_probability(ReluTask().construct(3), width, x):.1e}")
    1.4e-03
    1.2e-02
    1.3e-02
    """
    hidden, outputs = _log_chances(target, X, tolerance, distribution)
    widths = list(width) if isinstance(width, (Sequence, np.ndarray)) else [width] * len(hidden)
    if len(widths) != len(hidden) or min(widths, default=1) < 1:
        raise ValueError(
            f"width={width!r} must be a positive number of units, or one for each of the "
            f"{len(hidden)} hidden layers of target."
        )
    return float(np.exp(outputs.sum())) * _chance_of_hidden(hidden, widths)


def ticket_existence_width(
    target: Sequence[Affine],
    X: ArrayLike,
    *,
    probability: float = 0.95,
    tolerance: float = 0.1,
    distribution: Distribution = "uniform",
) -> int:
    """Find the width at which random hidden layers contain a ticket's units.

    Only very sparse targets exist by chance: the width grows like 1 / q, where q is the
    probability that a random unit is the least likely unit of the target: a tolerance to the power
    of its number of parameters.

    Parameters
    ----------
    target : sequence of (weight, bias)
        The small ReLU network.
    X : array-like of shape (n_samples, n_inputs)
        The inputs on which the two networks must agree.
    probability : float, default=0.95
        Bound that all hidden layers together must reach; above 0 and below 1. The last layer's
        factor, which does not depend on the width, is left out.
    tolerance : float, default=0.1
        Largest Euclidean distance between the outputs, in the target's units.
    distribution : {"uniform", "normal"}, default="uniform"
        Distribution of the random weights and biases.

    Returns
    -------
    width : int
        The smallest number of units, equal in all hidden layers; often astronomical.

    Raises
    ------
    ValueError
        If `probability` is not between 0 and 1, or another parameter is out of range.

    See Also
    --------
    ticket_existence_probability : Compute the bound, including the last layer's factor.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import ticket_existence_width
    >>> from sklearn_tickets.datasets.tasks import HelixTask, ReluTask
    >>> x = np.linspace(-1, 1, 101)[:, None]
    >>> ticket_existence_width(ReluTask().construct(3), x)
    251
    >>> print(f"{ticket_existence_width(HelixTask().construct(3), x):.0e}")
    4e+08
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability={probability} must be above 0 and below 1.")
    hidden, _ = _log_chances(target, X, tolerance, distribution)

    def suffices(width: int) -> bool:
        return _chance_of_hidden(hidden, [width] * len(hidden)) >= probability

    high = 1
    while not suffices(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def _chance_of_hidden(hidden: Sequence[NDArray[np.float64]], widths: Sequence[int]) -> float:
    """Bound the probability that layers of these widths have all hidden units.

    It uses logarithms, so that huge widths do not overflow and tiny results are precise.
    """
    probability = 1.0
    for log_chances, width in zip(hidden, widths, strict=True):
        chances = np.exp(log_chances)
        with np.errstate(divide="ignore", over="ignore"):
            # -log(1 - q) is q where q is tiny.
            log_rates = np.where(chances > 1e-16, np.log(-np.log1p(-chances)), log_chances)
            log_failures = -np.exp(math.log(width) + log_rates)
        probability *= max(0.0, -math.expm1(np.logaddexp.reduce(log_failures)))
    return probability


def _log_chances(
    target: Sequence[Affine], X: ArrayLike, tolerance: float, distribution: str
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64]]:
    """Log-probabilities that a random unit is a target's, of hidden layers and of outputs."""
    if not 0 < tolerance < np.inf:
        raise ValueError(f"tolerance={tolerance} must be positive and finite.")
    if distribution not in ("uniform", "normal"):
        raise ValueError(f"distribution must be 'uniform' or 'normal'; got {distribution!r}.")
    inputs: NDArray[np.float64] = check_array(X, dtype=np.float64, input_name="X")
    layers = [linear(weight, bias) for weight, bias in target]
    n_inputs = inputs.shape[1]
    for i, (weight, bias) in enumerate(layers):
        if weight.shape[1:] != (n_inputs,):
            raise ValueError(
                f"Layer {i} of target has weights of shape {weight.shape} and gets {n_inputs} "
                "inputs; make X and the layers fit together."
            )
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError(
                f"Layer {i} of target has weights or biases that are not finite; use finite ones."
            )
        n_inputs = len(weight)

    layers, factor = _scaled(layers)
    tolerances = _tolerances(layers, inputs, tolerance / factor)
    if min(tolerances) == 0:
        raise ValueError(
            f"tolerance={tolerance} leaves the parameters of target no room in floating point; "
            "use a larger tolerance or a smaller X."
        )
    chances = []
    for (weight, bias), epsilon in zip(layers, tolerances, strict=True):
        units = np.column_stack([weight, bias])
        units = units[units.any(axis=1)]
        chances.append(_log_overlap(units, units, epsilon, distribution))
        if len(chances) < len(layers):
            # A random unit that could be several becomes one of them, all equally likely.
            # If it could be i, it becomes i with a probability of at least one over the
            # expected number that it could be, by Jensen's inequality.
            crowds = [
                np.logaddexp.reduce(_log_overlap(unit, units, epsilon, distribution))
                for unit in units
            ]
            chances[-1] = 2 * chances[-1] - np.array(crowds)
    return chances[:-1], chances[-1]


def _scaled(layers: Sequence[Affine]) -> tuple[list[Affine], float]:
    """Divide each layer by its largest magnitude; also return the factor of the outputs."""
    scaled, factor = [], 1.0
    for weight, bias in layers:
        bias = bias / factor
        largest = max(np.abs(weight).max(), np.abs(bias).max()) or 1.0
        scaled.append((weight / largest, bias / largest))
        factor *= largest
    return scaled, factor


def _tolerances(layers: Sequence[Affine], X: NDArray[np.float64], tolerance: float) -> list[float]:
    """Largest errors of each layer's non-zero parameters with outputs within `tolerance`."""
    share = tolerance / len(layers)
    largest_inputs = []
    for weight, bias in layers:
        largest_inputs.append(np.abs(X).sum(axis=1).max())
        X = np.maximum(X @ weight.T + bias, 0)
    tolerances: list[float] = []
    gain = 1.0
    for (weight, bias), largest in zip(layers[::-1], largest_inputs[::-1], strict=True):
        n_incoming = np.count_nonzero(np.column_stack([weight, bias]), axis=1)
        # Bounds the number of non-zero parameters, 1 at least.
        size = max(1, np.count_nonzero(n_incoming) * n_incoming.max())
        tolerances.append(share / (math.sqrt(size) * max(1.0, (1 + largest) * gain)))
        gain *= float(np.linalg.norm(weight, 2)) + share
    return tolerances[::-1]


def _log_overlap(
    unit: NDArray[np.float64], other: NDArray[np.float64], epsilon: float, distribution: str
) -> NDArray[np.float64]:
    """Log-probability that a random unit is within epsilon of both where they are non-zero."""
    n_bounds = (unit != 0).astype(int) + (other != 0)
    center = (unit + other) / np.maximum(n_bounds, 1)
    half = np.choose(n_bounds, [np.inf, epsilon, epsilon - np.abs(unit - other) / 2])
    half = np.maximum(half, 0)
    if distribution == "uniform":
        mass = (np.minimum(half, 1 - center) + np.minimum(half, 1 + center)) / 2
    else:
        # The difference loses its digits where the interval is short.
        density = np.exp(-(center**2) / 2) / math.sqrt(2 * math.pi)
        difference = ndtr(center + half) - ndtr(center - half)
        mass = np.where(half < 1e-5, 2 * half * density, difference)
    with np.errstate(divide="ignore"):
        return np.log(mass).sum(axis=-1)
