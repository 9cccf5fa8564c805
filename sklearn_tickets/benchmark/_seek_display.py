"""`SeekDisplay`: a seek table as a plot of quality against density."""

from collections.abc import Hashable
from itertools import cycle
from typing import Literal

import pandas as pd

from sklearn_tickets.benchmark._report import QUALITY

# Okabe and Ito's colors, which color-blind readers can tell apart, with a marker each.
_STYLES = [
    ("#8c8c8c", "o"),
    ("#e69f00", "s"),
    ("#d55e00", "D"),
    ("#56b4e9", "^"),
    ("#cc79a7", "v"),
    ("#009e73", "P"),
    ("#0072b2", "X"),
    ("#a6761d", "<"),
    ("#7570b3", ">"),
    ("#1b1b1b", "p"),
]
_LINES: dict[Hashable, Literal["-", "--", "-."]] = {"multi": "-", "single": "--", "learned": "-."}
_MODES = {"multi": "multi-shot", "single": "single-shot", "learned": "mask learned"}
_INK = "#444444"


class SeekDisplay:
    """Quality of trained tickets against density, with a line for every pruner and mode.

    Parameters
    ----------
    table : DataFrame
        What `seek` returns. Tables that differ in nothing but the seed may be put in one:
        medians are shown.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is plotted.
    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    format_report : The table as text.

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

    def plot(self, ax=None):
        """Draw the plot.

        Solid lines are multi-shot runs, dashed ones single-shot, dash-dotted ones learned
        masks; hollow points are collapsed networks. Stars are the planted ticket, before and
        after training. Errors have a logarithmic axis.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : SeekDisplay
            This object.

        Raises
        ------
        ValueError
            If the table holds several tasks, depths or widths.
        """
        import matplotlib.pyplot as plt
        from matplotlib.lines import Line2D

        problems = self.table[["task", "depth", "width", "metric"]].drop_duplicates()
        if len(problems) != 1:
            raise ValueError(
                f"table holds {len(problems)} combinations of task, depth and width; plot the "
                "rows of one at a time."
            )
        task, depth, width, metric = problems.iloc[0]
        if ax is None:
            _, ax = plt.subplots(figsize=(9, 5), layout="constrained")
        is_reference = self.table["mode"] == "given"
        found = self.table[~is_reference].astype({"collapsed": float})
        styles = dict(zip(found["pruner"].unique(), cycle(_STYLES), strict=False))

        for (name, mode), rows in found.groupby(["pruner", "mode"], sort=False):
            color, marker = styles[name]
            points = rows.groupby("density")[["weak", "collapsed"]].median()
            # Pruners stand side by side, so that equal points do not hide each other.
            place = list(styles).index(name) - (len(styles) - 1) / 2
            x = points.index * 1.03**place
            ax.plot(x, points["weak"], color=color, linestyle=_LINES[mode], linewidth=1.5)
            faces = ["white" if collapsed > 0.5 else color for collapsed in points["collapsed"]]
            ax.scatter(x, points["weak"], 45, faces, marker=marker, edgecolors=color, zorder=3)
        legend = [
            *(
                Line2D([], [], color=color, marker=marker, linestyle="", label=name)
                for name, (color, marker) in styles.items()
            ),
            *(
                Line2D([], [], color=_INK, linestyle=_LINES[mode], label=label)
                for mode, label in _MODES.items()
                if (found["mode"] == mode).any()
            ),
            Line2D([], [], color=_INK, marker="o", mfc="white", linestyle="", label="collapsed"),
        ]

        medians = self.table[is_reference].groupby("pruner")[["density", "strong", "weak"]].median()
        for name, style, label in [
            ("dense", (0, (8, 3)), "dense network"),
            ("constant", ":", "ignoring the input"),
        ]:
            if name in medians.index:
                quality = medians.loc[name, "weak"]
                legend.append(ax.axhline(quality, color=_INK, linestyle=style, lw=1, label=label))
        for quality, face, label in [
            ("strong", "white", "planted ticket, untrained"),
            ("weak", _INK, "planted ticket, trained"),
        ]:
            if "planted" in medians.index:
                x, y = medians.loc["planted", ["density", quality]]
                star = ax.scatter(
                    x, y, 170, face, marker="*", edgecolors=_INK, zorder=4, label=label
                )
                legend.append(star)

        ax.set_xscale("log")
        densities = sorted(found["density"].unique())
        ax.set_xticks(densities, [f"{density:.2g}" for density in densities])
        ax.minorticks_off()
        if metric == "mse":
            ax.set_yscale("log")
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("density (fraction of parameters kept)")
        ax.set_ylabel(QUALITY[metric])
        ax.set_title(f"{task}, depth {depth}, width {width}")
        ax.legend(handles=legend, loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self
