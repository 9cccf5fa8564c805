"""`LayerDensityDisplay`: the density of each layer under one or several masks."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from sklearn.base import BaseEstimator

from sklearn_tickets._estimators import find_pruner
from sklearn_tickets.inspection._labeled import labeled
from sklearn_tickets.inspection._style import (
    FAINT,
    INK,
    TICKET,
    Display,
    add_legend,
    draw_ticket,
    styles,
    tidy,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import planted_ticket

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_POOLED = "all layers"


class LayerDensityDisplay(Display):
    """Density of each layer, for one or several masks.

    Parameters
    ----------
    table : DataFrame
        One row for each mask and layer, and one for ``"all layers"``, with columns ``mask,
        layer, n_kept, n_parameters, density``. The mask ``"planted ticket"`` is drawn as
        stars.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    See Also
    --------
    TicketMaskDisplay : The weights that a mask keeps in each layer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.inspection import LayerDensityDisplay
    >>> mask = TicketMask({"0.weight": [[1, 1], [1, 0]], "2.weight": [[0, 0]]})
    >>> LayerDensityDisplay.from_masks({"found": mask}).table
        mask       layer  n_kept  n_parameters  density
    0  found           0       3             4     0.75
    1  found           2       0             2     0.00
    2  found  all layers       3             6     0.50
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    @classmethod
    def from_estimator(
        cls,
        pruners: BaseEstimator | Sequence[BaseEstimator] | Mapping[str, BaseEstimator],
        *,
        ticket: TicketMask | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot the masks of fitted pruners.

        Parameters
        ----------
        pruners : fitted pruner, Pipeline or search, or list or mapping of str to these
            Fitted pruners, or pipelines and searches with one. The keys of a mapping are
            their labels.
        ticket : TicketMask, default=None
            The true ticket. If None, the planted one, if a pruned network has one.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : LayerDensityDisplay
            The plotted densities.
        """
        masks = {}
        for name, estimator in labeled(pruners, BaseEstimator, "pruners").items():
            pruner = find_pruner(estimator, "pruners").pruner
            ticket = planted_ticket(pruner) if ticket is None else ticket
            masks[name] = pruner.mask_
        return cls.from_masks(masks, ticket=ticket, ax=ax)

    @classmethod
    def from_masks(
        cls,
        masks: TicketMask | Sequence[TicketMask] | Mapping[str, TicketMask],
        *,
        ticket: TicketMask | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot masks.

        Parameters
        ----------
        masks : TicketMask, or list or mapping of str to TicketMask
            Masks. The keys of a mapping are their labels.
        ticket : TicketMask, default=None
            The true ticket.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : LayerDensityDisplay
            The plotted densities. A layer is a weight together with its bias, if the mask
            covers it.

        Raises
        ------
        ValueError
            If `masks` is empty.
        TypeError
            If one of them is not a TicketMask.
        """
        drawn = labeled(masks, TicketMask, "masks", label="mask")
        if ticket is not None:
            drawn |= labeled({TICKET: ticket}, TicketMask, "ticket")
        rows = []
        for label, mask in drawn.items():
            counts = mask.summary()[["n_kept", "n_parameters"]]
            layers = {names[0].removesuffix(".weight"): names for names in mask.allocation().groups}
            for layer, names in (layers | {_POOLED: list(mask)}).items():
                n_kept, n_parameters = counts.loc[names].sum()
                rows.append((label, layer, n_kept, n_parameters, n_kept / n_parameters))
        columns = ["mask", "layer", "n_kept", "n_parameters", "density"]
        return cls(pd.DataFrame(rows, columns=columns)).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        Filled points are densities. Hollow points at the left edge are layers that are
        pruned entirely. Stars are the planted ticket.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : LayerDensityDisplay
            This display.
        """
        found = self.table[self.table["mask"] != TICKET]
        ticket = self.table[self.table["mask"] == TICKET]
        style_of = styles(found["mask"])
        layers = self.table["layer"][self.table["layer"] != _POOLED].unique()
        places = {layer: i for i, layer in enumerate([*layers, _POOLED])}
        height = 1.2 + len(places) * (0.3 + 0.03 * len(style_of))
        ax = self._set_axes(ax, (8, max(3, height, 1 + 0.2 * len(style_of))))
        is_empty = self.table["density"] == 0
        edge = self.table["density"][~is_empty].min() / 3 if not is_empty.all() else 0.1

        legend: list[Artist] = []
        for i, (name, (color, marker, line)) in enumerate(style_of.items()):
            rows = found[found["mask"] == name]
            x = rows["density"].clip(edge)
            # Masks are drawn side by side, so that equal points do not hide each other.
            y = rows["layer"].map(places) + 0.7 * ((i + 0.5) / len(style_of) - 0.5)
            is_layer, is_hollow = rows["layer"] != _POOLED, rows["density"] == 0
            style: dict[str, Any] = {
                "color": color,
                "marker": marker,
                "markersize": 5,
                "linewidth": 0.8,
            }
            legend += ax.plot(x[is_layer], y[is_layer], linestyle=line, label=str(name), **style)
            ax.plot(x[~is_layer], y[~is_layer], linestyle="", **style)
            ax.plot(x[is_hollow], y[is_hollow], linestyle="", markerfacecolor="white", **style)
        if len(ticket):
            y = ticket["layer"].map(places)
            legend.append(draw_ticket(ax, ticket["density"].clip(edge), y))
        if is_empty.any():
            label = "pruned entirely (hollow)"
            legend.append(ax.axvline(edge, color=INK, linewidth=0.8, linestyle=":", label=label))
        for boundary in range(1, len(places)):
            ax.axhline(boundary - 0.5, color=FAINT, linewidth=0.6)
        ax.set_xscale("log")
        ax.set_xlim(edge / 1.5, 1.5)
        ax.set_yticks(range(len(places)), places)
        ax.get_yticklabels()[-1].set_fontweight("bold")
        ax.set_ylim(len(places) - 0.5, -0.5)
        tidy(ax, grid=None)
        ax.set_xlabel("density (fraction of parameters kept)")
        add_legend(ax, legend)
        return self
