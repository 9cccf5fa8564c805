"""What the benchmark runs on a planted problem: references, and pruners in their modes."""

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from skorch import NeuralNet

from sklearn_tickets.benchmark._pruners import PrunerFactory, modes_of, set_up
from sklearn_tickets.benchmark._runs import SeekData, SeekRun
from sklearn_tickets.datasets import PlantedTicket
from sklearn_tickets.masks import TicketMask
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


def check_integer(name: str, value: object, minimum: int) -> None:
    """Raise a ValueError unless a value is an integer that is not below a minimum."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; got {value!r}.")


def split(planted: PlantedTicket) -> SeekData:
    """Hold out the last tenth of the samples."""
    n_train = len(planted.X) - len(planted.X) // 10
    return SeekData(
        X_train=planted.X[:n_train],
        y_train=planted.y[:n_train],
        X_test=planted.X[n_train:],
        y_test=planted.y[n_train:],
        ticket=planted.mask,
        metric="accuracy" if planted.y.dtype.kind == "i" else "mse",
    )


def possible_modes(
    planted: PlantedTicket, name: str, make_pruner: PrunerFactory
) -> tuple[str, ...]:
    """Return the modes that a pruner has."""
    return modes_of(set_up(name, make_pruner, planted.make_net()))


def search_run(
    planted: PlantedTicket,
    name: str,
    make_pruner: PrunerFactory,
    mode: str,
    density: float,
    budget: Budget,
) -> SeekRun:
    """Make the run of a pruner, seeded like the problem."""
    whole = max(1, budget.n_rounds * budget.round_epochs)
    net = planted.make_net(max_epochs=whole) if mode == "learned" else planted.make_net()
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
        prune_bias=True,
        random_state=planted.generator.random_state,
        **settings[mode],
    )
    # Those that have trained their tickets already say so by their own number.
    if pruner.final_epochs != 0:
        pruner.set_params(final_epochs=budget.final_epochs)
    return SeekRun(name, mode, density, pruner)


def reference_runs(planted: PlantedTicket, final_epochs: int) -> Iterator[SeekRun]:
    """Yield the runs of masks that are known."""
    seed = planted.generator.random_state
    for name, net, mask in _references(planted, seed):
        pruner = GivenMaskPruner(net, mask, final_epochs=final_epochs, random_state=seed)
        yield SeekRun(name, "given", mask.density, pruner)


def _references(planted: PlantedTicket, seed: int) -> Iterator[tuple[str, NeuralNet, TicketMask]]:
    """Yield the name, net and mask of each reference."""
    ticket, net = planted.mask, planted.make_net()
    yield "planted", net, ticket
    yield "dense", net, ticket | ~ticket
    if (planted.output_scale != 1).any():
        yield "scaled", planted.make_net(output_scale=True), ticket
    yield "shuffled", net, ticket.shuffled(seed)
    *_, output_bias = ticket
    biases = {name: torch.full_like(kept, name == output_bias) for name, kept in ticket.items()}
    yield "constant", net, TicketMask(biases)
