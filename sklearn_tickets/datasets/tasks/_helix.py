"""A widening helix in space."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine, lifted, linear, piecewise_linear
from sklearn_tickets.datasets.tasks._task import GaussianNoise, UniformInputs


@dataclass(frozen=True)
class HelixTask(UniformInputs, GaussianNoise):
    """Regression of a widening helix: (t cos t, t sin t, t) / 8 pi with t = 5 pi + 3 pi x.

    The ticket interpolates the three coordinates between 30 shared knots; the third is linear and
    needs only one unit. Deeper tickets shift the input and, to pass the ReLUs of identity layers,
    the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets.tasks import HelixTask
    >>> HelixTask().target(np.array([[1.0]])).round(6)
    array([[ 1., -0.,  1.]])
    """

    name: ClassVar[str] = "helix"
    n_inputs: ClassVar[int] = 1
    n_outputs: ClassVar[int] = 3

    def target(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._curve(X[:, 0])

    @staticmethod
    def _curve(x: NDArray[np.float64]) -> NDArray[np.float64]:
        t = np.pi * (5 + 3 * x)
        return np.column_stack([t * np.cos(t), t * np.sin(t), t]) / (8 * np.pi)

    def construct(self, depth: int) -> tuple[Affine, ...]:
        if depth == 3:
            return piecewise_linear(self._curve, np.linspace(-1, 1, 30))
        shift = linear([[1]], 1)
        knots = np.linspace(0, 2, 30)
        curve = piecewise_linear(lambda x: self._curve(x - 1), knots)
        # No coordinate falls below -1.
        return lifted((shift, *curve), lift=1, n_layers=depth - 1)
