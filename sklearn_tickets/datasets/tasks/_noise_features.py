"""A task with additional inputs that are irrelevant to it."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine
from sklearn_tickets.datasets.tasks._task import PlantingTask


@dataclass(frozen=True, eq=False)
class WithNoiseFeatures(PlantingTask):
    """A task with irrelevant inputs, drawn like the others but independently of them.

    Parameters
    ----------
    task : PlantingTask
        The task to solve.
    informative : bool ndarray of shape (n_inputs,)
        True for the inputs that the task reads, in its order.
    """

    task: PlantingTask
    informative: NDArray[np.bool_]

    @property
    def name(self) -> str:
        return self.task.name

    @property
    def kind(self) -> Literal["classification", "regression"]:
        return self.task.kind

    @property
    def n_inputs(self) -> int:
        return len(self.informative)

    @property
    def n_outputs(self) -> int:
        return self.task.n_outputs

    @property
    def feature_names(self) -> tuple[str, ...]:
        own, n_noise = iter(self.task.feature_names), np.cumsum(~self.informative)
        return tuple(
            next(own) if is_own else f"noise{n}"
            for is_own, n in zip(self.informative, n_noise, strict=True)
        )

    @property
    def target_names(self) -> tuple[str, ...]:
        return self.task.target_names

    def sample(self, n_samples: int, rng: RandomState) -> NDArray[np.float64]:
        X = np.empty((n_samples, self.n_inputs))
        X[:, self.informative] = self.task.sample(n_samples, rng)
        # Each row of noise joins further rows of the task, which are independent of X.
        n_noise = self.n_inputs - self.task.n_inputs
        n_rows = n_samples * math.ceil(n_noise / self.task.n_inputs)
        noise = self.task.sample(n_rows, rng).reshape(n_samples, -1)
        X[:, ~self.informative] = noise[:, :n_noise]
        return X

    def target(self, X: NDArray[np.float64]) -> NDArray:
        return self.task.target(X[:, self.informative])

    def add_noise(
        self, X: NDArray[np.float64], y: NDArray, noise: float, rng: RandomState
    ) -> NDArray:
        return self.task.add_noise(X[:, self.informative], y, noise, rng)

    def construct(self, depth: int) -> tuple[Affine, ...]:
        (weight, bias), *deeper = self.task.construct(depth)
        first = np.zeros((len(weight), self.n_inputs))
        first[:, self.informative] = weight
        return (first, bias), *deeper
