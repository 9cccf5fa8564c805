"""`format_report`: a seek table as text."""

import textwrap
from collections.abc import Hashable

import pandas as pd

QUALITY: dict[Hashable, str] = {
    "accuracy": "accuracy on noisy held-out data",
    "mse": "mean squared error on noisy held-out data",
}

_LEGEND = """strong: quality of what is kept at its initial weights, outputs rescaled; raw: not
rescaled; weak: trained from its initial weights. overlap: intersection over union with the planted
ticket; chance: that of a random choice. effective: density of what connects inputs with outputs;
collapsed: nothing does."""


def format_report(table: pd.DataFrame) -> str:
    """Lay a seek table out as text.

    Parameters
    ----------
    table : DataFrame
        What `seek` returns, or several of these in one.

    Returns
    -------
    report : str
        Aligned lines, some hundred characters wide: a part for every planted problem,
        with a blank line between densities, and a legend.

    See Also
    --------
    SeekDisplay : The table as a plot.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_tickets.benchmark import COLUMNS, format_report
    >>> row = ["circle", 5, 100, 0, "snip", "single", 0.1, 2090]
    >>> row += ["accuracy", 0.25, 0.16, 0.95, 0.02, 0.01, 0.1, False, 2.3]
    >>> print(format_report(pd.DataFrame([row], columns=COLUMNS)))
    circle, depth 5, width 100, seed 0: accuracy on noisy held-out data
    <BLANKLINE>
    pruner  mode    density   kept  strong    raw   weak  overlap  chance  effective  seconds
    -----------------------------------------------------------------------------------------
    snip    single      0.1  2,090   0.250  0.160  0.950    0.020   0.010        0.1      2.3
    ...
    """
    problems = table.groupby(["task", "depth", "width", "seed", "metric"], sort=False)
    parts = [
        f"{task}, depth {depth}, width {width}, seed {seed}: {QUALITY[metric]}\n\n"
        f"{_format_rows(rows, '{:.3f}' if metric == 'accuracy' else '{:.1e}')}"
        for (task, depth, width, seed, metric), rows in problems
    ]
    return "\n\n".join([*parts, textwrap.fill(_LEGEND, width=100)])


def _format_rows(rows: pd.DataFrame, quality: str) -> str:
    """Aligned lines under a heading."""
    formats = {
        "density": "{:.3g}",
        "kept": "{:,.0f}",
        "strong": quality,
        "raw": quality,
        "weak": quality,
        "overlap": "{:.3f}",
        "chance": "{:.3f}",
        "effective": "{:.3g}",
        "seconds": "{:.1f}",
    }
    short = {"n_kept": "kept", "strong_raw": "raw", "effective_density": "effective"}
    shown = rows.rename(columns=short)
    cells = shown[["pruner", "mode"]].astype(str)
    for column, form in formats.items():
        cells[column] = [form.format(x) if pd.notna(x) else "-" for x in shown[column]]
    cells[""] = ["failed" if pd.isna(x) else "collapsed" if x else "" for x in shown["collapsed"]]
    text = [list(cells), *cells.to_numpy()]
    widths = [max(map(len, column)) for column in zip(*text, strict=True)]
    aligned = [">" if name in formats else "<" for name in cells]
    lines = [
        "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, aligned, widths, strict=True)
        ).rstrip()
        for row in text
    ]
    lines.insert(1, "-" * len(lines[0]))
    # The references form a block, whatever their densities.
    block = rows["density"].where(rows["mode"] != "given", 0).to_numpy()
    for i in reversed(range(1, len(block))):
        if block[i] != block[i - 1]:
            lines.insert(2 + i, "")
    return "\n".join(lines)
