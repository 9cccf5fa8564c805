"""Fit and score pruners in parallel."""

import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.exceptions import FitFailedWarning

from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.metrics import (
    make_strong_scorer,
    sparse_accuracy,
    sparse_neg_mean_squared_error,
    strong_accuracy,
    strong_neg_mean_squared_error,
    ticket_chance_level,
    ticket_overlap_score,
)
from sklearn_tickets.pruners.base import BasePruner

_SCORERS = {
    "accuracy": {
        "strong": strong_accuracy,
        "strong_raw": make_strong_scorer("accuracy", rescale=False),
        "weak": sparse_accuracy,
    },
    "mse": {
        "strong": strong_neg_mean_squared_error,
        "strong_raw": make_strong_scorer("neg_mean_squared_error", rescale=False),
        "weak": sparse_neg_mean_squared_error,
    },
}


class SeekData(NamedTuple):
    """The data on which all pruners are fitted and scored."""

    X_train: NDArray
    y_train: NDArray
    X_test: NDArray
    y_test: NDArray
    ticket: TicketMask
    metric: str


class SeekRun(NamedTuple):
    """An unfitted pruner, its labels in the table, and the number of epochs of its fit."""

    name: str
    mode: str
    density: float
    pruner: BasePruner
    n_epochs: int


def execute(index: Any, run: SeekRun, data: SeekData) -> tuple[Any, dict[str, Any]]:
    """Return the index and the row of a run. The row of a failed run has an "error" instead."""
    pruner = run.pruner
    row: dict[str, Any] = {"pruner": run.name, "mode": run.mode, "density": run.density}
    # With one thread each, runs do not compete for cores, and all sums have the same order.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        began = time.perf_counter()
        # The table has a column for collapsed networks.
        with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
            pruner.fit(data.X_train, data.y_train)
        seconds = time.perf_counter() - began
        # Scores of errors are negative, so that higher is better.
        qualities = {
            column: abs(scorer(pruner, data.X_test, data.y_test))
            for column, scorer in _SCORERS[data.metric].items()
        }
        row |= qualities | {
            "trained_from": _trained_from(pruner),
            "n_kept": pruner.mask_.n_kept,
            "overlap": ticket_overlap_score(data.ticket, pruner.mask_),
            "chance": ticket_chance_level(data.ticket, pruner.mask_),
            "effective_density": pruner.rounds_[-1]["n_effective"] / pruner.mask_.n_parameters,
            "collapsed": pruner.rounds_[-1]["collapsed"],
            "seconds": round(seconds, 3),
        }
    except Exception:
        row["error"] = traceback.format_exc()
    finally:
        torch.set_num_threads(n_threads)
    return index, row


def _trained_from(pruner: BasePruner) -> str:
    """Tell from which weights a pruner trained its ticket, if it did."""
    if not pruner.train_ticket:
        return "strong"
    return "sparse net" if getattr(pruner, "rewind_epoch", 0) is None else "weak"


def run_all(
    runs: Sequence[SeekRun],
    data: SeekData,
    n_jobs: int | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> list[dict[str, Any]]:
    """Execute runs in parallel.

    Parameters
    ----------
    runs : sequence of SeekRun
        The runs.
    data : SeekData
        The data on which they are fitted and scored.
    n_jobs : int or None, default=None
        Number of parallel jobs of joblib; None means 1.
    callback : callable ``(n_epochs_done, n_epochs)``, default=None
        The function to call after each run.

    Returns
    -------
    rows : list of dict
        The rows of the table, in the order of `runs`. Failed runs lack the measurements.

    Warns
    -----
    FitFailedWarning
        If runs fail. The message has the error of the first.
    """
    rows: list[dict[str, Any]] = [{} for _ in runs]
    # The longest runs start first, so that no core waits for a long run at the end.
    order = sorted(range(len(runs)), key=lambda i: -runs[i].n_epochs)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    n_done, n_epochs = 0, sum(run.n_epochs for run in runs)
    for index, row in parallel(delayed(execute)(i, runs[i], data) for i in order):
        rows[index] = row
        n_done += runs[index].n_epochs
        if callback is not None:
            callback(n_done, n_epochs)
    warn_of_failures([row for row in rows if "error" in row], len(rows), stacklevel=4)
    return rows


def warn_of_failures(failed: Sequence[Mapping[str, Any]], n_rows: int, stacklevel: int) -> None:
    """Warn of failed rows, if there are any, and quote the first."""
    if failed:
        first = failed[0]
        warnings.warn(
            f"{len(failed)} of {n_rows} runs failed; their rows have missing values. The first "
            f"is {first['pruner']} ({first['mode']}) at density {first['density']:.4g}:\n"
            f"{first['error']}",
            FitFailedWarning,
            stacklevel=stacklevel,
        )
