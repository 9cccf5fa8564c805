"""The command line: plant a ticket, let pruners look for it, and print one table.

``python -m sklearn_tickets --help`` lists the options. The exit status is 0, or 1 if a run
failed (its row is empty), 2 for options that cannot be used, 130 after Ctrl-C.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from sklearn_tickets.benchmark import DEFAULT, PRUNERS, SeekDisplay, format_report, seek
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import TASKS

_FULL = {"n_samples": 10_000, "rounds": 10, "epochs": 5}
_QUICK = {"n_samples": 2_000, "rounds": 4, "epochs": 2}

_DESCRIPTION = """Plant a lottery ticket, a small network that solves a task, among the random
weights of a large one; let pruning algorithms look for it; print one table of what they find.
A pruner works single-shot, pruning the untrained network at once, and multi-shot, in rounds of
training, pruning a part, and returning to the initial weights; or it learns its mask, for as long
as these rounds take. What is kept in the end is trained for 10 epochs from its initial weights."""

_EPILOG = """The pruners: random; magnitude (small weights go, single-shot only); imp (iterative
magnitude pruning, which is magnitude multi-shot); snip (what the loss depends on stays); grasp
(what the gradient's norm depends on stays); synflow (what lies on strong paths from inputs to
outputs stays). Those that learn their masks run only if they are named: rigl (small weights go,
others grow); continuous, stochastic and hard-concrete (gates, trained with the weights);
edge-popup, gem-miner, bernoulli, concrete and genetic (the weights frozen)."""


def _number(
    kind: Callable[[str], Any], accepts: Callable[[Any], bool], expected: str
) -> Callable[[str], Any]:
    """A type for argparse: numbers that are accepted; the error tells what is expected."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not accepts(value):
            raise argparse.ArgumentTypeError(f"{text!r} cannot be used; give {expected}")
        return value

    return parse


def _integer(minimum: int) -> Callable[[str], Any]:
    return _number(int, lambda n: n >= minimum, f"an integer of at least {minimum}")


def _density(text: str) -> float | str:
    """A type for argparse: a fraction of parameters, or the planted ticket's."""
    expected = "a fraction of the parameters above 0 and at most 1, or 'ticket'"
    return text if text == "ticket" else _number(float, lambda x: 0 < x <= 1, expected)(text)


def _output_file(text: str) -> Path:
    """A type for argparse: a path that can be written to, found out before the long run."""
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is in no existing directory; make it first")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a directory; give a file name")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} is write-protected; choose another file")
    return path


def _figure_file(text: str) -> Path:
    """A type for argparse: an `_output_file` whose name ends like that of a figure."""
    path = _output_file(text)
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name of a figure; let it end in .{', .'.join(formats)}"
        )
    return path


def _make_parser() -> argparse.ArgumentParser:
    """All options; those that ``--quick`` changes are absent unless they are given."""
    parser = argparse.ArgumentParser(
        prog="python -m sklearn_tickets", description=_DESCRIPTION, epilog=_EPILOG
    )
    problem = parser.add_argument_group("the planted problem")
    problem.add_argument(
        "--task",
        choices=sorted(TASKS),
        default="circle",
        help="what the ticket computes (default: %(default)s)",
    )
    problem.add_argument(
        "--depth",
        type=_integer(3),
        default=5,
        metavar="N",
        help="layers of units, inputs and outputs included; at least 3 (default: %(default)s)",
    )
    problem.add_argument(
        "--width",
        type=_integer(1),
        default=100,
        metavar="N",
        help="units in each hidden layer (default: %(default)s)",
    )
    problem.add_argument(
        "--n-samples",
        type=_integer(100),
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"samples, the last tenth of which is held out (default: {_FULL['n_samples']})",
    )
    problem.add_argument(
        "--noise",
        type=_number(float, lambda x: 0 <= x < math.inf, "a number of at least 0"),
        default=0.01,
        metavar="X",
        help="share of wrong labels (circle), or standard deviation of the noise of the targets "
        "(helix, relu) (default: %(default)s)",
    )
    problem.add_argument(
        "--scaling",
        choices=["hidden", "trainable"],
        default="hidden",
        help="size of the planted weights: like those around them, or the best to train from "
        "(default: %(default)s)",
    )
    problem.add_argument(
        "--seed",
        type=_number(int, lambda n: 0 <= n < 2**32, "an integer from 0 to 4294967295"),
        default=0,
        metavar="N",
        help="draws everything that is random (default: %(default)s)",
    )
    search = parser.add_argument_group("the search")
    search.add_argument(
        "--pruner",
        action="append",
        choices=list(PRUNERS),
        metavar="NAME",
        help="may be repeated (default: the first six of those below)",
    )
    search.add_argument(
        "--density",
        action="append",
        type=_density,
        metavar="X",
        help="fraction of the parameters to keep, above 0 and at most 1, or 'ticket', the "
        "planted ticket's own; may be repeated (default: 0.1, 0.01 and ticket)",
    )
    search.add_argument(
        "--rounds",
        type=_integer(1),
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"rounds of the multi-shot runs (default: {_FULL['rounds']})",
    )
    search.add_argument(
        "--epochs",
        type=_integer(0),
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"epochs of training in each round (default: {_FULL['epochs']})",
    )
    search.add_argument(
        "--jobs",
        type=_number(int, lambda n: n == -1 or n >= 1, "an integer of at least 1, or -1"),
        default=-1,
        metavar="N",
        help="processes, -1 being one per core (default: %(default)s)",
    )
    search.add_argument(
        "--quick",
        action="store_true",
        help="a first impression in half a minute: "
        + ", ".join(f"--{name.replace('_', '-')} {n}" for name, n in _QUICK.items()),
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=_output_file, metavar="FILE.csv", help="write the table, in full precision"
    )
    output.add_argument(
        "--plot", type=_figure_file, metavar="FILE.png", help="draw quality against density"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        The arguments; None takes the process's own.

    Returns
    -------
    status : int
        The exit status.

    Raises
    ------
    SystemExit
        With status 2 if an option cannot be used, after an error message.
    """
    parser = _make_parser()
    args = parser.parse_args(argv)
    sizes = (_QUICK if args.quick else _FULL) | vars(args)
    generator = PlantedTicketGenerator(
        args.task,
        depth=args.depth,
        width=args.width,
        noise=args.noise,
        scaling=args.scaling,
        random_state=args.seed,
    )
    try:
        generator.generate(1)
    except ValueError as error:
        parser.error(str(error))

    progress = Progress(
        "Training",
        BarColumn(),
        MofNCompleteColumn(),
        "epochs",
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    bar = progress.add_task("")
    try:
        with progress:
            table = seek(
                generator,
                sizes["n_samples"],
                pruners=args.pruner or DEFAULT,
                densities=args.density or (0.1, 0.01, "ticket"),
                n_rounds=sizes["rounds"],
                round_epochs=sizes["epochs"],
                n_jobs=args.jobs,
                callback=lambda done, total: progress.update(bar, completed=done, total=total),
            )
    except KeyboardInterrupt:
        print("Interrupted; nothing was written.", file=sys.stderr)
        return 130
    # Files first: the reader of a pipe may leave early.
    if args.out:
        table.to_csv(args.out, index=False)
    if args.plot:
        figure = Figure(figsize=(9, 5), layout="constrained")
        SeekDisplay(table).plot(ax=figure.subplots())
        figure.savefig(args.plot, dpi=150)
    print(format_report(table))
    return int(table["weak"].isna().any())


if __name__ == "__main__":
    sys.exit(main())
