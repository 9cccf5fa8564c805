"""How the displays look: colors, markers and lines, the planted ticket, a common frame."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)

INK = "#444444"
TICKET = "planted ticket"
# Okabe and Ito's colors and some more, which color-blind readers can tell apart.
_COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7"),
    *("#56b4e9", "#1b1b1b", "#a6761d", "#7570b3", "#8c8c8c"),
)
_MARKERS = "osD^vPX<>p"
_LINES = ("-", "--", ":")


def styles(names: Iterable[Name]) -> dict[Name, tuple[str, str, str]]:
    """Give each name a color, marker and line; after ten names markers and lines change."""
    return {
        name: (_COLORS[i % 10], _MARKERS[(i + i // 10) % 10], _LINES[i // 10 % 3])
        for i, name in enumerate(dict.fromkeys(names))
    }


def draw_ticket(ax, x, y):
    """Draw the planted ticket as stars, which are returned."""
    return ax.scatter(
        *(x, y, 170, "white"),
        marker="*",
        edgecolors=INK,
        linewidths=1.5,
        zorder=4,
        label=TICKET,
    )


def add_legend(ax, handles) -> None:
    """Put a legend beside the plot, where twenty names have room."""
    ax.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        fontsize="small",
    )


def add_legend_above(ax, handles=None) -> None:
    """Put a legend of few names on top of the plot."""
    if handles is None:
        handles, _ = ax.get_legend_handles_labels()
    ax.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        frameon=False,
        fontsize="small",
    )


def tidy(ax, grid="y") -> None:
    """Draw a faint grid behind the data, and no frame around it."""
    ax.grid(axis=grid, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
