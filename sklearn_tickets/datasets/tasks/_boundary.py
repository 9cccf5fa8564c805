"""Classes separated by the level lines of a function."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine
from sklearn_tickets.datasets.tasks._function import Function, FunctionTask
from sklearn_tickets.datasets.tasks._task import OrderedClasses, UniformInputs


@dataclass(frozen=True)
class BoundaryTask(UniformInputs, OrderedClasses):
    """Classification by the number of boundaries that the value of a function exceeds.

    The function takes a single input or is a sum over several inputs: with the squares of two
    inputs, the classes are rings. Noise gives a share of the points the second most likely class,
    the one across the nearest boundary.

    The ticket is that of `FunctionTask`, followed by logits that are linear in its value and cross
    at the boundaries. It is wrong only between a boundary and its piecewise-linear approximation.

    Parameters
    ----------
    function : callable or sequence of callables
        As for `FunctionTask`, with one output.
    boundaries : sequence of float
        Increasing values at which the class changes.
    n_knots : int, default=30
        Number of knots for each function, at least 3, the ends of the interval included.
    interval : tuple of (float, float), default=(-1.0, 1.0)
        Inputs are uniform on it.
    name : str, default="boundaries"
        Name of the task, one word.

    Raises
    ------
    ValueError
        If `boundaries` do not increase, the function has several outputs, or `FunctionTask`
        refuses a parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.datasets.tasks import BoundaryTask
    >>> rings = BoundaryTask((np.square, np.square), boundaries=(0.2, 0.7))
    >>> rings.target(np.array([[0.0, 0.0], [0.0, 0.6], [0.9, 0.0]]))
    array([0, 1, 2])
    >>> planted = PlantedTicketGenerator(rings, random_state=0).generate(1000)
    >>> planted.ticket_score > 0.99
    True
    """

    function: Function | Sequence[Function]
    boundaries: Sequence[float]
    n_knots: int = 30
    interval: tuple[float, float] = (-1.0, 1.0)
    name: str = "boundaries"

    def __post_init__(self) -> None:
        is_list = np.ndim(self.boundaries) == 1 and len(self.boundaries) > 0
        if not (is_list and (np.diff(self.boundaries, prepend=-np.inf) > 0).all()):
            raise ValueError(
                f"boundaries={self.boundaries!r} must be one or more increasing numbers."
            )
        if self._regression.n_outputs != 1:
            raise ValueError(
                f"function={self.function!r} has {self._regression.n_outputs} outputs; it must "
                "have one."
            )

    @cached_property
    def _regression(self) -> FunctionTask:
        """The task of learning the function itself."""
        return FunctionTask(self.function, self.n_knots, self.interval)

    @property
    def n_inputs(self) -> int:
        return self._regression.n_inputs

    def _value(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._regression.target(X).ravel()

    def construct(self, depth: int) -> tuple[Affine, ...]:
        *layers, value = self._regression.construct(depth)
        return *layers, self._logits(*value)
