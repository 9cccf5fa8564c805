"""`TicketMaskDisplay`: a found mask beside the true one, as a network or as images."""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from sklearn_tickets._network import plain_module
from sklearn_tickets.inspection._style import INK
from sklearn_tickets.masks import TicketMask, common_parameters

# An entry's number is 2 if the truth keeps it, plus 1 if the found mask does.
_NAMES = {0: "kept by neither", 1: "superfluous", 2: "missed", 3: "found"}
_NAMES_WITHOUT_TRUTH = {0: "pruned", 3: "kept"}
_COLORS = ("#eeeeee", "#56b4e9", "#d55e00", "#1b1b1b")
_LINES = ("", ":", "--", "-")
_MAX_EDGES = 3000
_PIXELS = 500


class TicketMaskDisplay:
    """Which weights a mask keeps, and which of them belong to the true ticket.

    Only weights are drawn, not biases, and only those that both masks cover.

    Parameters
    ----------
    mask_pred : TicketMask
        The mask found.
    mask_true : TicketMask, default=None
        The true ticket; None shows the found mask alone.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is plotted.
    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    LayerDensityDisplay : How much of each layer several masks keep.

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
        cls, pruner, mask_true=None, *, kind="layers", ax=None
    ) -> "TicketMaskDisplay":
        """Plot the mask of a fitted pruner.

        Parameters
        ----------
        pruner : BasePruner
            A fitted pruner.
        mask_true : TicketMask, default=None
            The true ticket; None takes the planted one, if the pruned network has one.
        kind : {"layers", "network"}, default="layers"
            As for `plot`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : TicketMaskDisplay
            The plotted masks.
        """
        check_is_fitted(pruner)
        if mask_true is None:
            mask_true = getattr(plain_module(pruner.estimator_.module_), "ticket", None)
        return cls(pruner.mask_, mask_true).plot(kind, ax)

    @classmethod
    def from_masks(cls, mask_true, mask_pred, *, kind="layers", ax=None) -> "TicketMaskDisplay":
        """Plot two masks of the same network.

        Parameters
        ----------
        mask_true : TicketMask or None
            The true ticket; None shows the found mask alone.
        mask_pred : TicketMask
            The mask found.
        kind : {"layers", "network"}, default="layers"
            As for `plot`.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : TicketMaskDisplay
            The plotted masks.
        """
        return cls(mask_pred, mask_true).plot(kind, ax)

    def plot(self, kind="layers", ax=None):
        """Draw the plot.

        Parameters
        ----------
        kind : {"layers", "network"}, default="layers"
            What to draw.

            - ``"layers"``: an image of each weight, a row for each unit and a column for each
              of its inputs, or for each entry of the kernels with which it reads them.
            - ``"network"``: units as dots, inputs on the left, and an edge for each weight
              that a mask keeps. For small fully connected networks.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : TicketMaskDisplay
            This object.

        Raises
        ------
        TypeError
            If one of the masks is not a TicketMask.
        ValueError
            If `kind` is unknown, the masks belong to different networks or cover no common
            weight, or the network is not fully connected or has too many edges to draw.
        """
        import matplotlib.pyplot as plt

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
            raise ValueError("The masks have no weight in common; there is nothing to draw.")
        if kind == "network":
            _check_drawable(cells)
        counts = np.bincount(np.concatenate([part.ravel() for part in cells.values()]), minlength=4)
        names = _NAMES_WITHOUT_TRUTH if self.mask_true is None else _NAMES
        labels = {code: f"{name} ({counts[code]:,})" for code, name in names.items()}
        if ax is None:
            rows, columns = _grid(cells)
            size = (8, 6) if kind == "network" else (max(8, 2.3 * columns), max(6, 1.5 * rows))
            _, ax = plt.subplots(figsize=size, layout="constrained")
        handles = (_draw_network if kind == "network" else _draw_layers)(ax, cells, labels)
        ax.legend(
            handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False
        )
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _grid(cells: dict[str, NDArray]) -> tuple[int, int]:
    """Rows and columns of images."""
    n_columns = math.ceil(math.sqrt(len(cells)))
    return -(-len(cells) // n_columns), n_columns


def _check_drawable(cells: dict[str, NDArray]) -> None:
    """Raise a ValueError unless these are layers of one small fully connected network."""
    for name, part in cells.items():
        if part.ndim != 2:
            raise ValueError(
                f"kind='network' draws fully connected layers, but {name!r} has a weight of shape "
                f"{part.shape}; use kind='layers'."
            )
    for (before, first), (name, second) in pairwise(cells.items()):
        if second.shape[1] != len(first):
            raise ValueError(
                f"kind='network' draws layers that follow each other, but {name!r} has "
                f"{second.shape[1]} inputs and {before!r} before it {len(first)} units; use "
                "kind='layers'."
            )
    n_edges = sum(map(np.count_nonzero, cells.values()))
    if n_edges > _MAX_EDGES:
        raise ValueError(
            f"kind='network' draws up to {_MAX_EDGES:,} edges, and the masks keep {n_edges:,} "
            "weights; use kind='layers', or sparser masks."
        )


def _draw_network(ax, cells: dict[str, NDArray], labels: dict[int, str]) -> list:
    """Draw columns of units with edges between them; return the legend."""
    from matplotlib.collections import LineCollection

    n_units = [next(iter(cells.values())).shape[1], *map(len, cells.values())]
    heights = [1 - (np.arange(n) + 0.5) / n for n in n_units]
    is_used = [np.zeros(n, dtype=bool) for n in n_units]
    is_used[0][:] = is_used[-1][:] = True
    legend = []
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
        # Units without an edge are tiny.
        sizes = min(16, 600 / len(used)) * np.where(used, 1, 0.1)
        ax.scatter(np.full(len(used), i), height, sizes, color=INK, zorder=3)
    names = ["inputs", *cells]
    ax.set_xticks(range(len(names)), [f"{a}\n({n})" for a, n in zip(names, n_units, strict=True)])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return legend


def _draw_layers(ax, cells: dict[str, NDArray], labels: dict[int, str]) -> list:
    """Draw an image of each weight; return the legend."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch, Rectangle

    n_rows, n_columns = _grid(cells)
    for i, (name, part) in enumerate(cells.items()):
        row, column = divmod(i, n_columns)
        height, width = part.reshape(len(part), -1).shape
        # Enlarged, so that smoothing for the screen never blurs neighbors into each other.
        image = part.reshape(height, width).repeat(-(-_PIXELS // height), axis=0)
        ax.imshow(
            image.repeat(-(-_PIXELS // width), axis=1),
            cmap=ListedColormap(_COLORS),
            vmin=0,
            vmax=3,
            extent=(column, column + 0.94, row + 0.98, row + 0.2),
            # Colors, not numbers, are averaged where several entries share a pixel.
            interpolation_stage="rgba",
        )
        title = f"{name} ({height} x {width})"
        text = ax.text(column, row + 0.18, title, va="bottom", size="small", clip_on=True)
        # No longer than its image is wide.
        text.set_clip_path(Rectangle((column, row), 0.94, 1, transform=ax.transData))
    ax.set(xlim=(0, n_columns), ylim=(n_rows, 0), aspect="auto")
    ax.set_axis_off()
    return [Patch(color=_COLORS[code], label=label) for code, label in labels.items()]
