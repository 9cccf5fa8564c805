"""Sentences of a report."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from sklearn_tickets.benchmark._quality import describe_quality
from sklearn_tickets.benchmark._report_rows import CELL, NUMBERS, TICKET_LEVEL
from sklearn_tickets.benchmark._report_statistics import CONTROLS, N_RESAMPLES
from sklearn_tickets.benchmark._report_tables import MISSING, quality_text
from sklearn_tickets.benchmark._seek import COLUMNS

GLOSSARY = {
    "Method": "a pruner in a mode: single-shot, in rounds (multi), or learning its mask. "
    "References are masks that are given, not searched.",
    "Density": "the fraction of the parameters that is kept. The planted size is the density of "
    "the planted ticket.",
    "Quality": "accuracy (higher is better) or mean squared error (mse, lower is better) on noisy "
    "held-out data. Where no ticket is planted, on test data; those of cubist-spiral are the "
    "training points, as published. If not stated otherwise, that after training.",
    "Weak": "the quality after training, from the weights that the table of methods tells: weak, "
    "from the initial ones; sparse net, never rewound; strong, not trained.",
    "Strong, raw": "the quality at the initial weights, with outputs rescaled, and without.",
    "Overlap, chance": "intersection over union with the planted ticket, and that of a random "
    "mask with as many entries in every parameter.",
    "Effective": "the fraction of the parameters on a path from an input to an output. A network "
    "without any has collapsed.",
    "References": "planted, the ticket; shuffled, the ticket permuted within every parameter; "
    "dense, the whole network; scaled, the ticket with its true output scale; constant, the output "
    "biases alone.",
    "Rank": "that of the quality after training among all methods on the same problem at the same "
    "density with the same seed. Equal ones share the mean of their ranks; failed runs are last.",
    "Tie": "accuracies that differ by at most a percentage point, or errors by at most 10 %.",
    "Front": "no faster method is as good.",
}


def count(number: float, noun: str) -> str:
    """Say how many there are."""
    return f"{number:,.0f} {noun}{'' if number == 1 else 's'}"


def name_few(methods: pd.Series) -> str:
    """Name at most three methods, and how many more there are."""
    names = list(methods)
    return "; ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def mishaps(rows: pd.DataFrame) -> Iterator[str]:
    """Say what went wrong in runs."""
    n_failed = int(rows["failed"].sum())
    if n_failed:
        yield (
            f"{count(n_failed, 'run')} of {len(rows):,} failed. They have no quality, rank last "
            "and lose against every control; medians leave them out."
        )
    n_unknown = int(rows[["level", "metric"]].isna().any(axis=1).sum())
    if n_unknown:
        yield (
            f"Of these, {n_unknown:,} failed before it was known how large their tickets are, or "
            "how their quality is measured. They do not count in statistics."
        )
    is_reference = rows["is_reference"]
    kinds = {"pruned network": rows[~is_reference], "reference": rows[is_reference]}
    collapsed = [
        f"{own['collapsed'].sum():,.0f} of {count(len(own), noun)}"
        for noun, own in kinds.items()
        if own["collapsed"].sum()
    ]
    if collapsed:
        yield (
            f"{' and '.join(collapsed)} collapsed: no input is connected with an output. Points "
            "are hollow where most did."
        )
    n_extreme = int(((rows["metric"] == "mse") & rows["weak"].isin([0, np.inf])).sum())
    if n_extreme:
        yield (
            f"{count(n_extreme, 'result')} {'is an error' if n_extreme == 1 else 'are errors'} of "
            "zero or infinity, which plots cannot show."
        )


def repeats(frame: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """Say which rows repeat others, and in which columns of the table they differ."""
    cells = rows.dropna(subset=["level", "metric"])[CELL]
    n_repeats = int(cells.duplicated().sum())
    if n_repeats:
        repeated = cells[cells.duplicated(keep=False)]
        settings = frame.drop(columns=[*NUMBERS, "collapsed", "error"], errors="ignore")
        texts = settings.reset_index(drop=True).loc[repeated.index].astype(str)
        keys = [repeated[column] for column in CELL]
        differing = texts.columns[(texts.groupby(keys).nunique() > 1).any()]
        where = f"; they differ in {', '.join(map(str, differing))}" if len(differing) else ""
        yield (
            f"{count(n_repeats, 'row')} repeat{'s' * (n_repeats == 1)} the problem, method, "
            f"density and seed of another{where}. Such rows count once, with their mean."
        )


def limits(runs: pd.DataFrame) -> Iterator[str]:
    """Say what was not run, which limits what can be concluded."""
    n_seeds = runs.groupby("problem")["seed"].nunique()
    is_single = n_seeds == 1
    if is_single.any():
        where = "" if is_single.all() else f" of {_list(n_seeds[is_single])}"
        yield f"There is one seed{where}, so nothing tells how much results vary with it."
    elif (n_seeds < 5).any():
        yield (
            f"There are {n_seeds.min()} seeds of some problems; bootstrap intervals of fewer than "
            "five seeds are too short."
        )
    found = runs[~runs["is_reference"]]
    n_levels = found.groupby("problem")["level"].nunique()
    if (n_levels == 1).any():
        yield f"There is one density of {_list(n_levels[n_levels == 1])}: a point, no curve."
    is_planted = runs.groupby("problem")["is_planted"].first()
    planted = n_seeds[is_planted]
    for among, subset, what in [
        (n_seeds, found, "Without methods"),
        (planted, runs[runs["pruner"] == "planted"], "Without the planted ticket"),
        (planted, found[found["level"] == TICKET_LEVEL], "Without methods at the ticket's size"),
    ]:
        absent = among.index.difference(pd.Index(subset["problem"]))
        if len(absent):
            yield f"{what}: {_list(n_seeds[absent])}."


def describe_ranks(ranks: pd.DataFrame) -> str:
    """Say what the ranks are from, or why there are none."""
    n_blocks, n_complete = ranks.attrs["n_blocks"], ranks.attrs["n_complete"]
    if ranks.empty:
        return (
            f"There is nothing to rank: in {n_complete} of {count(n_blocks, 'block')} (a problem "
            "at a density with a seed), every method was run, and two methods are needed."
        )
    n_seeds = ranks["n_seeds"].iloc[0]
    text = (
        "Methods are ranked by their quality after training in each of "
        f"{count(n_complete, 'block')}: a problem at a density with a seed. "
    )
    if n_complete < n_blocks:
        text += (
            f"{count(n_blocks - n_complete, 'more block')} do not count, since some method was "
            "not run there. "
        )
    if n_seeds == 1:
        return text + "One seed (n = 1) gives no intervals."
    return text + (
        f"Intervals are over seeds (n = {n_seeds}): the 95 % percentile intervals of "
        f"{N_RESAMPLES:,} bootstrap samples."
    )


def describe_controls(counts: pd.DataFrame, *, is_planted: bool) -> str:
    """Say how methods are compared with controls, and which controls are missing."""
    tickets = (
        " and, at the size of the planted ticket, with the ticket once it is trained and with the "
        "shuffled one"
    )
    text = (
        "Every run is compared with the controls of the same problem, density and seed: with the "
        f"best mode of the random pruner{tickets if is_planted else ''}. Accuracies within a "
        "percentage point and errors within 10 % are ties."
    )
    controls = list(CONTROLS.values())[: None if is_planted else 1]
    missing = [control for control in controls if control not in set(counts["control"])]
    return text + (
        f" There is no comparison with the {' or the '.join(missing)}." if missing else ""
    )


def describe_curves(summary: pd.DataFrame) -> str:
    """Say what the curves of one problem show."""
    metric, is_planted = summary[["metric", "is_planted"]].iloc[0]
    found = summary[~summary["is_reference"] & summary["weak"].notna()]
    if found.empty:
        return "No method has a result."
    lowest = found[found["density"] == found["density"].min()]
    best = lowest[lowest["score"] == lowest["score"].max()]
    verb = "is best" if len(best) == 1 else "are best"
    quality, n_methods = describe_quality(metric, is_planted), found["method"].nunique()
    text = (
        f"The {quality} of {count(n_methods, 'method')} after training, against density; medians "
        f"over seeds. At the lowest density, {lowest['density'].iloc[0]:.3g}, "
        f"{name_few(best['method'])} {verb} with {quality_text(metric, best['weak'].iloc[0])}."
    )
    planted = summary[summary["is_reference"] & (summary["method"] == "planted")]
    row: Any
    for row in planted.itertuples():
        text += (
            f" The planted ticket, at {row.density:.3g}, has {quality_text(metric, row.strong)} "
            f"untrained and {quality_text(metric, row.weak)} trained."
        )
    return text


def describe_costs(costs: pd.DataFrame) -> str:
    """Say what the plot of cost shows."""
    if costs.empty:
        return "No method has a result."
    first = costs.iloc[0]
    quality = describe_quality(first["metric"], first["is_planted"])
    place = "the planted size" if first["level"] == TICKET_LEVEL else "the lowest density"
    best = []
    row: Any
    for row in costs[costs["is_best"]].itertuples():
        text = quality_text(row.metric, row.weak)
        best.append(f"{row.method} ({row.seconds:.2g} s, {text})")
    return (
        f"The {quality} after training against the seconds of the fit, at {place}, "
        f"{first['density']:.3g}. Front of speed and quality (no faster method is as good): "
        f"{', '.join(best)}."
    )


def facts(frame: pd.DataFrame) -> dict[str, str]:
    """List the pruners, their modes, and the values of other columns that have some, but few."""
    found = frame[frame["mode"] != "given"]
    others = [c for c in frame if c not in (*COLUMNS, "parameters", "error")]
    is_data = frame["depth"].isna()
    columns = {"Pruners": found["pruner"], "Modes": found["mode"]}
    for name in others:
        if 1 <= frame[name].astype("string").nunique() <= 5:
            has_none = is_data.any() and frame[name][is_data].isna().all()
            columns[f"{name} (planted problems)" if has_none else str(name)] = frame[name]
    return {
        term: ", ".join(dict.fromkeys(values.dropna().astype(str))) or MISSING
        for term, values in columns.items()
    }


def _list(problems: pd.Series) -> str:
    """List the names in an index, or the number of many."""
    names = list(problems.index)
    return "; ".join(names) if len(names) <= 3 else f"{len(names)} problems"
