"""The command line: plant a ticket, let pruners search for it, and print a table.

``sklearn-tickets --help``, or ``python -m sklearn_tickets --help``, lists options and commands. The
exit status is 0, 1 if a run failed (its row is empty), 2 if an option is invalid, or 130 after
Ctrl-C.
"""

import argparse
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from sklearn_tickets._command_line import (
    connect,
    integer,
    number,
    output_file,
    parallel_options,
    training_progress,
)
from sklearn_tickets._grid_command import grid_command, report_command
from sklearn_tickets.benchmark import (
    DEFAULT,
    SeekDisplay,
    describe_findings,
    format_report,
    seek,
)
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import TASKS

_FULL = {"n_samples": 10_000, "rounds": 10, "epochs": 5}
_QUICK = {"n_samples": 2_000, "rounds": 4, "epochs": 2}

_DESCRIPTION = """This is the command seek, which is run if none is named; others are grid, which
runs many problems and keeps the results, and report, which makes a page of them (each has its
--help). Plant a lottery ticket, a small network that solves a task, among the random
weights of a large network; let pruning algorithms search for it; print a table of the results.
Pruners work in two modes. Single-shot, they prune the untrained network at once. Multi-shot, they
go through rounds of training, pruning a part, and resetting the weights to their initial values, or
keeping them. Other pruners learn their masks, for as many epochs as all rounds together. Weak
tickets are finally trained for 10 epochs from their initial weights. The budgets are short: some
pruners get better with more."""

_EPILOG = """Pruners that run by default. Weak tickets: random; magnitude (removes small weights;
multi-shot, this is iterative magnitude pruning); snip (keeps what the loss depends on); grasp
(keeps what the norm of the gradient depends on); synflow (keeps strong paths from inputs to
outputs). Sparse networks, whose weights are never reset: rewinding (learning-rate rewinding:
removes small weights, with an L1 penalty); second-order (optimal brain surgeon: removes what raises
the loss least when the other weights are corrected for it). Strong tickets: annealing (of the mask;
four chains of 6,000 moves per epoch of the budget; needs Numba). Others, which only run if they are
named: imp (magnitude, multi-shot only); rigl (removes small weights and grows others); continuous,
stochastic and hard-concrete (train gates together with the weights); concrete (learns gates, and
then trains the weights); edge-popup, gem-miner, bernoulli and genetic (strong tickets). A pruner of
your own is package.module:Class, or package.module:function for a function that takes a net and
parameters and makes a pruner; the module may be in the current folder."""


def _density(text: str) -> float | str:
    """Convert an argument to a density, or "ticket" for the planted ticket's."""
    expected = "a fraction above 0 and at most 1, or 'ticket'"
    return text if text == "ticket" else number(float, lambda x: 0 < x <= 1, expected)(text)


def _figure_file(text: str) -> Path:
    """Convert an argument to a path that can be written, with the extension of a figure."""
    path = output_file(text)
    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in formats:
        raise argparse.ArgumentTypeError(
            f"{text!r} must have one of the extensions .{', .'.join(formats)}"
        )
    return path


def _make_parser(name: str) -> argparse.ArgumentParser:
    """Make the parser of seek. Options that ``--quick`` changes have no default."""
    parser = argparse.ArgumentParser(prog=name, description=_DESCRIPTION, epilog=_EPILOG)
    problem = parser.add_argument_group("the planted problem")
    problem.add_argument(
        "--task",
        choices=sorted(TASKS),
        default="circle",
        help="the function of the ticket (default: %(default)s)",
    )
    problem.add_argument(
        "--depth",
        type=integer(3),
        default=5,
        metavar="N",
        help="layers of units, including inputs and outputs; at least 3 (default: %(default)s)",
    )
    problem.add_argument(
        "--width",
        type=integer(1),
        default=100,
        metavar="N",
        help="units in each hidden layer (default: %(default)s)",
    )
    problem.add_argument(
        "--n-samples",
        type=integer(100),
        default=argparse.SUPPRESS,
        metavar="N",
        help="number of samples, of which the last tenth is held out "
        f"(default: {_FULL['n_samples']})",
    )
    problem.add_argument(
        "--noise",
        type=number(float, lambda x: 0 <= x < math.inf, "a number of at least 0"),
        default=0.01,
        metavar="X",
        help="fraction of wrong labels (circle), or standard deviation of the noise of the targets "
        "(helix, relu) (default: %(default)s)",
    )
    problem.add_argument(
        "--scaling",
        choices=["hidden", "trainable"],
        default="hidden",
        help="scale of the planted weights: like other weights, or suited to training "
        "(default: %(default)s)",
    )
    problem.add_argument(
        "--seed",
        type=number(int, lambda n: 0 <= n < 2**32, "an integer from 0 to 4294967295"),
        default=0,
        metavar="N",
        help="seed of all random numbers (default: %(default)s)",
    )
    search = parser.add_argument_group("the search")
    search.add_argument(
        "--pruner",
        action="append",
        metavar="NAME",
        help="a pruner from the lists below, or one of your own, package.module:Class; can be "
        "repeated (default: the first list)",
    )
    search.add_argument(
        "--density",
        action="append",
        type=_density,
        metavar="X",
        help="fraction of the parameters to keep, or 'ticket' for that of the planted ticket; "
        "can be repeated (default: 0.1, 0.01 and ticket)",
    )
    search.add_argument(
        "--rounds",
        type=integer(1),
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"number of rounds in multi-shot runs (default: {_FULL['rounds']})",
    )
    search.add_argument(
        "--epochs",
        type=integer(0),
        default=argparse.SUPPRESS,
        metavar="N",
        help=f"training epochs in each round (default: {_FULL['epochs']})",
    )
    parallel_options(search)
    search.add_argument(
        "--quick",
        action="store_true",
        help="run for half a minute only: "
        + ", ".join(f"--{name.replace('_', '-')} {n}" for name, n in _QUICK.items()),
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", type=output_file, metavar="FILE.csv", help="write the table in full precision"
    )
    output.add_argument(
        "--plot", type=_figure_file, metavar="FILE.png", help="plot quality against density"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str or None, default=None
        The command and its options. If None, those of the process.

    Returns
    -------
    status : int
        The exit status.

    Raises
    ------
    SystemExit
        If an option is invalid, with status 2.
    """
    script = Path(sys.argv[0]).stem  # that of ``python -m`` is __main__
    name = script if script == "sklearn-tickets" else "python -m sklearn_tickets"
    match list(sys.argv[1:] if argv is None else argv):
        case ["grid", *options]:
            return grid_command(options, f"{name} grid")
        case ["report", *options]:
            return report_command(options, f"{name} report")
        case ["seek", *options]:
            return _seek_command(options, f"{name} seek")
        case options:
            return _seek_command(options, name)


def _seek_command(argv: Sequence[str], name: str) -> int:
    """Run the command seek."""
    parser = _make_parser(name)
    args = parser.parse_args(argv)
    sizes = (_QUICK if args.quick else _FULL) | vars(args)
    sys.path.append(os.getcwd())  # where pruners of the user's own may be
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
        cluster = connect(args.scheduler)
    except ValueError as error:
        parser.error(str(error))

    try:
        with cluster, training_progress() as callback:
            table = seek(
                generator,
                sizes["n_samples"],
                pruners=args.pruner or DEFAULT,
                densities=args.density or (0.1, 0.01, "ticket"),
                n_rounds=sizes["rounds"],
                round_epochs=sizes["epochs"],
                n_jobs=args.jobs,
                callback=callback,
            )
    except ValueError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        print("Interrupted; no file was written.", file=sys.stderr)
        return 130
    # Files come first, since printing fails if a pipe is closed early.
    if args.out:
        table.to_csv(args.out, index=False)
    if args.plot:
        figure = Figure(figsize=(9, 5), layout="constrained")
        SeekDisplay(table).plot(ax=figure.subplots())
        figure.savefig(args.plot, dpi=150)
    print(format_report(table), describe_findings(table), sep="\n\n")
    if not args.pruner and "annealing" not in DEFAULT:
        print("annealing is left out: it needs Numba, pip install 'sklearn-tickets[fast]'")
    return int(table["weak"].isna().any())


if __name__ == "__main__":
    sys.exit(main())
