"""`RoundsDisplay`: heat maps of the comparison between a pruner's rounds."""

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from sklearn_tickets.inspection._rounds import RoundConnectivity, round_connectivity
from sklearn_tickets.inspection._style import FAINT, Display

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Quantity = Literal["barrier", "angular_distance", "sign_agreement", "mask_overlap"]
# The label of each quantity, and the smallest range of its colors.
_QUANTITIES: dict[str, tuple[str, float, float]] = {
    "barrier": ("error barrier", 0, 0),
    "angular_distance": ("angular distance (1 = orthogonal)", 0, 0),
    "sign_agreement": ("share of equal signs", 0.5, 1),
    "mask_overlap": ("overlap of masks (IoU)", 0, 1),
}


class RoundsDisplay(Display):
    """Heat map of a comparison between the networks of a pruner's rounds.

    Parameters
    ----------
    rounds : RoundConnectivity
        The result of `round_connectivity`.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import IterativeMagnitudePruner
    >>> from sklearn_tickets.inspection import RoundsDisplay
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(400)
    >>> pruner = IterativeMagnitudePruner(
    ...     planted.make_net(max_epochs=1), sparsity=0.75, n_rounds=2, store_rounds=True,
    ...     random_state=0,
    ... ).fit(planted.X, planted.y)
    >>> display = RoundsDisplay.from_estimator(pruner, planted.X, planted.y, n_points=5)
    >>> display.plot("angular_distance").ax_.get_title()
    'angular distance (1 = orthogonal)'
    """

    def __init__(self, rounds: RoundConnectivity) -> None:
        self.rounds = rounds

    @classmethod
    def from_estimator(
        cls,
        pruner: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike,
        *,
        quantity: Quantity = "barrier",
        ax: "Axes | None" = None,
        **options: Any,
    ) -> Self:
        """Call `round_connectivity`, and plot one of the tables.

        Parameters
        ----------
        pruner : fitted pruner, Pipeline or search
            A pruner that was fitted with ``store_rounds=True``, or a meta-estimator with one.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs to measure errors on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or regression targets.
        quantity : str, default="barrier"
            As in `plot`.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.
        **options : dict
            Keyword arguments of `round_connectivity`.

        Returns
        -------
        display : RoundsDisplay
            The plotted table. Its method ``plot`` draws the others.
        """
        return cls(round_connectivity(pruner, X, y, **options)).plot(quantity, ax)

    def plot(self, quantity: Quantity = "barrier", ax: "Axes | None" = None) -> Self:
        """Draw one of the tables as a heat map.

        The values are written into the cells of up to twelve networks. Networks without
        common weights have gray cells.

        Parameters
        ----------
        quantity : {"barrier", "angular_distance", "sign_agreement", "mask_overlap"}, \
default="barrier"
            The table to draw.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : RoundsDisplay
            This display.

        Raises
        ------
        ValueError
            If `quantity` is unknown.
        """
        if quantity not in _QUANTITIES:
            raise ValueError(f"quantity must be one of {', '.join(_QUANTITIES)}; got {quantity!r}.")
        label, low, high = _QUANTITIES[quantity]
        table = getattr(self.rounds, quantity)
        values, n = table.to_numpy(), len(table)
        side = 2 + 0.45 * min(n, 12)
        ax = self._set_axes(ax, (side + 1, side))
        # Unlike min and max, these ignore NaN.
        low = float(np.fmin.reduce(values, axis=None, initial=low))
        high = float(np.fmax.reduce(values, axis=None, initial=high))
        image = ax.imshow(values, "cividis", aspect="auto", vmin=low, vmax=high)
        ax.set_facecolor(FAINT)
        if n <= 12:
            exponent = int(np.floor(np.log10(high or 1)))
            decimals = max(2, -exponent) if exponent < 1 else 0
            for (i, j), value in np.ndenumerate(values):
                ink = "white" if np.less(image.norm(value), 0.5) else "black"
                text = f"{value:.{decimals}f}"
                ax.text(j, i, text, ha="center", va="center", color=ink, fontsize=8)
        step = -(-n // 12)
        places = list(range((n - 1) % step, n, step))
        ax.set_xticks(places, table.columns[places], fontsize=9)
        ax.set_yticks(places, table.index[places], fontsize=9)
        ax.set_xlabel("round")
        ax.set_ylabel("round")
        ax.set_title(label)
        ax.figure.colorbar(image, ax=ax)
        return self
