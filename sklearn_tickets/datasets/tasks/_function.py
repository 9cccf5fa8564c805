"""Tasks made of functions of one variable: a curve, or a sum over the inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from sklearn_tickets.datasets.tasks._constructions import Affine, lifted, linear, piecewise_linear
from sklearn_tickets.datasets.tasks._task import GaussianNoise, UniformInputs

Function: TypeAlias = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class FunctionTask(UniformInputs, GaussianNoise):
    """Regression of a function of one variable, of a curve, or of a sum of such functions.

    The ticket equals each function at equidistant knots and is linear between them: twice as many
    knots make its mean squared error 16 times smaller. Linear parts need no unit. Deeper tickets
    shift the inputs and, to pass the ReLUs of identity layers, the outputs.

    Parameters
    ----------
    function : callable or sequence of callables
        Maps a float64 array of shape (n,) to one of shape (n,) or (n, n_outputs). Each of several
        functions takes its own input, and their values are added. A task is pickled with its
        functions: ``numpy.sin`` can be pickled, a lambda cannot.
    n_knots : int, default=30
        Number of knots for each function, at least 3, the ends of the interval included.
    interval : tuple of (float, float), default=(-1.0, 1.0)
        Inputs are uniform on it.
    name : str, default="function"
        Name of the task, one word.

    Raises
    ------
    ValueError
        If `n_knots` or `interval` is out of range, or a function cannot be called, is constant, or
        does not return a finite number, or a row of finite numbers, for each knot.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.datasets.tasks import FunctionTask
    >>> task = FunctionTask(np.sin, n_knots=20, interval=(0, 6))
    >>> planted = PlantedTicketGenerator(task, random_state=0).generate(1000)
    >>> planted.mask
    TicketMask(60 of 20,501 parameters)
    >>> planted.ticket_score < 1e-4
    True
    >>> FunctionTask((np.square, np.exp)).target(np.array([[3.0, 0.0]]))
    array([10.])
    """

    function: Function | Sequence[Function]
    n_knots: int = 30
    interval: tuple[float, float] = (-1.0, 1.0)
    name: str = "function"

    def __post_init__(self) -> None:
        is_pair = np.shape(self.interval) == (2,)
        if not (is_pair and -np.inf < self.interval[0] < self.interval[1] < np.inf):
            raise ValueError(f"interval={self.interval} must be two finite, increasing numbers.")
        if self.n_knots < 3:
            raise ValueError(f"n_knots={self.n_knots} must be at least 3.")
        of_several = self.function if isinstance(self.function, Sequence) else ()
        if not callable(self.function) and not (of_several and all(map(callable, of_several))):
            raise ValueError(
                f"function={self.function!r} must be a function, or a sequence of functions."
            )
        for function in self._functions:
            try:
                values = np.asarray(function(self._knots))
            except TypeError as error:
                raise ValueError(
                    f"function={function!r} fails on an array ({error}); use functions of NumPy."
                ) from error
            self._check(function, values)

    def _check(self, function: Function, values: NDArray) -> None:
        """Raise a ValueError unless these values at the knots can be planted."""
        if values.ndim not in (1, 2) or len(values) != self.n_knots:
            raise ValueError(
                f"function={function!r} returns an array of shape {values.shape} for "
                f"{self.n_knots} inputs; it must return a number, or a row of numbers, for each."
            )
        finite = np.isfinite(values.reshape(self.n_knots, -1)).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"function={function!r} is not finite at {self._knots[~finite][0]:.6g}; choose "
                f"another interval than {self.interval}."
            )
        if (values == values[0]).all():
            raise ValueError(f"function={function!r} is constant; use one that varies.")

    @property
    def _functions(self) -> tuple[Function, ...]:
        return (self.function,) if callable(self.function) else tuple(self.function)

    @property
    def _knots(self) -> NDArray[np.float64]:
        return np.linspace(*self.interval, self.n_knots)

    @property
    def n_inputs(self) -> int:
        return len(self._functions)

    @property
    def n_outputs(self) -> int:
        return self.target(np.zeros((1, self.n_inputs)) + self.interval[0]).size

    def target(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        values = [f(X[:, i]) for i, f in enumerate(self._functions)]
        return np.sum(values, axis=0, dtype=np.float64)

    def construct(self, depth: int) -> tuple[Affine, ...]:
        start = 0.0 if depth == 3 else self.interval[0]
        hidden, outer = zip(*(self._bends(f, start) for f in self._functions), strict=True)
        weights, biases = zip(*hidden, strict=True)
        bends = linear(block_diag(*weights), np.concatenate(biases))
        weights, biases = zip(*outer, strict=True)
        total = linear(np.hstack(weights), np.sum(biases, axis=0))
        if depth == 3:
            return bends, total
        shift = linear(np.eye(self.n_inputs), -start)
        # The outputs are lowest at knots.
        lowest = np.sum([self._values(f).min(axis=0) for f in self._functions], axis=0)
        return lifted((shift, bends, total), np.maximum(-lowest, 0), n_layers=depth - 1)

    def _values(self, function: Function) -> NDArray[np.float64]:
        """The values of a function at the knots, one row per knot."""
        return np.asarray(function(self._knots), dtype=np.float64).reshape(self.n_knots, -1)

    def _bends(self, function: Function, start: float) -> tuple[Affine, Affine]:
        """Two layers that interpolate a function and take its input minus `start`."""
        values = self._values(function)
        # Linear beyond the last knot, where the function need not be defined.
        values = np.vstack([values, 2 * values[-1] - values[-2]])
        (signs, offsets), (weight, bias) = piecewise_linear(lambda _: values, self._knots - start)
        used = weight.any(axis=0)
        return (signs[used], offsets[used]), (weight[:, used], bias)
