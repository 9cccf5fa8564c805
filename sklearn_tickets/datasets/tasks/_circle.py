"""Rings in the plane."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from sklearn_tickets.datasets.tasks._constructions import (
    Affine,
    absolute_values,
    linear,
    mirror_layers,
    piecewise_linear,
)
from sklearn_tickets.datasets.tasks._task import OrderedClasses, UniformInputs


@dataclass(frozen=True)
class CircleTask(UniformInputs, OrderedClasses):
    """Classification of points of the square [-1, 1]^2 by their distance from the center.

    The class is the number of circles (of squared radii 0.2, 0.5 and 0.7) outside of which a point
    lies. Noise gives a share of the points the second most likely class, the one across the circle
    that is nearest in terms of the logits.

    The ticket approximates x1^2 and x2^2 with piecewise-linear functions and adds them
    up. With four or more layers of units, it uses ``|x1|`` and ``|x2|``; with six or more, it first
    rotates and folds the plane, which makes the first coordinate nearly the norm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets.tasks import CircleTask
    >>> CircleTask().target(np.array([[0.0, 0.0], [0.6, 0.0], [0.8, 0.0], [1.0, 1.0]]))
    array([0, 1, 2, 3])
    """

    name: ClassVar[str] = "circle"
    n_inputs: ClassVar[int] = 2
    target_names: ClassVar[tuple[str, ...]] = ("disc", "inner ring", "outer ring", "outside")
    boundaries = (0.2, 0.5, 0.7)  # of the squared norm
    _slopes: ClassVar[NDArray[np.float64]] = np.array([5.0, 10.0, 20.0, 40.0])

    def _value(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return (X**2).sum(axis=1)

    def construct(self, depth: int) -> tuple[Affine, ...]:
        layers: tuple[Affine, ...]
        split, add = absolute_values()
        if depth == 3:
            layers, read = (), np.eye(2)
            along = across = np.linspace(-1, 1, 10)
        elif depth == 4:
            layers, read = (split,), add[0]
            along = across = np.linspace(0, 1, 10)
        elif depth == 5:
            layers, read = (split, add), np.eye(2)
            along = across = np.linspace(0, 1, 10)
        else:
            mirrors, read, angle = mirror_layers(depth - 5)
            layers = (split, add, *mirrors)
            # Twenty knots over the range of the coordinates; across the axis, only up to the
            # outermost circle.
            reach = np.sin(angle) * np.sqrt(self.boundaries[-1]) + 0.01
            share = np.sqrt(2) / (np.sqrt(2) + reach)
            n_along = min(int(np.ceil(20 * share)), 17)
            along = np.linspace(0, np.sqrt(2), n_along)
            across = np.linspace(0, reach, 20 - n_along)
        (w1, b1), (a1, c1) = piecewise_linear(np.square, along)
        (w2, b2), (a2, c2) = piecewise_linear(np.square, across)
        squares = linear(block_diag(w1, w2) @ read, np.concatenate([b1, b2]))
        return *layers, squares, self._logits(np.hstack([a1, a2]), c1 + c2)
