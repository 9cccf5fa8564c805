"""What the commands of the command line share: types of arguments, and a progress bar."""

import argparse
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from joblib import parallel_config
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn


def number(
    kind: Callable[[str], Any], is_valid: Callable[[Any], bool], expected: str
) -> Callable[[str], Any]:
    """Make an argument type of valid numbers; its error message says what is expected."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not is_valid(value):
            raise argparse.ArgumentTypeError(f"must be {expected}; got {text!r}")
        return value

    return parse


def integer(minimum: int) -> Callable[[str], Any]:
    """Make an argument type of integers that are not below a minimum."""
    return number(int, lambda n: n >= minimum, f"an integer of at least {minimum}")


def output_file(text: str) -> Path:
    """Convert an argument to a path that can be written, which is checked before the long run."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the directory of {text!r} does not exist; create it")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a directory; pass a file name")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is write-protected; choose another file")
    return path


def parallel_options(parser: argparse._ActionsContainer) -> None:
    """Add the options ``--jobs`` and ``--scheduler``."""
    parser.add_argument(
        "--jobs",
        type=number(int, lambda n: n == -1 or n >= 1, "an integer of at least 1, or -1"),
        default=-1,
        metavar="N",
        help="number of parallel processes; -1 means one per core (default: %(default)s)",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="a Dask scheduler, such as tcp://10.0.0.1:8786, whose workers are the processes",
    )


def connect(address: str | None) -> AbstractContextManager[object]:
    """Connect to a Dask scheduler, if any, and let joblib run on its workers until the exit."""
    if address is None:
        return nullcontext()
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(
            "--scheduler needs Dask, which is not installed: pip install 'sklearn-tickets[dask]'"
        ) from error
    try:
        client = Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"--scheduler: no Dask scheduler answers at {address!r} ({error})"
        ) from error
    with ExitStack() as stack:
        stack.enter_context(client)
        if not client.nthreads():
            raise ValueError(
                f"--scheduler: the scheduler at {address!r} has no workers; start some by "
                f"'dask worker {address} --nthreads 1'"
            )
        stack.enter_context(parallel_config("dask"))
        return stack.pop_all()


# Seconds between lines where there is no terminal.
_LINE_SECONDS = 10


@contextmanager
def training_progress() -> Iterator[Callable[[int, int], None]]:
    """Show progress; yield the function to call with epochs done and all.

    Terminals have a bar. Elsewhere, such as in the log of a cluster's job, a plain line is printed
    every few seconds.
    """
    if not sys.stderr.isatty():
        yield _print_lines()
        return
    progress = Progress(
        "Training",
        BarColumn(),
        MofNCompleteColumn(),
        "epochs",
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        speed_estimate_period=3600,  # seconds; rows may take minutes
    )
    bar = progress.add_task("")
    with progress:
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _print_lines() -> Callable[[int, int], None]:
    """Make a function that prints a line when it is called, if the last line is old enough."""
    began = last = time.monotonic()

    def call(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LINE_SECONDS and done:
            last = now
            line = f"Training: {done:,} of {total:,} epochs in {now - began:.0f} s"
            if 10 * done >= total:  # Before, an estimate is worth little.
                line += f", about {(now - began) * (total - done) / done:.0f} s left"
            print(line, file=sys.stderr, flush=True)

    return call
