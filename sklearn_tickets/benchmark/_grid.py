"""`run_grid`: run what a grid lists and a store has not, and `plan_grid`: list it."""

import json
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import Any

import pandas as pd

from sklearn_tickets.benchmark._claims import Claims
from sklearn_tickets.benchmark._grid_problems import make_problem
from sklearn_tickets.benchmark._grid_rows import Grid, GridRow, expand
from sklearn_tickets.benchmark._parallel import call_in_parallel
from sklearn_tickets.benchmark._runs import MAX_BYTES, execute, warn_of_failures
from sklearn_tickets.benchmark._store import SETUP_TYPES, Store

_DEATH = """The process of this row died, repeatedly: it crashed, or something killed it, such as
the operating system when memory ran out."""


def run_grid(
    grid: Grid,
    store: Store,
    *,
    n_jobs: int | None = None,
    retry_failed: bool = False,
    callback: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """Run the rows of a grid that a store does not have, and store each as it ends.

    A grid is a product of axes: pruners, with their parameters, and planted problems, on which
    they run as in `seek`, or data without a planted ticket. A run that is killed loses only the
    rows that it is at; the same call goes on from there. Several runs may share a store: each
    row is run by one of them.

    Parameters
    ----------
    grid : mapping or sequence of mappings
        A product of axes, or several whose rows are put together. A value is a list or a single
        value. The keys are

        - ``pruners``: names from `PRUNERS`; pruners of your own as ``"package.module:Class"``, or
          functions that make them, in the same way; or mappings of ``"pruner"`` to a name and of
          parameters to values: a list of them is an axis (default: `DEFAULT`);
        - ``modes``: of "single", "multi" and "learned", those in which pruners that have them
          run (default: all);
        - ``densities, rounds, epochs, final_epochs``: as ``densities``, ``n_rounds``,
          ``round_epochs`` and ``final_epochs`` of `seek`;
        - ``references``: of "planted", "dense", "scaled", "shuffled" and "constant", the
          references that every problem has (default: all);
        - ``tasks, depths, widths, noise, n_noise_features, scaling, seeds``: as the parameters of
          `PlantedTicketGenerator`, whose ``random_state`` are the seeds; tasks are names;
        - ``n_samples``: as in `seek`;
        - ``data``: names from `DATA`. Seeds are those of their splits and of the pruners, and
          pruners only prune weights unless their ``prune_bias`` is a parameter of the grid. No
          ticket is planted: ``tasks`` and the other parameters of planted problems are refused
          beside it, like the density "ticket" and references other than "dense" and "constant".
    store : Store
        The store, open for writing. A row is known by a hash of all parameters of its pruner
        and its problem, and of the versions of this package and torch: a change of the code of
        a pruner of your own is not noticed.
    n_jobs : int or None, default=None
        Number of parallel processes; None means 1, and -1 one per core. Other backends of
        joblib work as well: workers return their rows, and this process stores them. If a process
        dies, the rows that were in progress are run again, one by one; one whose process dies
        again has failed. On Dask, a row has failed when it has killed more workers than the
        scheduler allows (``distributed.scheduler.allowed-failures``, 3 by default).
    retry_failed : bool, default=False
        Whether to run rows again that have failed before.
    callback : callable ``(n_epochs_done, n_epochs)``, default=None
        The function to call after each row, with the training epochs of the completed rows and
        of all rows that were not finished at first.

    Returns
    -------
    table : DataFrame of shape (n_rows, 30)
        The rows of this grid, in its order: all of the first seed, all of the second, and so
        on. The columns are those of `Store.to_frame`.

    Raises
    ------
    ValueError
        If a key or value of the grid is invalid, a pruner cannot be imported, no ticket can be
        planted, or data cannot be loaded. Nothing has been run then.

    Warns
    -----
    FitFailedWarning
        If rows have failed. Their tracebacks are in the column ``error``.

    See Also
    --------
    load_grid : Read a grid from a TOML file.
    plan_grid : List the rows of a grid.
    seek : Run the benchmark on one problem, without a store.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_tickets.benchmark import Store, run_grid
    >>> grid = {
    ...     "tasks": "relu",
    ...     "widths": 20,
    ...     "n_samples": 300,
    ...     "seeds": [0, 1],
    ...     "references": "planted",
    ...     "pruners": [{"pruner": "snip", "scope": ["global", "layer"]}],
    ...     "modes": "single",
    ...     "densities": "ticket",
    ...     "final_epochs": 1,
    ... }
    >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/store.sqlite") as store:
    ...     table = run_grid(grid, store)
    >>> table.reset_index()[["seed", "pruner", "parameters", "n_kept"]]
       seed   pruner          parameters  n_kept
    0     0  planted                  {}       4
    1     0     snip                  {}       4
    2     0     snip  {"scope": "layer"}       6
    3     1  planted                  {}       4
    4     1     snip                  {}       4
    5     1     snip  {"scope": "layer"}       6
    """
    rows = expand(grid)
    with Claims(store) as claims:
        if retry_failed:
            claims.forget_failures(rows)
        n_epochs = _count_epochs(claims.unfinished(rows), rows)
        while left := claims.unfinished(rows):
            claims.free_abandoned()
            with closing(_run_all(rows, left, claims, n_jobs)) as results:
                for key, result in results:
                    claims.finish(key, {"metric": rows[key].metric} | result)
                    if callback is not None:
                        n_left = _count_epochs(claims.unfinished(rows), rows)
                        callback(n_epochs - n_left, n_epochs)
            if claims.unfinished(rows) == left:
                time.sleep(1)  # Other runs are at the rest, until they finish it or die.
    table = store.to_frame().loc[list(rows)]
    failed = table[table["error"].notna()]
    warn_of_failures([dict(row) for _, row in failed.iterrows()], len(table), stacklevel=3)
    return table


def _run_all(
    rows: Mapping[str, GridRow], keys: Iterable[str], claims: Claims, n_jobs: int | None
) -> Generator[tuple[str, dict[str, Any]]]:
    """Run those of some rows that are free; yield their keys and results as they end."""

    def run(keys: Iterable[str]) -> Generator[tuple[str, dict[str, Any]]]:
        free = ((key, rows[key]) for key in keys if claims.take(key, rows[key].setup))
        return call_in_parallel(_run, free, n_jobs)

    try:
        with closing(run(keys)) as results:
            yield from results
    except BrokenProcessPool:
        # One of the rows in progress has killed its process. Alone, they show which.
        for key in claims.release():
            try:
                yield from run([key])
            except BrokenProcessPool as error:
                yield key, {"error": f"{_DEATH}\n{error}"}


def _run(key: str, row: GridRow) -> tuple[str, dict[str, Any]]:
    """Return the key and the result of a row. That of a failed row has an "error"."""
    try:
        run, data = row.make_run(), make_problem(row.problem).data
        _, (result,) = execute(key, [run], data, MAX_BYTES)
    except Exception:
        return key, {"error": traceback.format_exc()}
    return key, result


def _count_epochs(keys: Iterable[str], rows: Mapping[str, GridRow]) -> int:
    return sum(rows[key].n_epochs for key in keys)


def plan_grid(grid: Grid) -> pd.DataFrame:
    """Check a grid, and list its rows without running any.

    Parameters
    ----------
    grid : mapping or sequence of mappings
        The grid, as for `run_grid`.

    Returns
    -------
    plan : DataFrame of shape (n_rows, 17)
        The rows in the order in which they run, indexed by their keys, with what is known of
        them, as in `Store.to_frame`. `Store.states` tells which are finished.

    Raises
    ------
    ValueError
        If a key or value of the grid is invalid, a pruner cannot be imported, no ticket can be
        planted, or data cannot be loaded.

    Examples
    --------
    >>> from sklearn_tickets.benchmark import plan_grid
    >>> grid = {"pruners": ["snip", "synflow"], "references": "dense", "seeds": [0, 1, 2]}
    >>> plan_grid(grid)["pruner"].value_counts().to_dict()
    {'snip': 18, 'synflow': 18, 'dense': 3}
    """
    plan = pd.DataFrame([{"key": key, **row.setup} for key, row in expand(grid).items()])
    plan["parameters"] = plan["parameters"].map(json.dumps)
    return plan.set_index("key").drop(columns="settings").astype(SETUP_TYPES)
