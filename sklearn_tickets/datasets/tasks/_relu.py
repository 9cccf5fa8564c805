"""The positive part of a number."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine, linear
from sklearn_tickets.datasets.tasks._task import GaussianNoise, UniformInputs


@dataclass(frozen=True)
class ReluTask(UniformInputs, GaussianNoise):
    """Regression of max(0, x) for x in [-1, 1]; the ticket is a single path of units.

    The ticket is exact at every depth: one unit per layer, all weights 1, no biases.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets.tasks import ReluTask
    >>> ReluTask().target(np.array([[-0.5], [0.5]]))
    array([0. , 0.5])
    """

    name: ClassVar[str] = "relu"
    n_inputs: ClassVar[int] = 1
    n_outputs: ClassVar[int] = 1
    target_names: ClassVar[tuple[str, ...]] = ("relu",)

    def target(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.maximum(X[:, 0], 0)

    def construct(self, depth: int) -> tuple[Affine, ...]:
        return (linear([[1]]),) * (depth - 1)
