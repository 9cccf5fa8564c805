"""The commands ``grid``, which runs a grid into a store, and ``report``, which shows a store."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sklearn_tickets._command_line import connect, output_file, parallel_options, training_progress
from sklearn_tickets.benchmark import (
    GRIDS,
    Store,
    load_grid,
    plan_grid,
    run_grid,
    write_report,
)

_DESCRIPTION = """Run pruners on planted problems, or on data without a planted ticket: all
combinations that a TOML file lists. Each row is stored as it ends, and rows that are stored already
are not run again: after an interruption, the same command goes on. Several runs may share a
store."""

_SHIPPED = ", ".join(GRIDS)

_COLUMNS = ["state", "seed", "task", "depth", "width", "pruner", "mode", "density", "parameters"]


def grid_command(argv: Sequence[str], name: str) -> int:
    """Run the command ``grid``.

    Parameters
    ----------
    argv : sequence of str
        The arguments.
    name : str
        The name of the command in messages.

    Returns
    -------
    status : int
        The exit status: 0, 1 if a row of the grid failed, or 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        If an option, the grid or the store is invalid, with status 2.
    """
    parser = argparse.ArgumentParser(prog=name, description=_DESCRIPTION)
    parser.add_argument(
        "file",
        nargs="?",
        metavar="FILE.toml",
        help=f"the grid; if there is no such file, one that comes with the package: {_SHIPPED}",
    )
    parser.add_argument(
        "--store",
        default="results.sqlite",
        metavar="FILE.sqlite",
        help="the results; a new file is created (default: %(default)s)",
    )
    parallel_options(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the rows, and which of them are stored"
    )
    parser.add_argument(
        "--retry-failed", action="store_true", help="also run rows that failed before"
    )
    parser.add_argument(
        "--example",
        nargs="?",
        const="example.toml",
        choices=GRIDS,
        metavar="NAME",
        help="only print a grid that comes with the package, to start from (default: "
        "example.toml, which has comments)",
    )
    args = parser.parse_args(argv)
    if args.example:
        print(GRIDS[args.example].read_text(encoding="utf-8"), end="")
        return 0
    if args.file is None:
        parser.error("the following arguments are required: FILE.toml, or --example")
    sys.path.append(os.getcwd())  # where pruners of the user's own may be
    try:
        grid = load_grid(args.file)
        plan = plan_grid(grid)
        if args.dry_run:
            print(_list_rows(plan, args.store))
            return 0
        cluster = connect(args.scheduler)
        store = Store(args.store)
    except ValueError as error:
        parser.error(str(error))
    with cluster, store:
        if n_finished := _count_finished(plan, store):
            print(f"{n_finished} of {len(plan)} rows are finished already.", file=sys.stderr)
        try:
            with training_progress() as callback:
                table = run_grid(
                    grid,
                    store,
                    n_jobs=args.jobs,
                    retry_failed=args.retry_failed,
                    callback=callback,
                )
        except KeyboardInterrupt:
            print(
                f"Interrupted; {_count_finished(plan, store)} of {len(plan)} rows are finished, "
                f"and kept in {args.store}. The same command goes on.",
                file=sys.stderr,
            )
            return 130
    n_failed = table["error"].notna().sum()
    print(f"{len(table)} rows are in {args.store}; {n_failed} of them failed.")
    return int(n_failed > 0)


def _count_finished(plan: pd.DataFrame, store: Store) -> int:
    """Count the rows of a plan that a store has, failed ones included."""
    states = store.states()
    return sum(states.get(key, "running") != "running" for key in plan.index)


def _list_rows(plan: pd.DataFrame, path: str) -> str:
    """List the rows of a plan, and their states in a store, if it exists."""
    states: dict[str, str] = {}
    if Path(path).exists():
        with Store(path, mode="r") as store:
            states = store.states()
    plan = plan.assign(state=[states.get(key, "new") for key in plan.index])
    counts = plan["state"].value_counts(sort=False)
    total = ", ".join(f"{n} {state}" for state, n in counts.items())
    listed = plan[_COLUMNS].dropna(axis=1, how="all")  # data have neither depth nor width
    return f"{listed.to_string(index=False)}\n\n{len(plan)} rows: {total}"


def report_command(argv: Sequence[str], name: str) -> int:
    """Run the command ``report``.

    Parameters
    ----------
    argv : sequence of str
        The arguments.
    name : str
        The name of the command in messages.

    Returns
    -------
    status : int
        The exit status.

    Raises
    ------
    SystemExit
        If an option or the store is invalid, with status 2.
    """
    parser = argparse.ArgumentParser(prog=name, description="Make a page of the results of grid.")
    parser.add_argument("store", metavar="FILE.sqlite", help="the store of grid")
    parser.add_argument(
        "-o",
        "--output",
        type=output_file,
        default=Path("report.html"),
        metavar="FILE.html",
        help="the page (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    try:
        with Store(args.store, mode="r") as store:
            frame = store.to_frame()
        write_report(frame, args.output)
    except ValueError as error:
        parser.error(str(error))
    return 0
