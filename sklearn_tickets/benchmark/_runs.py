"""Fit and score pruners, in parallel, one row of measurements each."""

import time
import traceback
import warnings
from collections.abc import Callable, Sequence
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


class Data(NamedTuple):
    """What every pruner is fitted and scored on."""

    X_train: NDArray
    y_train: NDArray
    X_test: NDArray
    y_test: NDArray
    ticket: TicketMask
    metric: str


class Run(NamedTuple):
    """A row to be: an unfitted pruner, what it is called, and what it costs."""

    name: str
    mode: str
    density: float
    pruner: BasePruner
    n_epochs: int


def measure(pruner: BasePruner, data: Data) -> dict[str, Any]:
    """Fit a pruner and measure what it found.

    Parameters
    ----------
    pruner : BasePruner
        Unfitted.
    data : Data
        Only the training part is seen by the fit.

    Returns
    -------
    measurements : dict
        What the pruner kept and how good it is, by column of the benchmark's table.
    """
    began = time.perf_counter()
    pruner.fit(data.X_train, data.y_train)
    seconds = time.perf_counter() - began
    return {
        "n_kept": pruner.mask_.n_kept,
        **{
            # An error's score is its negative, so that higher is better.
            column: abs(scorer(pruner, data.X_test, data.y_test))
            for column, scorer in _SCORERS[data.metric].items()
        },
        "overlap": ticket_overlap_score(data.ticket, pruner.mask_),
        "chance": ticket_chance_level(data.ticket, pruner.mask_),
        "effective_density": pruner.rounds_[-1]["n_effective"] / pruner.mask_.n_parameters,
        "collapsed": pruner.rounds_[-1]["collapsed"],
        "seconds": round(seconds, 3),
    }


def _execute(index: int, run: Run, data: Data) -> tuple[int, dict[str, Any]]:
    """One row, and its place: runs end in any order. A failed one has its "error" instead."""
    row: dict[str, Any] = {"pruner": run.name, "mode": run.mode, "density": run.density}
    # One thread each: runs do not compete for cores, and add up in the same order anywhere.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            # A collapsed network is a result here, with a column of its own.
            warnings.simplefilter("ignore", LayerCollapseWarning)
            row |= measure(run.pruner, data)
    except Exception:
        row["error"] = traceback.format_exc()
    finally:
        torch.set_num_threads(n_threads)
    return index, row


def run_all(
    runs: Sequence[Run],
    data: Data,
    n_jobs: int | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> list[dict[str, Any]]:
    """Make the rows of all runs.

    Parameters
    ----------
    runs : sequence of Run
        What to do.
    data : Data
        Fitted and scored on by all of them.
    n_jobs : int or None, default=None
        Number of processes, as joblib reads it.
    callback : callable ``(n_epochs_done, n_epochs)``, default=None
        Called after each run.

    Returns
    -------
    rows : list of dict
        In the order of `runs`. Failed runs lack the measurements.

    Warns
    -----
    FitFailedWarning
        Tells how many runs failed, and why the first did.
    """
    rows: list[dict[str, Any]] = [{} for _ in runs]
    # The longest first, so that no core is left waiting for a long one at the end.
    order = sorted(range(len(runs)), key=lambda i: -runs[i].n_epochs)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    n_done, n_epochs = 0, sum(run.n_epochs for run in runs)
    for index, row in parallel(delayed(_execute)(i, runs[i], data) for i in order):
        rows[index] = row
        n_done += runs[index].n_epochs
        if callback is not None:
            callback(n_done, n_epochs)
    failed = [row for row in rows if "error" in row]
    if failed:
        first = failed[0]
        warnings.warn(
            f"{len(failed)} of {len(rows)} runs failed; their rows hold missing values. The first "
            f"is {first['pruner']} ({first['mode']}) at density {first['density']:.4g}:\n"
            f"{first['error']}",
            FitFailedWarning,
            stacklevel=3,
        )
    return rows
