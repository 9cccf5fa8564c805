"""Rings in the plane."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.linalg import block_diag

from sklearn_tickets.datasets.tasks._constructions import (
    Affine,
    absolute_values,
    linear,
    mirror_layers,
    piecewise_linear,
)
from sklearn_tickets.datasets.tasks._task import UniformInputs


@dataclass(frozen=True)
class CircleTask(UniformInputs):
    """Classification of points of the square [-1, 1]^2 by their distance from the center.

    The class is the number of circles (of squared radii 0.2, 0.5 and 0.7) that a point
    lies outside of. Noise gives a share of the points the second most likely class, that
    is the class beyond the circle that is nearest in terms of the logits.

    The ticket approximates x1^2 and x2^2 with piecewise-linear functions and adds them
    up. From four layers of units on it uses |x1| and |x2|; deeper ones first turn and
    fold the plane, which makes the first coordinate nearly the norm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets.tasks import CircleTask
    >>> CircleTask().target(np.array([[0.0, 0.0], [0.6, 0.0], [0.8, 0.0], [1.0, 1.0]]))
    array([0, 1, 2, 3])
    """

    name: ClassVar[str] = "circle"
    kind: ClassVar[Literal["classification"]] = "classification"
    n_inputs: ClassVar[int] = 2
    n_outputs: ClassVar[int] = 4
    feature_names: ClassVar[tuple[str, ...]] = ("x1", "x2")
    target_names: ClassVar[tuple[str, ...]] = ("disc", "inner ring", "outer ring", "outside")

    # The logits of squared norm g are slopes * g + offsets; neighbors cross at the squared
    # radii.
    _squared_radii: ClassVar[NDArray[np.float64]] = np.array([0.2, 0.5, 0.7])
    _slopes: ClassVar[NDArray[np.float64]] = np.array([5.0, 10.0, 20.0, 40.0])
    _offsets: ClassVar[NDArray[np.float64]] = np.array([0.0, -1.0, -6.0, -20.0])

    def target(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self._squared_radii, (X**2).sum(axis=1))

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        wrong = np.flatnonzero(rng.uniform(size=len(y)) < noise)
        logits = (X[wrong] ** 2).sum(axis=1, keepdims=True) * self._slopes + self._offsets
        noisy = y.copy()
        noisy[wrong] = np.argsort(logits, axis=1)[:, -2]
        return noisy

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
            # Twenty knots, as far as each coordinate reaches: across the axis only up to
            # the outermost circle.
            reach = np.sin(angle) * np.sqrt(self._squared_radii[-1]) + 0.01
            share = np.sqrt(2) / (np.sqrt(2) + reach)
            n_along = min(int(np.ceil(20 * share)), 17)
            along = np.linspace(0, np.sqrt(2), n_along)
            across = np.linspace(0, reach, 20 - n_along)
        (w1, b1), (a1, c1) = piecewise_linear(np.square, along)
        (w2, b2), (a2, c2) = piecewise_linear(np.square, across)
        squares = linear(block_diag(w1, w2) @ read, np.concatenate([b1, b2]))
        logits = linear(
            self._slopes[:, None] * np.hstack([a1, a2]), self._slopes * (c1 + c2) + self._offsets
        )
        return (*layers, squares, logits)
