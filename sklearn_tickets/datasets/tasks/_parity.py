"""The parity of a few bits, which generalizes exclusive or."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine, zigzag
from sklearn_tickets.datasets.tasks._task import TwoClasses


@dataclass(frozen=True)
class ParityTask(TwoClasses):
    """Classification of bits by whether an even or an odd number of them is set.

    With two bits this is exclusive or (XOR). Every input is a bit plus uniform jitter of at most
    0.4 / n_bits, so that no two points are equal. Noise is the share of points in the wrong class.

    The ticket is exact at every depth: the sum of all bits is folded at every integer, by one unit
    per bit. With four or more layers of units, one unit adds up the bits.

    Parameters
    ----------
    n_bits : int, default=2
        Number of inputs, at least 2.

    Raises
    ------
    ValueError
        If `n_bits` is less than 2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.datasets.tasks import ParityTask
    >>> ParityTask().target(np.array([[0.0, 0.0], [0.1, 0.9], [1.1, 1.0]]))
    array([0, 1, 0])
    >>> PlantedTicketGenerator(ParityTask(3), random_state=0).generate(100).ticket_score
    1.0
    """

    n_bits: int = 2

    name: ClassVar[str] = "parity"
    target_names: ClassVar[tuple[str, ...]] = ("even", "odd")

    def __post_init__(self) -> None:
        if self.n_bits < 2:
            raise ValueError(f"n_bits={self.n_bits} must be at least 2.")

    @property
    def n_inputs(self) -> int:
        return self.n_bits

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"bit{i}" for i in range(1, self.n_bits + 1))

    def sample(self, n_samples: int, rng: RandomState) -> NDArray[np.float64]:
        bits = rng.randint(2, size=(n_samples, self.n_bits))
        return bits + rng.uniform(-0.4, 0.4, size=bits.shape) / self.n_bits

    def target(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.rint(X).astype(np.int64).sum(axis=1) % 2

    def construct(self, depth: int) -> tuple[Affine, ...]:
        # The line rises from -1/2 at no bit to 1/2 at one bit, falls to -1/2 at two, and so on.
        turns = np.arange(self.n_bits, dtype=np.float64)
        return zigzag(turns, slope=1.0, start=-0.5, n_inputs=self.n_bits, n_layers=depth - 1)
