"""`TicketMaskDisplay`: a found mask and the true one, as a network or as images."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from sklearn_tickets._estimators import find_pruner
from sklearn_tickets.inspection._style import INK, PALETTE, Display, add_legend
from sklearn_tickets.masks import TicketMask, common_parameters
from sklearn_tickets.metrics import planted_ticket

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

# The code of an entry is 2 if the truth keeps it, plus 1 if the found mask does.
_NAMES = {0: "kept by neither", 1: "superfluous", 2: "missed", 3: "found"}
_NAMES_WITHOUT_TRUTH = {0: "pruned", 3: "kept"}
_COLORS = ("#eeeeee", PALETTE["sky blue"], PALETTE["vermilion"], PALETTE["black"])
_LINES = ("", ":", "--", "-")
_MAX_EDGES = 3000
_PIXELS = 500


class TicketMaskDisplay(Display):
    """Which weights a mask keeps, and which of them belong to the true ticket.

    Only weights that both masks cover are drawn, no biases.

    Parameters
    ----------
    mask_pred : TicketMask
        The mask found.
    mask_true : TicketMask, default=None
        The true ticket. If None, only the found mask is drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    See Also
    --------
    LayerDensityDisplay : The density of each layer, for several masks.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import RandomPruner
    >>> from sklearn_tickets.inspection import TicketMaskDisplay
    >>> planted = PlantedTicketGenerator("circle", width=30, random_state=0).generate(100)
    >>> pruner = RandomPruner(planted.make_net(max_epochs=1), random_state=0)
    >>> display = TicketMaskDisplay.from_estimator(pruner.fit(planted.X, planted.y))
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['kept by neither (1,685)', 'superfluous (187)', 'missed (97)', 'found (11)']
    """

    def __init__(self, mask_pred: TicketMask, mask_true: TicketMask | None = None) -> None:
        self.mask_pred = mask_pred
        self.mask_true = mask_true

    @classmethod
    def from_estimator(
        cls,
        pruner: BaseEstimator,
        mask_true: TicketMask | None = None,
        *,
        kind: Literal["layers", "network"] = "layers",
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot the mask of a fitted pruner.

        Parameters
        ----------
        pruner : fitted pruner, Pipeline or search
            A fitted pruner, or a pipeline or search with one.
        mask_true : TicketMask, default=None
            The true ticket. If None, the planted one, if the pruned network has one.
        kind : {"layers", "network"}, default="layers"
            As in `plot`.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : TicketMaskDisplay
            The plotted masks.
        """
        found = find_pruner(pruner, "pruner").pruner
        if mask_true is None:
            mask_true = planted_ticket(found)
        return cls(found.mask_, mask_true).plot(kind, ax)

    @classmethod
    def from_masks(
        cls,
        mask_true: TicketMask | None,
        mask_pred: TicketMask,
        *,
        kind: Literal["layers", "network"] = "layers",
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot two masks of the same network.

        Parameters
        ----------
        mask_true : TicketMask or None
            The true ticket. If None, only the found mask is drawn.
        mask_pred : TicketMask
            The mask found.
        kind : {"layers", "network"}, default="layers"
            As in `plot`.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : TicketMaskDisplay
            The plotted masks.
        """
        return cls(mask_pred, mask_true).plot(kind, ax)

    def plot(self, kind: Literal["layers", "network"] = "layers", ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        Parameters
        ----------
        kind : {"layers", "network"}, default="layers"
            The kind of plot.

            - ``"layers"``: an image of each weight, with a row for each unit and a column for
              each of its inputs or entries of its kernels.
            - ``"network"``: units as dots, with inputs on the left, and an edge for each
              weight that a mask keeps. For small fully connected networks.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : TicketMaskDisplay
            This display.

        Raises
        ------
        TypeError
            If one of the masks is not a TicketMask.
        ValueError
            If `kind` is unknown, the masks belong to different networks or cover no common
            weight, or the network is not fully connected or has too many edges to draw.
        """
        if kind not in ("layers", "network"):
            raise ValueError(f"kind must be 'layers' or 'network'; got {kind!r}.")
        mask_true = self.mask_pred if self.mask_true is None else self.mask_true
        cells = {
            name.removesuffix(".weight"): (
                2 * mask_true[name].byte() + self.mask_pred[name]
            ).numpy()
            for name in common_parameters(mask_true, self.mask_pred)
            if self.mask_pred[name].ndim > 1
        }
        if not cells:
            raise ValueError(
                "mask_true and mask_pred have no weight in common; pass masks of the same network."
            )
        if kind == "network":
            _check_drawable(cells)
        counts = np.bincount(np.concatenate([part.ravel() for part in cells.values()]), minlength=4)
        names = _NAMES_WITHOUT_TRUTH if self.mask_true is None else _NAMES
        labels = {code: f"{name} ({counts[code]:,})" for code, name in names.items()}
        rows, columns = _grid(cells)
        size = (8, 6) if kind == "network" else (max(8, 2.3 * columns), max(6, 1.5 * rows))
        ax = self._set_axes(ax, size)
        draw = _draw_network if kind == "network" else _draw_layers
        add_legend(ax, draw(ax, cells, labels), place="top")
        return self


def _grid(cells: dict[str, NDArray]) -> tuple[int, int]:
    """Return the numbers of rows and columns of images."""
    n_columns = math.ceil(math.sqrt(len(cells)))
    return -(-len(cells) // n_columns), n_columns


def _check_drawable(cells: dict[str, NDArray]) -> None:
    """Raise a ValueError unless the layers form a small fully connected network."""
    for name, part in cells.items():
        if part.ndim != 2:
            raise ValueError(
                f"kind='network' needs fully connected layers, but {name!r} has a weight of shape "
                f"{part.shape}; use kind='layers'."
            )
    for (before, first), (name, second) in pairwise(cells.items()):
        if second.shape[1] != len(first):
            raise ValueError(
                f"kind='network' needs a chain of layers, but {name!r} has {second.shape[1]} "
                f"inputs and {before!r} before it {len(first)} units; use kind='layers'."
            )
    n_edges = sum(map(np.count_nonzero, cells.values()))
    if n_edges > _MAX_EDGES:
        raise ValueError(
            f"kind='network' draws at most {_MAX_EDGES:,} edges, but the masks keep {n_edges:,} "
            "weights; use kind='layers' or sparser masks."
        )


def _draw_network(ax: "Axes", cells: dict[str, NDArray], labels: dict[int, str]) -> "list[Artist]":
    """Draw columns of units with edges between them, and return the handles of the legend."""
    from matplotlib.collections import LineCollection

    n_units = [next(iter(cells.values())).shape[1], *map(len, cells.values())]
    heights = [1 - (np.arange(n) + 0.5) / n for n in n_units]
    is_used = [np.zeros(n, dtype=bool) for n in n_units]
    is_used[0][:] = is_used[-1][:] = True
    legend: list[Artist] = []
    for code, label in labels.items():
        if code == 0:
            continue
        edges = []
        for i, part in enumerate(cells.values()):
            units, inputs = np.nonzero(part == code)
            is_used[i][inputs] = is_used[i + 1][units] = True
            starts, ends = heights[i][inputs], heights[i + 1][units]
            edges += [[(i, a), (i + 1, b)] for a, b in zip(starts, ends, strict=True)]
        lines = LineCollection(
            edges, colors=_COLORS[code], linestyles=_LINES[code], linewidths=1.2, label=label
        )
        legend.append(ax.add_collection(lines))
    for i, (height, used) in enumerate(zip(heights, is_used, strict=True)):
        # Units without edges are tiny.
        sizes = min(16, 600 / len(used)) * np.where(used, 1, 0.1)
        ax.scatter(np.full(len(used), i), height, sizes, color=INK, zorder=3)
    names = ["inputs", *cells]
    ax.set_xticks(range(len(names)), [f"{a}\n({n})" for a, n in zip(names, n_units, strict=True)])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return legend


def _draw_layers(ax: "Axes", cells: dict[str, NDArray], labels: dict[int, str]) -> "list[Artist]":
    """Draw an image of each weight, and return the handles of the legend."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch, Rectangle

    n_rows, n_columns = _grid(cells)
    for i, (name, part) in enumerate(cells.items()):
        row, column = divmod(i, n_columns)
        height, width = part.reshape(len(part), -1).shape
        # Enlarged images keep their sharp edges when they are resampled for the screen.
        image = part.reshape(height, width).repeat(-(-_PIXELS // height), axis=0)
        ax.imshow(
            image.repeat(-(-_PIXELS // width), axis=1),
            cmap=ListedColormap(_COLORS),
            vmin=0,
            vmax=3,
            extent=(column, column + 0.94, row + 0.98, row + 0.2),
            # Where several entries share a pixel, colors are averaged and not codes.
            interpolation_stage="rgba",
        )
        title = f"{name} ({height} x {width})"
        text = ax.text(column, row + 0.18, title, va="bottom", size="small", clip_on=True)
        # The text is not wider than its image.
        text.set_clip_path(Rectangle((column, row), 0.94, 1, transform=ax.transData))
    ax.set(xlim=(0, n_columns), ylim=(n_rows, 0), aspect="auto")
    ax.set_axis_off()
    return [Patch(color=_COLORS[code], label=label) for code, label in labels.items()]
