"""`make_cubist_spiral`: two interleaved arms with straight edges."""

from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import shuffle as shuffled
from sklearn.utils._param_validation import Interval, validate_params

# Vertices are eighths of a turn apart: two turns.
_ANGLES = np.pi * (1.4 + np.arange(17) / 4)


def _points_along(vertices: NDArray[np.float64], n_points: int) -> NDArray[np.float64]:
    """Place points at equal distances along a polyline, from its first to its last vertex."""
    edges = np.linalg.norm(np.diff(vertices, axis=0), axis=1)
    traveled = np.append(0, np.cumsum(edges))
    stops = np.linspace(0, traveled[-1], n_points)
    return np.column_stack([np.interp(stops, traveled, axis) for axis in vertices.T])


@validate_params(
    {
        "n_samples": [Interval(Integral, 2, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_cubist_spiral(
    n_samples: int = 50_000,
    *,
    shuffle: bool = True,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    r"""Make the Cubist Spiral, two interleaved arms with straight edges.

    The class of a point is its arm. On these data, [1]_ compares pruners of fully connected
    networks 2-w-w-w-1 with a combinatorial search, which finds networks of 30 to 45 non-zero
    parameters; the pruners need many more.

    Parameters
    ----------
    n_samples : int, default=50000
        Number of points: half of them on each arm; the first has one more if it is odd.
    shuffle : bool, default=True
        Whether to shuffle the points. Otherwise they are in the order of the arms, each from the
        inside to the outside.
    random_state : int, RandomState or None, default=None
        Seed of the order. The points themselves are always the same.

    Returns
    -------
    X : float32 ndarray of shape (n_samples, 2)
        The points, standardized: each feature has mean 0 and standard deviation 1.
    y : int64 ndarray of shape (n_samples,)
        0 on the outer arm, 1 on the inner arm.

    Raises
    ------
    ValueError
        If `n_samples` is less than 2.

    Notes
    -----
    An arm is a polyline through 17 vertices at the angles
    :math:`\theta_k = 1.4 \pi + k \pi / 4, k = 0, \ldots, 16`, in polar coordinates

    .. math:: r_k = 10 \theta_k + \pi \pm 15.

    Each arm thus makes two turns of eight edges. There is no noise, and in [1]_ accuracy is
    measured on the training points. The vertices are those of the authors' program, which places
    points edge by edge: two on each vertex between edges, and 49,982 in all. Here, before they are
    standardized, the points of an arm are equally far apart.

    `SpiralTask` has arms of the same kind, but on other points, and with a known ticket.

    References
    ----------
    .. [1] S. Zhang and V. Papyan, "Sparsest Models Elude Pruning: An Exposé of Pruning's
       Current Capabilities", International Conference on Machine Learning, 2024.
       arXiv:2407.04075.

    Examples
    --------
    >>> from sklearn_tickets.datasets import make_cubist_spiral
    >>> X, y = make_cubist_spiral(random_state=0)
    >>> X.shape, y[:5]
    ((50000, 2), array([0, 0, 1, 1, 1]))
    """
    directions = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
    sizes = {15: n_samples - n_samples // 2, -15: n_samples // 2}
    arms = [
        _points_along(directions * (10 * _ANGLES + np.pi + offset)[:, np.newaxis], size)
        for offset, size in sizes.items()
    ]
    X = np.concatenate(arms)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    y = np.repeat(np.arange(2), list(sizes.values()))
    if shuffle:
        X, y = shuffled(X, y, random_state=random_state)
    return X, y
