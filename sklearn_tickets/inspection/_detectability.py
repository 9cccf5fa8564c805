"""How well a planted ticket is hidden from detectors that only compare sizes."""

from collections import defaultdict
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from sklearn_tickets.inspection._style import FAINT, INK, PALETTE, Display, add_legend, tidy
from sklearn_tickets.masks import TicketMask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POOLED = "all layers"
_COLOR = PALETTE["blue"]


def detectability(planted: object) -> pd.DataFrame:
    """Measure how well simple detectors find a planted ticket.

    A detector assigns a number to every weight or hidden unit. Its area under the ROC curve
    is the probability that the number of a planted one is larger than that of another one:
    0.5 if the detector has no information, and 0 or 1 if it separates them perfectly. One
    detector looks for planted weights:

    - ``|weight|``.

    The others look for the hidden units that the ticket uses:

    - ``row norm``, the Euclidean norm of a unit's incoming weights;
    - ``row norm / sqrt(fan-in)``, which is comparable between layers;
    - ``|bias|``.

    Parameters
    ----------
    planted : PlantedTicket or PlantedModule
        A planted problem, or the module factory that `plant_ticket` returns.

    Returns
    -------
    table : DataFrame
        One row for each detector and layer with planted and other entries, and one for all
        layers together; columns ``detector, layer, auc, chance_deviation, n_planted, n``.
        ``chance_deviation`` is the standard deviation of the area for a ticket at random
        positions: areas within two deviations of 0.5 are compatible with chance.

    Raises
    ------
    TypeError
        If `planted` is not a planted problem or factory.

    See Also
    --------
    DetectabilityDisplay : The table as a plot.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.inspection import detectability
    >>> hidden = PlantedTicketGenerator("helix", random_state=0).generate(100)
    >>> table = detectability(hidden)
    >>> table[(table.detector == "|weight|") & (table.layer == "all layers")].auc.item() < 0.65
    True
    >>> visible = PlantedTicketGenerator("helix", scaling="trainable", random_state=0)
    >>> table = detectability(visible.generate(100))
    >>> table[(table.detector == "|weight|") & (table.layer == "all layers")].auc.item() > 0.9
    True
    """
    factory = getattr(planted, "module", planted)
    if not callable(factory) or not hasattr(factory, "ticket"):
        raise TypeError(
            "planted must be the return value of PlantedTicketGenerator.generate or plant_ticket; "
            f"got {type(planted).__name__}."
        )
    numbers = _numbers(factory(), factory.ticket)
    rows = []
    for detector, layers in numbers.items():
        pooled = [np.concatenate(part) for part in zip(*layers.values(), strict=True)]
        for layer, (sizes, is_planted) in ({_POOLED: pooled} | layers).items():
            n, n_planted = len(sizes), int(is_planted.sum())
            if 0 < n_planted < n:
                area = roc_auc_score(is_planted, sizes)
                deviation = np.sqrt((n + 1) / (12 * n_planted * (n - n_planted)))
                rows.append((detector, layer, area, deviation, n_planted, n))
    columns = ["detector", "layer", "auc", "chance_deviation", "n_planted", "n"]
    return pd.DataFrame(rows, columns=columns)


def _numbers(
    module: nn.Module, ticket: TicketMask
) -> defaultdict[str, dict[str, tuple[NDArray, NDArray]]]:
    """Return the numbers of each detector in each layer, and which of them are planted."""
    table: defaultdict[str, dict[str, tuple[NDArray, NDArray]]] = defaultdict(dict)
    layers = ticket.allocation().groups
    for names in layers:
        layer = names[0].rpartition(".")[0]
        weight, *bias = (abs(module.get_parameter(name).detach().numpy()) for name in names)
        kept, *kept_bias = (ticket[name].numpy() for name in names)
        weight, kept = weight.reshape(len(weight), -1), kept.reshape(len(kept), -1)
        table["|weight|"][layer] = weight.ravel(), kept.ravel()
        if names == layers[-1]:
            break  # The ticket uses all outputs.
        units = np.logical_or.reduce([kept.any(axis=1), *kept_bias])
        norms = np.linalg.norm(weight, axis=1)
        table["row norm"][layer] = norms, units
        table["row norm / sqrt(fan-in)"][layer] = norms / np.sqrt(weight.shape[1]), units
        if bias:
            table["|bias|"][layer] = bias[0], units
    return table


class DetectabilityDisplay(Display):
    """Areas under the ROC curve of simple detectors of a planted ticket.

    Parameters
    ----------
    table : DataFrame
        The result of `detectability`.

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
    >>> from sklearn_tickets.inspection import DetectabilityDisplay
    >>> planted = PlantedTicketGenerator("circle", random_state=0).generate(100)
    >>> DetectabilityDisplay.from_planted(planted).ax_.get_xlabel()
    'area under the ROC curve (0.5 = chance)'
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_planted(cls, planted: object, *, ax: "Axes | None" = None) -> Self:
        """Call `detectability`, and plot the result.

        Parameters
        ----------
        planted : PlantedTicket or PlantedModule
            A planted problem, or the module factory that `plant_ticket` returns.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : DetectabilityDisplay
            The plotted table.
        """
        return cls(detectability(planted)).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        Each point is an area under the ROC curve. The gray bar behind it spans two standard
        deviations of chance to either side of 0.5. Filled points are all layers together,
        hollow points single layers.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : DetectabilityDisplay
            This display.
        """
        table = self.table.iloc[::-1]
        ax = self._set_axes(ax, (7, 1 + 0.22 * len(table)))
        names = table["detector"].where(table["layer"] == _POOLED, table["layer"])
        places = np.arange(len(table))
        ax.barh(
            places,
            4 * table["chance_deviation"],
            left=0.5 - 2 * table["chance_deviation"],
            color=FAINT,
            label="chance, two standard deviations",
        )
        ax.axvline(0.5, color=INK, linewidth=0.8)
        faces = np.where(table["layer"] == _POOLED, _COLOR, "white")
        ax.scatter(table["auc"], places, 36, faces, edgecolors=_COLOR, zorder=3)
        ax.set_yticks(places, names)
        for label, layer in zip(ax.get_yticklabels(), table["layer"], strict=True):
            label.set_fontweight("bold" if layer == _POOLED else "normal")
        ax.set_xlim(-0.02, 1.02)
        tidy(ax, grid="x")
        ax.set_xlabel("area under the ROC curve (0.5 = chance)")
        add_legend(ax, place="top")
        return self
