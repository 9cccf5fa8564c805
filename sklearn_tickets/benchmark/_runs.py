"""Fit and score pruners: in parallel, and side by side where their trainings can be stacked."""

import threading
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.exceptions import FitFailedWarning

from sklearn_tickets.benchmark._parallel import call_in_parallel
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
from sklearn_tickets.model_selection import Log, Outcome, Task, fit_in_batches
from sklearn_tickets.pruners.base import BasePruner, Rounds

# With more networks, a stack is hardly faster per network; with fewer, it is slower.
_MOST, _FEWEST = 16, 4
# Memory limit for all fits in progress.
MAX_BYTES = 2**30
# Threads share the filters of warnings.
_FITS = threading.Lock()

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
    """The data on which all pruners are fitted and scored, and the ticket, if one is planted."""

    X_train: NDArray
    y_train: NDArray
    X_test: NDArray
    y_test: NDArray
    ticket: TicketMask | None

    @property
    def metric(self) -> str:
        """The measure of quality."""
        return "accuracy" if self.y_train.dtype.kind == "i" else "mse"


class SeekRun(NamedTuple):
    """An unfitted pruner, and its labels in the table."""

    name: str
    mode: str
    density: float
    pruner: BasePruner

    @property
    def n_epochs(self) -> int:
        """The number of training epochs of a fit, those of its mask included."""
        return sum(_epochs(self.pruner))


def _epochs(pruner: BasePruner) -> tuple[int, int]:
    """Count the training epochs of a fit: those of its search, and those of its ticket."""
    rounds, own = Rounds.of(pruner), pruner.get_params(deep=False)
    search = rounds.n_rounds * rounds.n_epochs(rounds.round_epochs)
    if "mask_epochs" in own:
        search += rounds.n_epochs(own["mask_epochs"])
    return search, rounds.train_ticket * rounds.n_epochs(rounds.final_epochs)


def _groups(runs: Sequence[SeekRun], n_jobs: int) -> list[list[int]]:
    """Divide the indices of runs into groups to fit side by side, the longest first."""
    alike: dict[tuple[int, type | None], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        # Masks are stacked with those that are learned in the same way.
        alike[run.n_epochs, type(run.pruner) if run.mode == "learned" else None].append(i)
    groups = []
    for group in alike.values():
        n_groups = max(1, -(-len(group) // _MOST), min(n_jobs, len(group) // _FEWEST))
        groups += [group[start::n_groups] for start in range(n_groups)]
    # No core waits for a long run at the end.
    return sorted(groups, key=lambda group: -sum(runs[i].n_epochs for i in group))


@torch.inference_mode(False)  # As in a pruner's fit.
def execute(
    label: Any, runs: Sequence[SeekRun], data: SeekData, max_batch_bytes: int
) -> tuple[Any, list[dict[str, Any]]]:
    """Return a label, and the rows of some runs, which are fitted side by side."""
    tasks = [Task(run.pruner, {}, data.X_train, data.y_train) for run in runs]
    # With one thread each, runs do not compete for cores, and all sums have the same order.
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # The table has a column for collapsed networks.
        with _FITS, warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
            outcomes = [*fit_in_batches(tasks, max_batch_bytes, Log())]
        rows = [_measure(run, outcome, data) for run, outcome in zip(runs, outcomes, strict=True)]
        return label, rows
    finally:
        torch.set_num_threads(n_threads)


def _measure(run: SeekRun, outcome: Outcome, data: SeekData) -> dict[str, Any]:
    """Return the row of a run; that of a failed run has an "error" instead of measurements."""
    pruner: Any = outcome.estimator
    row: dict[str, Any] = {"pruner": run.name, "mode": run.mode, "density": run.density}
    try:
        if outcome.error is not None:
            raise outcome.error
        # Scores of errors are negative, so that higher is better.
        qualities = {
            column: abs(scorer(pruner, data.X_test, data.y_test))
            for column, scorer in _SCORERS[data.metric].items()
        }
        overlaps = {}
        if data.ticket is not None:
            overlaps = {
                "overlap": ticket_overlap_score(data.ticket, pruner.mask_),
                "chance": ticket_chance_level(data.ticket, pruner.mask_),
            }
        return (
            row
            | qualities
            | overlaps
            | {
                "trained_from": _trained_from(pruner),
                "epochs": run.n_epochs,
                "n_kept": pruner.mask_.n_kept,
                "effective_density": pruner.rounds_[-1]["n_effective"] / pruner.mask_.n_parameters,
                "collapsed": pruner.rounds_[-1]["collapsed"],
                "seconds": round(outcome.seconds, 3),
            }
        )
    except Exception:
        return row | {"error": traceback.format_exc()}


def _trained_from(pruner: BasePruner) -> str:
    """Tell from which weights a pruner trained its ticket, if it did."""
    n_search, n_final = _epochs(pruner)
    if n_search and getattr(pruner, "rewind_epoch", 0) is None:
        return "sparse net"
    return "weak" if n_final else "strong"


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
        The function to call for each run, once the runs beside it are done, too.

    Returns
    -------
    rows : list of dict
        The rows of the table, in the order of `runs`. Failed runs lack the measurements.

    Raises
    ------
    BrokenProcessPool
        If the process of a run dies.

    Warns
    -----
    FitFailedWarning
        If runs fail. The message has the error of the first.
    """
    rows: list[dict[str, Any]] = [{} for _ in runs]
    n_at_a_time = effective_n_jobs(n_jobs)
    calls = (
        (group, [runs[i] for i in group], data, MAX_BYTES // n_at_a_time)
        for group in _groups(runs, n_at_a_time)
    )
    n_done, n_epochs = 0, sum(run.n_epochs for run in runs)
    for group, group_rows in call_in_parallel(execute, calls, n_jobs):
        for i, row in zip(group, group_rows, strict=True):
            rows[i] = row
            n_done += runs[i].n_epochs
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
