"""How well a planted ticket is hidden: what size alone tells about where it is."""

from collections import defaultdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from sklearn_tickets.inspection._style import INK, add_legend_above, tidy
from sklearn_tickets.masks import TicketMask

_POOLED = "all layers"
_COLOR = "#0072b2"


def detectability(planted) -> pd.DataFrame:
    """Measure how well simple detectors find a planted ticket.

    A detector gives every weight or hidden unit a number. Its area under the ROC curve is
    the probability that a planted one has a larger number than one that is not: 0.5 if the
    detector sees nothing, and it may be 0 as well as 1 if it sees everything. The detectors
    are

    - ``|weight|``, which looks for planted weights;
    - ``row norm``, the Euclidean norm of a unit's incoming weights;
    - ``row norm / sqrt(fan-in)``, the same made comparable between layers;
    - ``|bias|``; these three look for the hidden units that the ticket uses.

    Parameters
    ----------
    planted : PlantedTicket or PlantedModule
        A planted problem, or the factory that `plant_ticket` returns.

    Returns
    -------
    table : DataFrame
        One row for each detector and layer that it can tell anything about, and one for all
        layers together; columns ``detector, layer, auc, chance_deviation, n_planted, n``.
        ``chance_deviation`` is the standard deviation of the area if the ticket were
        anywhere: within two of 0.5 there is nothing to be seen.

    Raises
    ------
    TypeError
        If `planted` is neither.

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
            "planted must be what PlantedTicketGenerator.generate or plant_ticket returns; got "
            f"{type(planted).__name__}."
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
    """By detector and layer: its numbers, and whether what they belong to is planted."""
    table: defaultdict[str, dict[str, tuple[NDArray, NDArray]]] = defaultdict(dict)
    layers = ticket.allocation().groups
    for names in layers:
        layer = names[0].rpartition(".")[0]
        weight, *bias = (abs(module.get_parameter(name).detach().numpy()) for name in names)
        kept, *kept_bias = (ticket[name].numpy() for name in names)
        weight, kept = weight.reshape(len(weight), -1), kept.reshape(len(kept), -1)
        table["|weight|"][layer] = weight.ravel(), kept.ravel()
        if names == layers[-1]:
            break  # all outputs are planted
        units = np.logical_or.reduce([kept.any(axis=1), *kept_bias])
        norms = np.linalg.norm(weight, axis=1)
        table["row norm"][layer] = norms, units
        table["row norm / sqrt(fan-in)"][layer] = norms / np.sqrt(weight.shape[1]), units
        if bias:
            table["|bias|"][layer] = bias[0], units
    return table


class DetectabilityDisplay:
    """How well simple detectors find a planted ticket, layer by layer.

    Parameters
    ----------
    table : DataFrame
        What `detectability` returns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is plotted.
    figure_ : matplotlib Figure
        The figure of these axes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.inspection import DetectabilityDisplay
    >>> planted = PlantedTicketGenerator("circle", random_state=0).generate(100)
    >>> DetectabilityDisplay.from_planted(planted).ax_.get_xlabel()
    'area under the ROC curve (0.5 = not to be seen)'
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_planted(cls, planted, *, ax=None) -> "DetectabilityDisplay":
        """Measure and plot.

        Parameters
        ----------
        planted : PlantedTicket or PlantedModule
            As for `detectability`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : DetectabilityDisplay
            The plotted table.
        """
        return cls(detectability(planted)).plot(ax)

    def plot(self, ax=None):
        """Draw the plot.

        Each point is an area under the ROC curve, and the grey bar behind it spans two
        standard deviations of chance to either side of 0.5: points within tell nothing.
        Filled points are all layers together, hollow ones single layers.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : DetectabilityDisplay
            This object.
        """
        import matplotlib.pyplot as plt

        table = self.table.iloc[::-1]
        if ax is None:
            _, ax = plt.subplots(figsize=(7, 1 + 0.22 * len(table)), layout="constrained")
        names = table["detector"].where(table["layer"] == _POOLED, table["layer"])
        places = np.arange(len(table))
        ax.barh(
            places,
            4 * table["chance_deviation"],
            left=0.5 - 2 * table["chance_deviation"],
            color="#dddddd",
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
        ax.set_xlabel("area under the ROC curve (0.5 = not to be seen)")
        add_legend_above(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
