"""`describe_findings`: a seek table in three lines of words."""

from typing import Any

import numpy as np
import pandas as pd

from sklearn_tickets.benchmark._quality import QUALITY_FORMAT, TICKETS, TIE, score

_PROBLEM = ["task", "depth", "width", "seed", "metric"]


def describe_findings(table: pd.DataFrame) -> str:
    """Say in three lines what a seek table shows at the planted ticket's size.

    Parameters
    ----------
    table : DataFrame
        The result of `seek`. Of its densities, the one nearest to the planted ticket's counts.

    Returns
    -------
    text : str
        Three lines: the best sparse network, weak ticket and strong ticket; how far the best of all
        is from the planted ticket, trained with its output scale or without, and from the better
        one of the best random mask and the constant network, of each of which the better one of
        its trained and untrained quality counts; and how much of the planted ticket the masks
        contain. One line if no pruner has a result, or the planted ticket has none.

    Raises
    ------
    ValueError
        If the table has the rows of several problems, or no planted ticket.

    See Also
    --------
    format_report : Format the table as text.

    Examples
    --------
    >>> from sklearn_tickets.benchmark import describe_findings, seek
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> table = seek(
    ...     PlantedTicketGenerator("relu", width=20, random_state=0),
    ...     n_samples=500,
    ...     pruners=["random", "synflow"],
    ...     densities=["ticket"],
    ...     n_rounds=2,
    ...     round_epochs=1,
    ...     final_epochs=5,
    ... )
    >>> print(describe_findings(table))
    With 4 parameters, as many as planted: best weak ticket synflow (single), ...; best strong ...
    Nearest is synflow (single), with ... times the error of the planted ticket (7.4e-05) and ...
    Overlap with the planted mask: synflow (single) 0.000 (chance 0.013), at most 0.000 ...
    """
    if len(table[_PROBLEM].drop_duplicates()) > 1:
        raise ValueError("table has the rows of several problems; select those of one.")
    if not (table["pruner"] == "planted").any():
        raise ValueError(
            "table has no planted ticket to compare with; keep the references. Data without a "
            "planted ticket have none: use `format_report` or `write_report`."
        )
    table = table.assign(best=_better(table))
    table = table[table["best"].notna()]
    tickets = table[table["pruner"].isin(TICKETS)]
    found = table[table["mode"] != "given"]
    if found.empty or tickets.empty:
        return f"No {'pruner' if found.empty else 'planted ticket'} has a result."
    planted = _best(tickets, "best")
    distance = np.abs(np.log(found["density"].astype(float) / planted["density"]))
    found = found[distance == distance.min()]
    n_modes = found.groupby("pruner")["mode"].transform("nunique")
    modes = (" (" + found["mode"] + ")").where(n_modes > 1, "")
    found = found.assign(method=found["pruner"] + modes)
    controls = pd.concat([found[found["pruner"] == "random"], table[table["pruner"] == "constant"]])
    lines = [_kinds(found, planted), _distances(found, planted, controls), _overlaps(found)]
    return "\n".join(lines)


def _better(table: pd.DataFrame) -> pd.Series:
    """Return the better one of trained and untrained quality."""
    qualities = table[["weak", "strong"]].astype(float)
    return qualities.max(axis=1).where(table["metric"] == "accuracy", qualities.min(axis=1))


def _best(rows: pd.DataFrame, column: str) -> Any:
    """Return the row that is best in a column of qualities."""
    return rows.iloc[score(rows[column].astype(float), rows["metric"]).argmax()]


def _kinds(found: pd.DataFrame, planted: Any) -> str:
    """Name the best sparse network, weak ticket and strong ticket."""
    show = QUALITY_FORMAT[planted["metric"]].format
    bests = []
    for kind, rows, column in [
        ("sparse net", found[found["trained_from"] == "sparse net"], "weak"),
        ("weak ticket", found[found["trained_from"] == "weak"], "weak"),
        ("strong ticket", found, "strong"),
    ]:
        if not rows.empty:
            best = _best(rows, column)
            bests.append(f"best {kind} {best['method']}, {show(best[column])}")
    kept, n_planted = sorted({*found["n_kept"]}), planted["n_kept"]
    sizes = f"{kept[0]:,.0f}" + (f" to {kept[-1]:,.0f}" if len(kept) > 1 else "")
    size = "as many as planted" if kept == [n_planted] else f"where {n_planted:,.0f} are planted"
    return f"With {sizes} parameters, {size}: {'; '.join(bests)}."


def _distances(found: pd.DataFrame, planted: Any, controls: pd.DataFrame) -> str:
    """Say how far the best is from the planted ticket, and from the better control."""
    best, metric, truth = _best(found, "best"), planted["metric"], planted["best"]
    others = {"the planted ticket": truth}
    controls = controls[controls["pruner"] != best["pruner"]]
    if not controls.empty:
        control = _best(controls, "best")
        is_random = control["pruner"] == "random"
        name = "the best random mask" if is_random else "the constant network"
        others[name] = control["best"]
    comparisons = []
    for name, quality in others.items():
        gap = best["best"] - quality
        how = f"{abs(gap):.3f} {'below' if gap < 0 else 'above'}"
        if metric == "mse":
            factor = best["best"] / max(quality, np.finfo(float).tiny)
            how = f"with {factor:.2g} times the error of"
        comparisons.append(f"{how} {name} ({QUALITY_FORMAT[metric].format(quality)})")
    pair = score(pd.Series([best["best"], truth], dtype=float), pd.Series([metric] * 2))
    verdict = "as good as planted" if pair[1] - pair[0] <= TIE else "none is as good as planted"
    return f"Nearest is {best['method']}, {' and '.join(comparisons)}: {verdict}."


def _overlaps(found: pd.DataFrame) -> str:
    """Say how much of the planted ticket the masks contain, against chance."""
    nearest, most = _best(found, "best"), found.iloc[found["overlap"].astype(float).argmax()]
    n_above = int((found["overlap"] > 2 * found["chance"]).sum())
    return (
        f"Overlap with the planted mask: {nearest['method']} {nearest['overlap']:.3f} (chance "
        f"{nearest['chance']:.3f}), at most {most['overlap']:.3f} ({most['method']}, chance "
        f"{most['chance']:.3f}); {n_above} of {len(found)} masks share more than twice the chance "
        "level."
    )
