"""Two interleaved spiral arms with straight edges."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets.datasets.tasks._constructions import Affine, linear, zigzag
from sklearn_tickets.datasets.tasks._task import TwoClasses, UniformInputs

# Width of the ticket's step from one side of the diagonal to the other, in bands. Where it
# rises the ticket is wrong, but a narrower one needs larger weights.
_RAMP = 0.05

# The logit in the middle of a band, large enough that training the ticket starts smoothly.
_LOGIT = 5.0


@dataclass(frozen=True)
class SpiralTask(UniformInputs, TwoClasses):
    """Classification of points of the square [-1, 1]^2 by which of two spiral arms contains them.

    The arms have straight edges and wind n_bands / 2 times; a half-turn about the origin swaps
    them. Noise is the share of points in the wrong class.

    The ticket is wrong only within 0.05 bands of half the diagonal and correct for 99.8 % of all
    points (99.3 % with two bands, 99.9 % with eight). It needs at least five layers of units, and
    has 16 + 4 n_bands weights and biases with five, 12 + 3 n_bands + depth with more: by default
    32, and 30 and 32 at depths 6 and 8.

    Parameters
    ----------
    n_bands : int, default=4
        Half-turns of each arm, at least 2. The square is 2 n_bands - 1 bands wide.

    Raises
    ------
    ValueError
        If `n_bands` is less than 2.

    Notes
    -----
    With bands of width :math:`s = 2 / (2 n_{bands} - 1)`, and :math:`e = 1` where
    :math:`x_1 > x_2` and -1 elsewhere, the class is the parity of
    :math:`\\lfloor r / s + 1/2 \\rfloor`, where

    .. math:: r = \\max(x_1, x_2) + \\max(e s - x_1 - x_2, 0).

    The edges of bands are halves of squares, about (-s/2, -s/2) above the diagonal and
    (s/2, s/2) below. At the upper right, halves of the same r meet; at the lower left, each meets
    the half whose r is larger by 2 s, which has the same class. The bands thus join into two arms.

    The ticket replaces the step e by a ramp: four units hold the inputs and the bends of the ramp,
    two hold the parts of r, and one per band forms a zigzag line that is 0 at the edges. With six
    or more layers of units, one unit adds up r.

    The task is modeled on the Cubist Spiral of [1]_ but does not use its data: here, a small
    ticket is known by construction, though perhaps not the smallest. For their data, the authors
    report networks with 30 to 45 non-zero parameters.

    References
    ----------
    .. [1] S. Zhang and V. Papyan, "Sparsest Models Elude Pruning: An Exposé of Pruning's
       Current Capabilities", International Conference on Machine Learning, 2024.
       arXiv:2407.04075.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.datasets.tasks import SpiralTask
    >>> x1, x2 = np.meshgrid(np.arange(-3, 4) / 3.5, np.arange(3, -4, -1) / 3.5)
    >>> arms = SpiralTask().target(np.column_stack([x1.ravel(), x2.ravel()]))
    >>> for row in arms.reshape(7, 7):
    ...     print("".join("-#"[arm] for arm in row))
    #######
    ------#
    -####-#
    -#--#-#
    -#----#
    -######
    -------
    >>> planted = PlantedTicketGenerator(SpiralTask(), random_state=0).generate(1000)
    >>> planted.mask
    TicketMask(32 of 20,702 parameters)
    >>> planted.ticket_score > 0.995
    True
    """

    n_bands: int = 4

    name: ClassVar[str] = "spiral"
    n_inputs: ClassVar[int] = 2
    target_names: ClassVar[tuple[str, ...]] = ("first arm", "second arm")

    def __post_init__(self) -> None:
        if self.n_bands < 2:
            raise ValueError(f"n_bands={self.n_bands} must be at least 2.")

    @property
    def _width(self) -> float:
        return 2 / (2 * self.n_bands - 1)

    def target(self, X: NDArray[np.float64]) -> NDArray[np.int64]:
        side = np.where(X[:, 0] > X[:, 1], 1, -1)
        r = X.max(axis=1) + np.maximum(side * self._width - X.sum(axis=1), 0)
        return np.floor(r / self._width + 0.5).astype(np.int64) % 2

    def construct(self, depth: int) -> tuple[Affine, ...]:
        if depth < 5:
            raise ValueError(
                f"depth={depth} is too small for task 'spiral': its ticket needs three hidden "
                "layers. Set depth to 5 or more."
            )
        width = self._width
        # The ramp s * e has the slope steep**2: one factor is in bends, the other in parts.
        steep = np.sqrt(2 / _RAMP)
        bends = linear(
            [[1, 0], [0, 1], [steep, -steep], [steep, -steep]], [1, 1, 0, -steep * _RAMP * width]
        )
        # They sum up to r + 1; the maximum is x2 + max(x1 - x2, 0).
        parts = linear([[0, 1, 1 / steep, 0], [-1, -1, steep, -steep]], [0, 2 - width])
        # The line is 0 at the edges of bands and turns in the middle of every band.
        turns = np.append(0, 1 + width * np.arange(1, self.n_bands))
        slope = 2 * _LOGIT / width
        start = -slope * (1 + width / 2)
        return bends, parts, *zigzag(turns, slope, start, n_inputs=2, n_layers=depth - 3)
