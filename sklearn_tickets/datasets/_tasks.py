"""The three tasks with a known ticket: what is drawn, what is learned, what solves it."""

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from scipy.linalg import block_diag

from sklearn_tickets.datasets._constructions import (
    Layer,
    absolute_values,
    linear,
    mirror_layers,
    piecewise_linear,
)


class PlantingTask(Protocol):
    """What a `PlantedTicketGenerator` asks of a task.

    Attributes
    ----------
    name : str
        One word.
    kind : {"classification", "regression"}
        Decides the type of y and how nets are trained and scored.
    n_inputs, n_outputs : int
        Number of features, and of classes or regression targets.
    feature_names, target_names : tuple of str
        Names of the inputs, and of the classes or regression targets.
    """

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Literal["classification", "regression"]: ...
    @property
    def n_inputs(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...
    @property
    def target_names(self) -> tuple[str, ...]: ...

    def sample(self, n_samples: int, rng: RandomState) -> NDArray[np.float64]:
        """Draw inputs.

        Parameters
        ----------
        n_samples : int
            How many.
        rng : RandomState
            The only source of randomness.

        Returns
        -------
        X : float64 ndarray of shape (n_samples, n_inputs)
            The inputs.
        """
        ...

    def target(self, X: NDArray[np.float64]) -> NDArray:
        """Compute what a perfect network learns.

        Parameters
        ----------
        X : float64 ndarray of shape (n_samples, n_inputs)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class numbers, or real numbers; without noise.
        """
        ...

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        """Make targets noisy.

        Parameters
        ----------
        X : float64 ndarray of shape (n_samples, n_inputs)
            The inputs.
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Their noise-free targets. They are not changed.
        noise : float
            The share of wrong labels, or the standard deviation of real numbers.
        rng : RandomState
            The only source of randomness.

        Returns
        -------
        y : ndarray
            Noisy targets, of the same shape.
        """
        ...

    def construct(self, depth: int) -> tuple[Layer, ...]:
        """Build a sparse ReLU network that solves the task.

        Parameters
        ----------
        depth : int
            Number of layers of units, inputs and outputs included; at least 3.

        Returns
        -------
        layers : tuple of (weight, bias), of length depth - 1
            Float64 arrays of shapes (n_outputs, n_inputs) and (n_outputs,) per layer. The
            outputs are logits for classification.
        """
        ...


class _UniformInputs(PlantingTask):
    """Inputs are uniform on the cube [-1, 1]^n_inputs."""

    def sample(self, n_samples: int, rng: RandomState) -> NDArray[np.float64]:
        return rng.uniform(-1, 1, size=(n_samples, self.n_inputs))


class GaussianNoise(PlantingTask):
    """Noise of regression targets: independent and Gaussian, of standard deviation `noise`."""

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        return y + noise * rng.standard_normal(y.shape)


@dataclass(frozen=True)
class ReluTask(_UniformInputs, GaussianNoise):
    """Regression of max(0, x) on x in [-1, 1]; the ticket is a single path of units.

    The ticket is exact at every depth: one unit per layer, all weights 1, no biases.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import ReluTask
    >>> ReluTask().target(np.array([[-0.5], [0.5]]))
    array([0. , 0.5])
    """

    name: ClassVar[str] = "relu"
    kind: ClassVar[Literal["regression"]] = "regression"
    n_inputs: ClassVar[int] = 1
    n_outputs: ClassVar[int] = 1
    feature_names: ClassVar[tuple[str, ...]] = ("x",)
    target_names: ClassVar[tuple[str, ...]] = ("relu",)

    def target(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(X[:, 0], 0)

    def construct(self, depth: int) -> tuple[Layer, ...]:
        return (linear([[1]]),) * (depth - 1)


@dataclass(frozen=True)
class CircleTask(_UniformInputs):
    """Classification of points of the square [-1, 1]^2 by their distance from the centre.

    The class is the number of circles (of squared radii 0.2, 0.5 and 0.7) that a point
    lies outside of. Noise gives a share of the points the second most likely class, that
    is the class beyond the circle that is nearest in terms of the logits.

    The ticket approximates x1^2 and x2^2 with piecewise-linear functions and adds them
    up. From four layers of units on it uses |x1| and |x2|; deeper ones first turn and
    fold the plane, which makes the first coordinate nearly the norm.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import CircleTask
    >>> CircleTask().target(np.array([[0.0, 0.0], [0.6, 0.0], [0.8, 0.0], [1.0, 1.0]]))
    array([0, 1, 2, 3])
    """

    name: ClassVar[str] = "circle"
    kind: ClassVar[Literal["classification"]] = "classification"
    n_inputs: ClassVar[int] = 2
    n_outputs: ClassVar[int] = 4
    feature_names: ClassVar[tuple[str, ...]] = ("x1", "x2")
    target_names: ClassVar[tuple[str, ...]] = ("disc", "inner ring", "outer ring", "outside")

    # The logits of squared norm g are slopes * g + offsets; neighbours cross at the squared
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

    def construct(self, depth: int) -> tuple[Layer, ...]:
        layers: tuple[Layer, ...]
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


@dataclass(frozen=True)
class HelixTask(_UniformInputs, GaussianNoise):
    """Regression of a widening helix: (t cos t, t sin t, t) / 8 pi with t = 5 pi + 3 pi x.

    The ticket interpolates the three coordinates between 30 shared knots; the third is
    straight and needs one unit only. Deeper tickets shift the input and, to get through
    the ReLUs of identity layers, the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import HelixTask
    >>> HelixTask().target(np.array([[1.0]])).round(6)
    array([[ 1., -0.,  1.]])
    """

    name: ClassVar[str] = "helix"
    kind: ClassVar[Literal["regression"]] = "regression"
    n_inputs: ClassVar[int] = 1
    n_outputs: ClassVar[int] = 3
    feature_names: ClassVar[tuple[str, ...]] = ("x",)
    target_names: ClassVar[tuple[str, ...]] = ("y1", "y2", "y3")

    def target(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._curve(X[:, 0])

    @staticmethod
    def _curve(x: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.pi * (5 + 3 * x)
        return np.column_stack([t * np.cos(t), t * np.sin(t), t]) / (8 * np.pi)

    def construct(self, depth: int) -> tuple[Layer, ...]:
        if depth == 3:
            return piecewise_linear(self._curve, np.linspace(-1, 1, 30))
        shift = linear([[1]], 1)
        knots = np.linspace(0, 2, 30)
        bends, (weight, bias) = piecewise_linear(lambda x: self._curve(x - 1), knots)
        if depth == 4:
            return shift, bends, (weight, bias)
        # No coordinate falls below -1, so that no ReLU cuts the raised ones.
        identities = (linear(np.eye(3)),) * (depth - 5)
        return shift, bends, (weight, bias + 1), *identities, linear(np.eye(3), -1)


TASKS: dict[str, PlantingTask] = {
    task.name: task for task in (ReluTask(), CircleTask(), HelixTask())
}
