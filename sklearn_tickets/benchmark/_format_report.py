"""`format_report`: a seek table as text."""

import textwrap

import pandas as pd

from sklearn_tickets.benchmark._names import name_problems
from sklearn_tickets.benchmark._quality import QUALITY_FORMAT, describe_quality

_LEGEND = """strong: quality of the ticket at its initial weights, with outputs rescaled; raw: not
rescaled; weak: trained. trained from: weak, from its initial weights; sparse net, never rewound;
strong, not trained, so that weak is strong once more. epochs: all of the fit, those that learn a
mask included. overlap: intersection over union with the planted ticket; chance: that of a random
mask. effective: density of the part that connects inputs with outputs; collapsed: there is none."""


def format_report(table: pd.DataFrame) -> str:
    """Format the table of `seek` as text.

    Parameters
    ----------
    table : DataFrame
        The result of `seek`, or several of them concatenated.

    Returns
    -------
    report : str
        Aligned lines of about 120 characters: a part for each problem, with a blank line before
        each density, and a legend.

    See Also
    --------
    SeekDisplay : Plot the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn_tickets.benchmark import COLUMNS, format_report
    >>> row = ["circle", 5, 100, 0, "snip", "single", "weak", 10, 0.1, 2090]
    >>> row += ["accuracy", 0.25, 0.16, 0.95, 0.02, 0.01, 0.1, False, 2.3]
    >>> print(format_report(pd.DataFrame([row], columns=COLUMNS)))
    circle, depth 5, width 100, seed 0: accuracy on noisy held-out data
    <BLANKLINE>
    pruner  mode    trained from  epochs density    kept  strong     raw    weak ... seconds
    <BLANKLINE>
    snip    single          weak      10     0.1   2,090   0.250   0.160   0.950 ...     2.3
    ...
    """
    keys = [name_problems(table), table["depth"].notna(), table["seed"], table["metric"]]
    parts = [
        f"{problem}, seed {seed}: {describe_quality(metric, is_planted)}\n\n"
        f"{_format_rows(rows, QUALITY_FORMAT[metric])}"
        for (problem, is_planted, seed, metric), rows in table.groupby(keys, sort=False)
    ]
    return "\n\n".join([*parts, textwrap.fill(_LEGEND, width=100)])


def _format_rows(rows: pd.DataFrame, quality: str) -> str:
    """Align the rows, with a blank line before each density."""
    formats = {
        "trained from": "{}",
        "epochs": "{:.0f}",
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
    short = {
        "trained_from": "trained from",
        "n_kept": "kept",
        "strong_raw": "raw",
        "effective_density": "effective",
    }
    cells = rows.rename(columns=short).set_index(["pruner", "mode"])
    cells[""] = cells["collapsed"].map({True: "collapsed", False: ""}).fillna("failed")
    text = cells[[*formats, ""]].to_string(
        formatters={column: form.format for column, form in formats.items()},
        sparsify=False,
        na_rep="-",
        col_space=7,
    )
    columns, index, *lines = map(str.rstrip, text.split("\n"))
    # The references are one block, whatever their densities.
    block = rows["density"].where(rows["mode"] != "given", 0)
    starts = block != block.shift()
    body = [f"\n{line}" if start else line for line, start in zip(lines, starts, strict=True)]
    return "\n".join([index + columns[len(index) :], *body])
