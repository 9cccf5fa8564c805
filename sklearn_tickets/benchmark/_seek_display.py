"""`SeekDisplay`: a seek table as a plot of quality against density."""

from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd

from sklearn_tickets.benchmark._names import name_problems
from sklearn_tickets.benchmark._quality import describe_quality
from sklearn_tickets.inspection import INK, Display, add_legend, draw_ticket, styles, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES: dict[Any, Literal["-", "--", "-."]] = {"multi": "-", "single": "--", "learned": "-."}
_LABELS = {"multi": "multi-shot", "single": "single-shot", "learned": "learned mask"}


class SeekDisplay(Display):
    """Quality of trained tickets against density, with a line for each pruner and mode.

    Parameters
    ----------
    table : DataFrame
        The result of `seek`. Tables of several seeds can be concatenated; their medians are
        drawn.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    See Also
    --------
    format_report : Format the table as text.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.benchmark import seek, SeekDisplay
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> generator = PlantedTicketGenerator("relu", width=20, random_state=0)
    >>> table = seek(generator, 300, pruners=["random", "imp"], n_rounds=1, round_epochs=1)
    >>> SeekDisplay(table).plot().ax_.get_title()
    'relu, depth 5, width 20'
    """

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        Solid lines are multi-shot runs, dashed lines single-shot runs and dash-dotted lines
        learned masks. Points are hollow if most networks collapsed. Stars are the planted
        ticket before and after training. The axis of errors is logarithmic.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : SeekDisplay
            This display.

        Raises
        ------
        ValueError
            If the table has several tasks, depths or widths.
        """
        from matplotlib.lines import Line2D

        problems = self.table[["task", "depth", "width", "metric"]].drop_duplicates()
        if len(problems) != 1:
            raise ValueError(
                f"table has {len(problems)} combinations of task, depth and width; select the "
                "rows of one."
            )
        (problem,), metric = name_problems(problems), problems["metric"].iloc[0]
        ax = self._set_axes(ax, (9, 5))
        is_reference = self.table["mode"] == "given"
        found = self.table[~is_reference].astype({"collapsed": float})
        style_of = styles(found["pruner"])

        for (name, mode), rows in found.groupby(["pruner", "mode"], sort=False):
            color, marker, _ = style_of[name]
            points = rows.groupby("density")[["weak", "collapsed"]].median()
            # Pruners are drawn side by side, so that equal points do not hide each other.
            place = list(style_of).index(name) - (len(style_of) - 1) / 2
            x = points.index * 1.03**place
            ax.plot(x, points["weak"], color=color, linestyle=_LINES[mode], linewidth=1.5)
            faces = ["white" if collapsed > 0.5 else color for collapsed in points["collapsed"]]
            ax.scatter(x, points["weak"], 45, faces, marker=marker, edgecolors=color, zorder=3)
        legend: list[Any] = [
            Line2D([], [], color=color, marker=marker, linestyle="", label=name)
            for name, (color, marker, _) in style_of.items()
        ]
        legend += [
            Line2D([], [], color=INK, linestyle=_LINES[mode], label=label)
            for mode, label in _LABELS.items()
            if (found["mode"] == mode).any()
        ]
        legend.append(
            Line2D([], [], color=INK, marker="o", mfc="white", linestyle="", label="collapsed")
        )

        medians = self.table[is_reference].groupby("pruner")[["density", "strong", "weak"]].median()
        for name, line, label in [
            ("dense", (0, (8, 3)), "dense network"),
            ("constant", ":", "constant network"),
        ]:
            if name in medians.index:
                quality = medians["weak"][name]
                legend.append(ax.axhline(quality, color=INK, linestyle=line, lw=1, label=label))
        if "planted" in medians.index:
            x, strong, weak = medians.loc["planted"].to_numpy()
            legend += [
                draw_ticket(ax, x, strong, label="planted ticket, untrained"),
                draw_ticket(ax, x, weak, color=INK, label="planted ticket, trained"),
            ]

        ax.set_xscale("log")
        densities = sorted(found["density"].unique())
        ax.set_xticks(densities, [f"{density:.2g}" for density in densities])
        ax.minorticks_off()
        if metric == "mse":
            ax.set_yscale("log")
        tidy(ax)
        ax.set_xlabel("density (fraction of parameters kept)")
        ax.set_ylabel(describe_quality(metric, problems["depth"].notna().item()))
        ax.set_title(problem)
        add_legend(ax, legend)
        return self
