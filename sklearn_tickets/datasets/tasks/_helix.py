"""A widening helix in space."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import (
    Affine,
    linear,
    piecewise_linear,
)
from sklearn_tickets.datasets.tasks._task import GaussianNoise, UniformInputs


@dataclass(frozen=True)
class HelixTask(UniformInputs, GaussianNoise):
    """Regression of a widening helix: (t cos t, t sin t, t) / 8 pi with t = 5 pi + 3 pi x.

    The ticket interpolates the three coordinates between 30 shared knots; the third is
    straight and needs one unit only. Deeper tickets shift the input and, to get through
    the ReLUs of identity layers, the outputs.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets.tasks import HelixTask
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

    def construct(self, depth: int) -> tuple[Affine, ...]:
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
