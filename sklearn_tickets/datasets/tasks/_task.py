"""What a planted problem asks of a task, and what tasks have in common."""

from typing import Literal, Protocol

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine


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
    """Inputs are uniform on the cube [-1, 1]^n_inputs."""

    def sample(self, n_samples: int, rng: RandomState) -> NDArray[np.float64]:
        return rng.uniform(-1, 1, size=(n_samples, self.n_inputs))


class GaussianNoise(PlantingTask):
    """Noise of regression targets: independent and Gaussian, of standard deviation `noise`."""

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        return y + noise * rng.standard_normal(y.shape)
