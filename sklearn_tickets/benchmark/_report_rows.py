"""Rows of a report: a table of `seek`, checked, with names and a score for each row."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sklearn_tickets.benchmark._names import name_problems
from sklearn_tickets.benchmark._quality import QUALITY, score
from sklearn_tickets.benchmark._searches import MODES
from sklearn_tickets.benchmark._seek import COLUMNS

TICKET_LEVEL = "ticket"
CELL = ["problem", "method", "level", "seed"]
NUMBERS = [
    "depth",
    "width",
    "seed",
    "density",
    "n_kept",
    "strong",
    "strong_raw",
    "weak",
    "overlap",
    "chance",
    "effective_density",
    "seconds",
]
# What else problems of the same name and methods may differ in, if the table has it.
PROBLEM_SETTINGS = ("noise", "n_noise_features", "scaling", "n_samples", "final_epochs")
METHOD_SETTINGS = ("n_rounds", "round_epochs")
# Parameters that other columns have.
_ELSEWHERE = {"sparsity", "density", "random_state", "seed"}


def prepare_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Check a table, and name what its rows belong to.

    Parameters
    ----------
    frame : DataFrame
        The result of `seek`, or several of them concatenated, with or without the further
        columns described in `write_report`.

    Returns
    -------
    rows : DataFrame
        The rows in their order, with a new index, numbers as float64 and these columns more:

        - ``problem``: the task and what else tells the problems apart;
        - ``is_planted``: whether a ticket is planted: the problem has a depth and a width;
        - ``name``: the pruner, and the parameters in which those of the same mode differ;
        - ``method``: the name with the mode, unless it is that of a reference;
        - ``level``: the density as text; "ticket" if it is that of the planted ticket; missing if
          the run failed before its density was known, as ``metric`` may be;
        - ``is_reference``: whether the mask was given, not searched;
        - ``failed``: whether there is no quality;
        - ``score``: that of the quality after training;
        - ``best_score``: the better one of that and the score of the untrained quality.

    Raises
    ------
    ValueError
        If `frame` is no table of this kind. The message names the columns and values.
    """
    missing = [column for column in COLUMNS if column not in frame]
    if missing:
        raise ValueError(
            f"frame lacks the columns {', '.join(missing)}; pass a table of `seek`, which has "
            "all of them."
        )
    if frame.empty:
        raise ValueError("frame has no rows; run something first.")
    rows = frame.reset_index(drop=True)
    for column in NUMBERS:
        rows[column] = _numbers(rows[column])
    rows["collapsed"] = _numbers(rows["collapsed"])
    rows["failed"] = rows["weak"].isna()
    # A run may fail before its density and metric are known.
    is_early = rows["failed"] & rows[["density", "metric"]].isna().any(axis=1)
    _check(rows, "mode", rows["mode"].isin(["given", *MODES]), f"given, {', '.join(MODES)}")
    _check(rows, "metric", rows["metric"].isin(list(QUALITY)) | is_early, ", ".join(QUALITY))
    is_density = rows["density"].between(0, 1, inclusive="right")
    _check(rows, "density", is_density | is_early, "fractions above 0 and at most 1")
    _check(rows, "seed", rows["seed"].notna(), "integers")
    rows["is_planted"] = rows["depth"].notna()
    is_both = rows["width"].notna() == rows["is_planted"]
    _check(rows, "width", is_both, "integers, or nothing where 'depth' has nothing")
    rows["is_reference"] = rows["mode"] == "given"
    rows["problem"] = _problems(rows)
    rows["name"] = _names(rows)
    modes = " (" + rows["mode"].map(str) + ")"
    rows["method"] = rows["name"] + modes.where(~rows["is_reference"], "")
    rows["level"] = _levels(rows)
    rows["score"] = score(rows["weak"], rows["metric"])
    rows["best_score"] = np.fmax(rows["score"], score(rows["strong"], rows["metric"]))
    return rows


def merge_repeats(rows: pd.DataFrame) -> pd.DataFrame:
    """Merge the rows of the same problem, method, density and seed.

    Parameters
    ----------
    rows : DataFrame
        The result of `prepare_rows`.

    Returns
    -------
    runs : DataFrame
        One row for each of them, with the means of the numbers of those that did not fail. Rows
        without a level or metric are left out.
    """
    rows = rows.dropna(subset=["level", "metric"])
    labels = ("task", "pruner", "name", "mode", "metric", "is_reference", "is_planted")
    first = dict.fromkeys(labels, "first")
    merged = {"collapsed": "max", "failed": "all"}
    means = dict.fromkeys([*(n for n in NUMBERS if n != "seed"), "score", "best_score"], "mean")
    return rows.groupby(CELL, sort=False, as_index=False).agg(first | merged | means)


def _check(rows: pd.DataFrame, column: str, is_valid: pd.Series, expected: str) -> None:
    """Refuse a column with values that are not valid."""
    if not is_valid.all():
        value, *_ = rows.loc[~is_valid, column].tolist()
        raise ValueError(
            f"column {column!r} of frame contains {value!r}; it must contain {expected}."
        )


def _numbers(column: pd.Series) -> pd.Series:
    """Convert a column to float64, with NaN for missing values."""
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    strange = column[numbers.isna() & column.notna()]
    if not strange.empty:
        raise ValueError(
            f"column {column.name!r} of frame contains {strange.iloc[0]!r}; it must contain "
            "numbers."
        )
    return numbers


def _problems(rows: pd.DataFrame) -> pd.Series:
    """Name the problems."""
    names = name_problems(rows)
    own = rows.groupby(names)
    for column in PROBLEM_SETTINGS:
        if column in rows:
            is_varied = own[column].transform("nunique", dropna=False) > 1
            names = names.where(~is_varied, names + f", {column} " + rows[column].map(str))
    # The same task may be measured in two ways.
    is_mixed = rows["metric"].groupby(names).transform("nunique") > 1
    return names.where(~is_mixed, names + ", " + rows["metric"].map(str))


def _names(rows: pd.DataFrame) -> pd.Series:
    """Name the pruners, with the parameters in which those of the same mode differ."""
    names = rows["pruner"].map(str)
    budgets = rows[[column for column in METHOD_SETTINGS if column in rows]]
    settings = pd.Series([row.dropna().to_dict() for _, row in budgets.iterrows()], rows.index)
    if "parameters" in rows:
        settings = settings.combine(rows["parameters"].map(_parse), lambda a, b: {**a, **b})

    def label(own: pd.Series) -> pd.Series:
        keys = dict.fromkeys(key for setting in own for key in setting)
        varied = [key for key in keys if len({repr(setting.get(key)) for setting in own}) > 1]
        return own.map(lambda s: "".join(f", {key}={s[key]}" for key in varied if key in s))

    return names + settings.groupby([names, rows["mode"]]).transform(label)


def _parse(text: object) -> Mapping[str, Any]:
    """Return the parameters that a JSON object holds, without those of other columns."""
    if not isinstance(text, str):
        return {}
    try:
        parameters = json.loads(text)
    except ValueError:
        return {"parameters": text}
    if not isinstance(parameters, dict):
        return {"parameters": text}
    return {key: value for key, value in parameters.items() if key not in _ELSEWHERE}


def _levels(rows: pd.DataFrame) -> pd.Series:
    """Name the densities. That of the planted ticket may differ between seeds."""
    is_planted = rows["is_reference"] & (rows["pruner"] == "planted")
    planted = rows[is_planted].groupby(["problem", "seed"])["density"].first()
    own = pd.MultiIndex.from_frame(rows[["problem", "seed"]])
    is_ticket = np.isclose(rows["density"], planted.reindex(own).to_numpy(), rtol=1e-6, atol=0)
    levels = rows["density"].map("{:.6g}".format, na_action="ignore")
    return levels.where(~is_ticket, TICKET_LEVEL)
