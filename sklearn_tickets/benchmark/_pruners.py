"""The pruners of the benchmark by name, and what it makes of anybody's pruner."""

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any

from skorch import NeuralNet

from sklearn_tickets.benchmark._checks import check_names
from sklearn_tickets.pruners import (
    AnnealingPruner,
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    GeneticPruner,
    GraSPPruner,
    HardConcretePruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    OptimalBrainSurgeonPruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
    StochasticSparsificationPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import BasePruner, WeightScoringPruner

PrunerFactory = Callable[..., BasePruner]

_HAS_NUMBA = find_spec("numba") is not None


def _at_high_rate(make_pruner: PrunerFactory, net: NeuralNet, **parameters: Any) -> BasePruner:
    """Make a pruner that never rewinds, of a net that learns fast: both are designed for it."""
    return make_pruner(net.set_params(lr=1e-2, batch_size=64), **parameters)


def _briefly_annealed(net: NeuralNet, **parameters: Any) -> AnnealingPruner:
    """Make an annealing pruner whose chains are as short as the net's training."""
    if not _HAS_NUMBA:
        raise ImportError("it needs Numba, pip install 'sklearn-tickets[fast]'")
    # Large tickets grow from a small one, which takes less time.
    brief = {
        "mask_epochs": max(1, net.max_epochs // 5),
        "n_moves": 6_000 * net.max_epochs,
        "n_chains": 4,
        "n_small": 400,
    }
    return AnnealingPruner(net, **brief | parameters)


PRUNERS: dict[str, PrunerFactory] = {
    "random": RandomPruner,
    "magnitude": MagnitudePruner,
    "snip": SNIPPruner,
    "grasp": GraSPPruner,
    "synflow": SynFlowPruner,
    "rewinding": partial(_at_high_rate, LearningRateRewindingPruner),
    # Shorter than by default; without second-order steps, the last round is followed by a training.
    "second-order": partial(
        _at_high_rate, OptimalBrainSurgeonPruner, n_regrowths=2, max_exact=300, final_epochs=None
    ),
    "annealing": _briefly_annealed,
    "imp": IterativeMagnitudePruner,
    "rigl": partial(RigLPruner, rewind_epoch=0, final_epochs=None),
    "continuous": ContinuousSparsificationPruner,
    "edge-popup": EdgePopupPruner,
    "stochastic": StochasticSparsificationPruner,
    "hard-concrete": HardConcretePruner,
    "gem-miner": GemMinerPruner,
    "bernoulli": BernoulliGatePruner,
    "concrete": ConcreteTicketPruner,
    "genetic": GeneticPruner,
}

# Kinds of all sorts, in the order of the table.
DEFAULT = (
    "random",
    "magnitude",
    "snip",
    "grasp",
    "synflow",
    "rewinding",
    "second-order",
    *(["annealing"] if _HAS_NUMBA else []),
)


def find_pruner(name: str) -> PrunerFactory:
    """Return a pruner of the benchmark by its name, or another one as "package.module:Class"."""
    if ":" not in name:
        check_names("pruners", [name], PRUNERS)
        return PRUNERS[name]
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:
        raise ValueError(
            f"pruners contains {name!r}, which cannot be imported ({type(error).__name__}: "
            f"{error}); install its package, or run where its module is."
        ) from error


def set_up(name: str, make_pruner: PrunerFactory, net: NeuralNet, **parameters: Any) -> BasePruner:
    """Make a pruner, and refuse what is none or has a parameter that it cannot have."""
    try:
        pruner = make_pruner(net, **parameters)
    except Exception as error:
        raise ValueError(
            f"pruners contains {name!r}, which cannot be set up ({type(error).__name__}: {error}); "
            "it must take a net and the parameters of `SparsityPruner`."
        ) from error
    if not isinstance(pruner, BasePruner):
        raise ValueError(
            f"pruners contains {name!r}, which makes a {type(pruner).__name__} and no pruner; pass "
            "a subclass of `SparsityPruner`, or a function that makes one."
        )
    pruner._validate_params()
    return pruner


def modes_of(pruner: BasePruner) -> tuple[str, ...]:
    """Return the modes of a pruner: those that score go through rounds, others learn their masks.

    One that trains before it scores, if it is left to its defaults, has no single mode.
    """
    if not isinstance(pruner, WeightScoringPruner):
        return ("learned",)
    return ("single", "multi") if pruner.round_epochs == 0 else ("multi",)


def named_pruners(
    pruners: str | Iterable[str] | Mapping[str, str | PrunerFactory],
) -> dict[str, PrunerFactory]:
    """Return pruners by name."""
    if not isinstance(pruners, Mapping):
        names = [pruners] if isinstance(pruners, str) else pruners
        pruners = {name: name for name in names}
    return {
        name: find_pruner(pruner) if isinstance(pruner, str) else pruner
        for name, pruner in pruners.items()
    }
