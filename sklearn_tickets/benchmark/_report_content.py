"""What a report says: the tables, plots and sentences of both of its formats."""

import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import NamedTuple

import pandas as pd

from sklearn_tickets.benchmark._quality import describe_quality
from sklearn_tickets.benchmark._report_figures import SERIES, Plot, cost_plot, curve_plot
from sklearn_tickets.benchmark._report_findings import best_ranks, findings, overlaps
from sklearn_tickets.benchmark._report_rows import merge_repeats, prepare_rows
from sklearn_tickets.benchmark._report_statistics import comparisons, costs, mean_ranks, medians
from sklearn_tickets.benchmark._report_tables import (
    Table,
    closest_table,
    comparison_table,
    cost_table,
    curve_table,
    last_line,
    median_table,
    method_table,
    problem_table,
    rank_table,
    run_table,
)
from sklearn_tickets.benchmark._report_words import (
    GLOSSARY,
    count,
    describe_controls,
    describe_costs,
    describe_curves,
    describe_ranks,
    facts,
    limits,
    mishaps,
    repeats,
)


class Failure(NamedTuple):
    """The runs that failed with the same message, and the whole traceback of the first."""

    message: str
    n_runs: str
    example: str
    traceback: str


class Problem(NamedTuple):
    """What is said of one problem. There are no plots of nothing."""

    name: str
    quality: str
    curve: Plot | None
    curve_words: str
    curve_table: Table
    cost: Plot | None
    cost_words: str
    cost_table: Table
    ranks: Table


@dataclass(frozen=True)
class Report:
    """What both templates lay out. Sentences are plain text, which they escape."""

    title: str
    lead: str
    findings: list[str]
    closest: Table
    remarks: list[str]
    ranks_text: str
    ranks: Table
    controls_text: str
    controls: Table
    problems: list[Problem]
    facts: dict[str, str]
    problem_table: Table
    method_table: Table
    failures: list[Failure]
    median_table: Table
    run_table: Table
    glossary: dict[str, str]
    colors: dict[str, str]
    versions: str
    date: str


def make_report(frame: pd.DataFrame) -> Report:
    """Make the content of a report.

    Parameters
    ----------
    frame : DataFrame
        As in `write_report`.

    Returns
    -------
    report : Report
        The content.

    Raises
    ------
    ValueError
        If `frame` is no table of `seek`.
    """
    rows = prepare_rows(frame)
    runs = merge_repeats(rows)
    summary = medians(runs)
    ranks, counts = mean_ranks(runs), comparisons(runs)
    is_planted = runs.groupby("problem", sort=False)["is_planted"].first()
    names, is_any_planted = list(is_planted.index), bool(rows["is_planted"].any())
    kinds = is_planted.map({True: "planted problem", False: "data set"}).value_counts(sort=False)
    amounts = {
        "method": runs.loc[~runs["is_reference"], "method"].nunique(),
        **kinds,
        "seed": runs["seed"].nunique(),
        "run": len(rows),
    }
    packages = [f"{name} {version(name)}" for name in ("sklearn-tickets", "torch")]
    return Report(
        title=(
            "Who finds the planted ticket?"
            if is_any_planted
            else "Which pruner finds the best networks?"
        ),
        lead=", ".join(count(n, noun) for noun, n in amounts.items()) + ".",
        findings=[*overlaps(runs), *best_ranks(ranks), *findings(summary)],
        closest=closest_table(summary),
        remarks=[*mishaps(rows), *repeats(frame, rows), *limits(runs)],
        ranks_text=describe_ranks(ranks),
        ranks=rank_table(ranks),
        controls_text=describe_controls(counts, is_planted=is_any_planted),
        controls=comparison_table(counts),
        problems=[
            _problem(i, runs[runs["problem"] == name], summary[summary["problem"] == name])
            for i, name in enumerate(names)
        ],
        facts=facts(frame),
        problem_table=problem_table(rows),
        method_table=method_table(rows),
        failures=_failures(rows),
        median_table=median_table(summary),
        run_table=run_table(frame, rows),
        glossary=GLOSSARY,
        colors=SERIES,
        versions=", ".join([*packages, f"Python {platform.python_version()}"]),
        date=date.today().isoformat(),
    )


def _problem(index: int, runs: pd.DataFrame, summary: pd.DataFrame) -> Problem:
    """Make what is said of one problem."""
    cost = costs(summary)
    return Problem(
        name=runs["problem"].iloc[0],
        quality=describe_quality(runs["metric"].iloc[0], runs["is_planted"].iloc[0]).capitalize(),
        curve=curve_plot(runs, f"curve-{index}"),
        curve_words=describe_curves(summary),
        curve_table=curve_table(summary),
        cost=cost_plot(cost, summary, f"cost-{index}"),
        cost_words=describe_costs(cost),
        cost_table=cost_table(cost),
        ranks=rank_table(mean_ranks(runs)),
    )


def _failures(rows: pd.DataFrame) -> list[Failure]:
    """Sort failed runs by their message, the most frequent one first."""
    if "error" not in rows:
        return []
    failed = rows[rows["failed"] & rows["error"].notna()]
    failed = failed.assign(message=failed["error"].map(last_line))
    failures = []
    for message in failed["message"].value_counts().index:
        own = failed[failed["message"] == message]
        first = own.iloc[0]
        example = f"{first['method']}, {first['problem']}, seed {first['seed']:.0f}"
        n_runs = count(len(own), "run")
        failures.append(Failure(str(message), n_runs, example, str(first["error"])))
    return failures
