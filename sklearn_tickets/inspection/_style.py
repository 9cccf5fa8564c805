"""How displays look: their axes, palette, frame and legend."""

from collections.abc import Hashable, Iterable
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure, SubFigure
    from numpy.typing import ArrayLike

Name = TypeVar("Name", bound=Hashable)

INK = "#444444"
FAINT = "#dddddd"
TICKET = "planted ticket"
# Okabe and Ito's colors and some more, which color-blind readers can tell apart.
PALETTE = {
    "blue": "#0072b2",
    "vermilion": "#d55e00",
    "green": "#009e73",
    "orange": "#e69f00",
    "purple": "#cc79a7",
    "sky blue": "#56b4e9",
    "black": "#1b1b1b",
    "brown": "#a6761d",
    "violet": "#7570b3",
    "gray": "#8c8c8c",
}
_MARKERS = "osD^vPX<>p"
_LINES = ("-", "--", ":")
_LEGENDS: dict[str, dict[str, Any]] = {
    "right": {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)},
    "top": {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2},
}


class Display:
    """Base class of displays.

    A display's constructor takes the data, and ``plot(ax=None)`` draws them on the axes that
    ``_set_axes`` returns. Classmethods ``from_...`` compute the data first.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    See Also
    --------
    styles : Colors, markers and lines.
    tidy : The frame.
    add_legend : The legend.
    """

    ax_: "Axes"
    figure_: "Figure | SubFigure"

    def _set_axes(self, ax: "Axes | None", figsize: tuple[float, float]) -> "Axes":
        """Set and return the axes to draw on, in a new figure of this size if `ax` is None."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=figsize, layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        return ax


def styles(names: Iterable[Name]) -> dict[Name, tuple[str, str, str]]:
    """Choose a color, a marker and a line style for each name.

    Parameters
    ----------
    names : iterable of hashable
        The names, such as the labels of lines. Repeated names count once.

    Returns
    -------
    styles : dict of tuple (color, marker, line style)
        The styles, by name. No two of the first hundred names share color and marker.
    """
    colors = list(PALETTE.values())
    return {
        name: (colors[i % 10], _MARKERS[(i + i // 10) % 10], _LINES[i // 10 % 3])
        for i, name in enumerate(dict.fromkeys(names))
    }


def draw_ticket(
    ax: "Axes", x: "ArrayLike", y: "ArrayLike", *, color: str = "white", label: str = TICKET
) -> "PathCollection":
    """Draw the planted ticket as stars.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes to draw on.
    x, y : float or array-like of shape (n_points,)
        The positions of the stars.
    color : str, default="white"
        The color inside the stars.
    label : str, default="planted ticket"
        The label in the legend.

    Returns
    -------
    stars : PathCollection
        The stars, a handle for the legend.
    """
    return ax.scatter(
        x, y, 170, color, marker="*", edgecolors=INK, linewidths=1.5, zorder=4, label=label
    )


def add_legend(
    ax: "Axes", handles: list | None = None, *, place: Literal["right", "top"] = "right"
) -> None:
    """Add a legend outside the plot.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes to add it to.
    handles : list of artists, default=None
        The handles to list. If None, those of all artists that have a label.
    place : {"right", "top"}, default="right"
        The side of the plot. There is room for twenty names on the right.
    """
    ax.legend(handles=handles, frameon=False, fontsize="small", **_LEGENDS[place])


def tidy(ax: "Axes", *, grid: Literal["x", "y"] | None = "y") -> None:
    """Draw a faint grid behind the data, and remove the frame at the top and right.

    Parameters
    ----------
    ax : matplotlib Axes
        The axes to change.
    grid : {"x", "y"} or None, default="y"
        The axis whose ticks have grid lines. If None, there is no grid.
    """
    if grid is not None:
        ax.grid(axis=grid, color=FAINT, linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
