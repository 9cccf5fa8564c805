"""The interface of tasks, and base classes for their inputs, targets and noise."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine, linear


class PlantingTask(Protocol):
    """Interface of a task for `PlantedTicketGenerator`.

    Attributes
    ----------
    name : str
        Name of the task, one word.
    kind : {"classification", "regression"}
        Determines the type of y and how nets are trained and scored.
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
            Number of samples.
        rng : RandomState
            Source of all random numbers.

        Returns
        -------
        X : float64 ndarray of shape (n_samples, n_inputs)
            The inputs.
        """
        ...

    def target(self, X: NDArray[np.float64]) -> NDArray:
        """Compute targets without noise.

        Parameters
        ----------
        X : float64 ndarray of shape (n_samples, n_inputs)
            The inputs.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Class numbers or real numbers.
        """
        ...

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        """Add noise to targets.

        Parameters
        ----------
        X : float64 ndarray of shape (n_samples, n_inputs)
            The inputs.
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Their targets without noise, which are not modified.
        noise : float
            Share of wrong labels, or standard deviation of the noise of real numbers.
        rng : RandomState
            Source of all random numbers.

        Returns
        -------
        y : ndarray
            Noisy targets, of the same shape.
        """
        ...

    def construct(self, depth: int) -> tuple[Affine, ...]:
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


class UniformInputs(PlantingTask):
    """Inputs are independent and uniform on an interval."""

    interval: tuple[float, float] = (-1.0, 1.0)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return _numbered("x", self.n_inputs)

    def sample(self, n_samples: int, rng: RandomState) -> NDArray[np.float64]:
        return rng.uniform(*self.interval, size=(n_samples, self.n_inputs))


class GaussianNoise(PlantingTask):
    """Targets are real numbers; their noise is Gaussian, of standard deviation `noise`."""

    kind: ClassVar[Literal["regression"]] = "regression"

    @property
    def target_names(self) -> tuple[str, ...]:
        return _numbered("y", self.n_outputs)

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        return y + noise * rng.standard_normal(y.shape)


class TwoClasses(PlantingTask):
    """Targets are classes 0 and 1; noise gives a share of the points the other class."""

    kind: ClassVar[Literal["classification"]] = "classification"
    n_outputs: ClassVar[int] = 2

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        return np.where(rng.uniform(size=len(y)) < noise, 1 - y, y)


class OrderedClasses(PlantingTask):
    """Targets are classes separated by increasing boundaries of a value.

    The logits are linear in the value, and those of neighboring classes cross at their boundary.
    Noise gives a share of the points the second most likely class.
    """

    kind: ClassVar[Literal["classification"]] = "classification"
    boundaries: Sequence[float]

    @property
    def _slopes(self) -> NDArray[np.float64]:
        """Increasing slopes of the logits."""
        return np.arange(self.n_outputs, dtype=np.float64)

    @property
    def _offsets(self) -> NDArray[np.float64]:
        """Logits of the value 0."""
        return -np.cumsum(np.append(0, np.diff(self._slopes) * self.boundaries))

    @property
    def n_outputs(self) -> int:
        return len(self.boundaries) + 1

    @property
    def target_names(self) -> tuple[str, ...]:
        return tuple(f"class{i}" for i in range(self.n_outputs))

    @abstractmethod
    def _value(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute the number that decides on the class of each point."""
        ...

    def target(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.searchsorted(self.boundaries, self._value(X))

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        wrong = np.flatnonzero(rng.uniform(size=len(y)) < noise)
        logits = self._value(X[wrong])[:, None] * self._slopes + self._offsets
        noisy = y.copy()
        noisy[wrong] = np.argsort(logits, axis=1)[:, -2]
        return noisy

    def _logits(self, weight: NDArray[np.float64], bias: NDArray[np.float64]) -> Affine:
        """Turn a layer that outputs the value into one that outputs the logits."""
        return linear(self._slopes[:, None] * weight, self._slopes * bias + self._offsets)


def _numbered(letter: str, n: int) -> tuple[str, ...]:
    return (letter,) if n == 1 else tuple(f"{letter}{i}" for i in range(1, n + 1))
