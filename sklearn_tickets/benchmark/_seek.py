"""`seek`: plant a ticket, let pruners look for it, and put what they find in one table."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from sklearn_tickets._random import independent_rng
from sklearn_tickets.benchmark._runs import Data, Run, run_all
from sklearn_tickets.datasets import PlantedTicket, PlantedTicketGenerator
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    GeneticPruner,
    GivenMaskPruner,
    GraSPPruner,
    HardConcretePruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
    StochasticSparsificationPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import BasePruner

COLUMNS = (
    *("task", "depth", "width", "seed", "pruner", "mode", "density", "n_kept"),
    *("metric", "strong", "strong_raw", "weak"),
    *("overlap", "chance", "effective_density", "collapsed", "seconds"),
)

PRUNERS: dict[str, Callable[..., BasePruner]] = {
    "random": RandomPruner,
    "magnitude": MagnitudePruner,
    "imp": IterativeMagnitudePruner,
    "snip": SNIPPruner,
    "grasp": GraSPPruner,
    "synflow": SynFlowPruner,
    "rigl": partial(RigLPruner, rewind_epoch=0),
    "continuous": ContinuousSparsificationPruner,
    "edge-popup": EdgePopupPruner,
    "stochastic": StochasticSparsificationPruner,
    "hard-concrete": HardConcretePruner,
    "gem-miner": GemMinerPruner,
    "bernoulli": BernoulliGatePruner,
    "concrete": ConcreteTicketPruner,
    "genetic": GeneticPruner,
}

# Those that score what is there; the others learn their masks, which takes longer.
DEFAULT = tuple(PRUNERS)[:6]

# Iterative magnitude pruning is magnitude pruning in rounds: no need to run that twice.
_MODES = {name: ("learned",) for name in PRUNERS if name not in DEFAULT} | {
    "magnitude": ("single",),
    "imp": ("multi",),
}


def seek(
    generator: PlantedTicketGenerator,
    n_samples: int = 10_000,
    *,
    pruners: Iterable[str] | Mapping[str, Callable[..., BasePruner]] = DEFAULT,
    densities: Iterable[float | Literal["ticket"]] = (0.1, 0.01, "ticket"),
    n_rounds: int = 10,
    round_epochs: int = 5,
    final_epochs: int = 10,
    n_jobs: int | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """Plant a ticket, and compare what pruners find with it.

    Every pruner looks for the ticket at every density, in two ways: ``"single"`` prunes
    the untrained network once; ``"multi"`` goes through rounds of training, pruning a
    part, and returning the weights to their initial values. Pruners that learn their
    masks do it in one go, as long as all these rounds together: ``"learned"``. What is kept
    in the end is trained from its initial weights. Biases are pruned like weights, since a
    planted ticket consists of both.

    Parameters
    ----------
    generator : PlantedTicketGenerator
        Plants the ticket. Its ``random_state`` seeds the pruners, too.
    n_samples : int, default=10_000
        Number of samples, at least 100. The last tenth is held out: all qualities are
        measured on it, and no fit sees it.
    pruners : iterable of str or mapping of str to callable, default=DEFAULT
        Names from `PRUNERS`. Or pruners of your own by name: classes, or anything else
        that makes a pruner from a skorch net and keyword parameters. All are rewound to
        their initial weights, so that the table compares weak tickets.
    densities : iterable of float in (0, 1] or "ticket", default=(0.1, 0.01, "ticket")
        Fractions of the parameters to keep; ``"ticket"`` is the planted ticket's own.
    n_rounds : int, default=10
        Rounds of the multi-shot runs.
    round_epochs : int, default=5
        Epochs of training in each of these rounds.
    final_epochs : int, default=10
        Epochs that every ticket is trained once it is found.
    n_jobs : int or None, default=None
        Number of processes; None means 1, and -1 one per core. Nothing but ``seconds``
        depends on it.
    callback : callable ``(n_epochs_done, n_epochs)``, default=None
        Called after each run with the training epochs of the runs done and of all.

    Returns
    -------
    table : DataFrame of shape (n_runs, 17)
        One row per run: first the references described in Notes; then, for every density,
        every pruner in every mode. The columns are

        - ``task, depth, width, seed``: the planted problem;
        - ``pruner, mode``: who looked and how; the references are "given";
        - ``density, n_kept``: fraction of parameters asked for, and number kept;
        - ``metric``: "accuracy" (more is better) or "mse", mean squared error (less is);
        - ``strong``: quality at the initial weights, outputs multiplied by factors
          estimated on the training data; ``strong_raw``: by none;
        - ``weak``: quality after training from the initial weights;
        - ``overlap``: intersection over union with the planted ticket; ``chance``: of a
          random choice of as many entries in every parameter;
        - ``effective_density``: fraction on a path from an input to an output;
          ``collapsed``: whether there is no such path;
        - ``seconds``: wall time of the fit, on one thread.

    Raises
    ------
    ValueError
        If an argument is not one of those above, or no ticket can be planted.

    Warns
    -----
    FitFailedWarning
        If a run fails. Its row holds missing values; the others are not affected.

    See Also
    --------
    format_report : The table as text.
    SeekDisplay : The table as a plot.

    Notes
    -----
    A pruner's single mode is its own default: SynFlow scores the untrained network 100
    times. Magnitude pruning in rounds is iterative magnitude pruning, so ``"magnitude"``
    has the single mode only and ``"imp"`` the multi mode only.

    The references are masks trained like all others: ``"planted"``, the ticket;
    ``"dense"``, the whole network; ``"scaled"``, the ticket in a network that multiplies
    its outputs by their true scale (left out where that is 1); ``"shuffled"``, as many
    entries of every parameter as the ticket has, elsewhere; ``"constant"``, the output
    biases alone, which is the quality of ignoring the input.

    Examples
    --------
    >>> from sklearn_tickets.benchmark import seek
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> table = seek(
    ...     PlantedTicketGenerator("relu", width=20, random_state=0),
    ...     n_samples=300,
    ...     pruners=["synflow"],
    ...     densities=["ticket"],
    ...     n_rounds=2,
    ...     round_epochs=1,
    ...     final_epochs=1,
    ... )
    >>> table[["pruner", "mode", "n_kept"]]
         pruner    mode  n_kept
    0   planted   given       4
    1     dense   given     901
    2    scaled   given       4
    3  shuffled   given       4
    4  constant   given       1
    5   synflow  single       4
    6   synflow   multi       4
    """
    for argument, value, minimum in [
        ("n_samples", n_samples, 100),
        ("n_rounds", n_rounds, 1),
        ("round_epochs", round_epochs, 0),
        ("final_epochs", final_epochs, 1),
    ]:
        if not isinstance(value, Integral) or value < minimum:
            raise ValueError(f"{argument} must be an integer of at least {minimum}; got {value!r}.")
    chosen = _named_pruners(pruners)
    seed = generator.random_state
    if not isinstance(seed, Integral):
        seed = independent_rng(seed).randint(np.iinfo(np.int32).max)
    planted = clone(generator).set_params(random_state=seed).generate(n_samples)
    n_train = n_samples - n_samples // 10
    data = Data(
        X_train=planted.X[:n_train],
        y_train=planted.y[:n_train],
        X_test=planted.X[n_train:],
        y_test=planted.y[n_train:],
        ticket=planted.mask,
        metric="accuracy" if planted.y.dtype.kind == "i" else "mse",
    )

    settings: dict[str, Any] = {"final_epochs": final_epochs, "random_state": seed}
    search_epochs = {"single": 0, "multi": n_rounds * round_epochs}
    search_epochs["learned"] = max(1, search_epochs["multi"])
    # The weak tickets of all are compared.
    modes: dict[str, dict[str, Any]] = {
        "single": {"round_epochs": 0, "rewind_epoch": 0},
        "multi": {"n_rounds": n_rounds, "round_epochs": round_epochs, "rewind_epoch": 0},
        "learned": {"train_ticket": True},
    }
    nets = {mode: planted.make_net() for mode in ("single", "multi")}
    nets["learned"] = planted.make_net(max_epochs=search_epochs["learned"])
    runs = [
        Run(
            pruner=GivenMaskPruner(net, mask, **settings),
            name=name,
            mode="given",
            density=mask.density,
            n_epochs=final_epochs,
        )
        for name, net, mask in _references(planted, seed)
    ]
    for density in _numeric_densities(densities, planted.mask):
        for name, make_pruner in chosen.items():
            for mode in _MODES.get(name, ("single", "multi")):
                pruner = make_pruner(
                    nets[mode], sparsity=1 - density, prune_bias=True, **settings, **modes[mode]
                )
                runs.append(Run(name, mode, density, pruner, search_epochs[mode] + final_epochs))

    problem = {
        "task": getattr(generator.task, "name", generator.task),
        "depth": generator.depth,
        "width": generator.width,
        "seed": seed,
        "metric": data.metric,
    }
    rows = run_all(runs, data, n_jobs, callback)
    return pd.DataFrame([problem | row for row in rows], columns=list(COLUMNS))


def _named_pruners(
    pruners: Iterable[str] | Mapping[str, Callable[..., BasePruner]],
) -> Mapping[str, Callable[..., BasePruner]]:
    """Look the names up."""
    if isinstance(pruners, Mapping):
        return pruners
    names = [pruners] if isinstance(pruners, str) else list(pruners)
    unknown = [name for name in names if name not in PRUNERS]
    if unknown:
        raise ValueError(f"pruners contains {unknown[0]!r}; choose from {', '.join(PRUNERS)}.")
    return {name: PRUNERS[name] for name in names}


def _numeric_densities(
    densities: Iterable[float | Literal["ticket"]], ticket: TicketMask
) -> list[float]:
    """Check the densities, put the ticket's own in, and drop what comes twice."""
    numbers = [ticket.density if density == "ticket" else density for density in densities]
    for density in numbers:
        if not isinstance(density, Real) or not 0 < density <= 1:
            raise ValueError(
                f"densities contains {density!r}; give fractions of the parameters to keep, above "
                "0 and at most 1, or 'ticket'."
            )
    return list(dict.fromkeys(float(density) for density in numbers))


def _references(planted: PlantedTicket, seed: int):
    """Name, net and mask of what the pruners' finds are compared with."""
    ticket, net = planted.mask, planted.make_net()
    yield "planted", net, ticket
    yield "dense", net, ticket | ~ticket
    if (planted.output_scale != 1).any():
        yield "scaled", planted.make_net(output_scale=True), ticket
    yield "shuffled", net, ticket.shuffled(seed)
    *_, output_bias = ticket
    biases = {name: torch.full_like(kept, name == output_bias) for name, kept in ticket.items()}
    yield "constant", net, TicketMask(biases)
