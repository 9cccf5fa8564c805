"""What the benchmark runs on a problem: references, and pruners in their modes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sklearn_tickets.benchmark._checks import check_integer
from sklearn_tickets.benchmark._problem import Problem
from sklearn_tickets.benchmark._pruners import PrunerFactory, modes_of, set_up
from sklearn_tickets.benchmark._runs import SeekRun
from sklearn_tickets.pruners import GivenMaskPruner

MODES = ("single", "multi", "learned")
REFERENCES = ("planted", "dense", "scaled", "shuffled", "constant")


@dataclass(frozen=True)
class Budget:
    """The epochs of a run: of its rounds, and of the training of its ticket."""

    n_rounds: int
    round_epochs: int
    final_epochs: int

    def __post_init__(self) -> None:
        for name, minimum in [("n_rounds", 1), ("round_epochs", 0), ("final_epochs", 1)]:
            check_integer(name, getattr(self, name), minimum)


def possible_modes(problem: Problem, name: str, make_pruner: PrunerFactory) -> tuple[str, ...]:
    """Return the modes that a pruner has."""
    return modes_of(set_up(name, make_pruner, problem.make_net()))


def search_run(
    problem: Problem,
    name: str,
    make_pruner: PrunerFactory,
    mode: str,
    density: float,
    budget: Budget,
) -> SeekRun:
    """Make the run of a pruner, seeded like the problem."""
    whole = max(1, budget.n_rounds * budget.round_epochs)
    net = problem.make_net(max_epochs=whole) if mode == "learned" else problem.make_net()
    settings: dict[str, dict[str, Any]] = {
        "single": {"round_epochs": 0},
        "multi": {"n_rounds": budget.n_rounds, "round_epochs": budget.round_epochs},
        "learned": {},
    }
    pruner = set_up(
        name,
        make_pruner,
        net,
        sparsity=1 - density,
        prune_bias=problem.prune_bias,
        random_state=problem.seed,
        **settings[mode],
    )
    # Those that have trained their tickets already say so by their own number.
    if pruner.final_epochs != 0:
        pruner.set_params(final_epochs=budget.final_epochs)
    return SeekRun(name, mode, density, pruner)


def reference_runs(problem: Problem, final_epochs: int) -> Iterator[SeekRun]:
    """Yield the runs of masks that are known."""
    for name, net, mask in problem.references():
        pruner = GivenMaskPruner(net, mask, final_epochs=final_epochs, random_state=problem.seed)
        yield SeekRun(name, "given", mask.density, pruner)
