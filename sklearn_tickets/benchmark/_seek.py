"""`seek`: compare the results of pruners with a planted ticket."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from skorch import NeuralNet

from sklearn_tickets._random import independent_rng
from sklearn_tickets.benchmark._runs import SeekData, SeekRun, run_all
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
    "task",
    "depth",
    "width",
    "seed",
    "pruner",
    "mode",
    "density",
    "n_kept",
    "metric",
    "strong",
    "strong_raw",
    "weak",
    "overlap",
    "chance",
    "effective_density",
    "collapsed",
    "seconds",
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

# The pruners that score parameters. The others learn their masks, which takes longer.
DEFAULT = tuple(PRUNERS)[:6]

# Magnitude pruning in rounds is iterative magnitude pruning.
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
    """Plant a ticket, and compare it with the tickets that pruners find.

    Every pruner searches at every density in two modes: ``"single"`` prunes the untrained
    network once; ``"multi"`` goes through rounds of training, pruning a part, and resetting
    the weights to their initial values. Pruners that learn their masks have one mode,
    ``"learned"``, and train for as many epochs as all rounds together. The final tickets are
    trained from their initial weights. Biases are pruned like weights, since a planted ticket
    consists of both.

    Parameters
    ----------
    generator : PlantedTicketGenerator
        The generator of the planted problem. Its ``random_state`` also seeds the pruners.
    n_samples : int, default=10_000
        Number of samples, at least 100. The last tenth is held out to measure all
        qualities.
    pruners : iterable of str or mapping of str to callable, default=DEFAULT
        Names from `PRUNERS`, or a mapping of names to classes or other callables that make
        a pruner from a skorch net and keyword arguments. All pruners are rewound to the
        initial weights, so that the table compares weak tickets.
    densities : iterable of float in (0, 1] or "ticket", default=(0.1, 0.01, "ticket")
        Fractions of the parameters to keep; ``"ticket"`` is the planted ticket's own.
    n_rounds : int, default=10
        Number of rounds in multi mode.
    round_epochs : int, default=5
        Number of training epochs in each of these rounds.
    final_epochs : int, default=10
        Number of epochs for which the final tickets are trained.
    n_jobs : int or None, default=None
        Number of parallel processes; None means 1, and -1 one per core. Only ``seconds``
        depends on it.
    callback : callable ``(n_epochs_done, n_epochs)``, default=None
        The function to call for each run, once the runs beside it are done, too, with the
        training epochs of the completed runs and of all runs.

    Returns
    -------
    table : DataFrame of shape (n_runs, 17)
        One row per run: first the references described in Notes; then, for every density,
        every pruner in every mode. The columns are

        - ``task, depth, width, seed``: the planted problem;
        - ``pruner, mode``: the pruner and its mode; references have the mode "given";
        - ``density, n_kept``: requested fraction of the parameters, and number kept;
        - ``metric``: "accuracy" (higher is better) or "mse", mean squared error (lower is
          better);
        - ``strong``: quality at the initial weights, with outputs multiplied by factors
          estimated on the training data; ``strong_raw``: without these factors;
        - ``weak``: quality after training from the initial weights;
        - ``overlap``: intersection over union with the planted ticket; ``chance``: that of
          a random mask with as many entries in every parameter;
        - ``effective_density``: fraction on a path from an input to an output;
          ``collapsed``: whether there is no such path;
        - ``seconds``: wall time of the fit, on one thread. Trainings that run as one network
          share its time equally.

    Raises
    ------
    ValueError
        If an argument is out of range, a pruner is unknown, or no ticket can be planted.

    Warns
    -----
    FitFailedWarning
        If a run fails. Its row has missing values; the others are not affected.

    See Also
    --------
    format_report : Format the table as text.
    SeekDisplay : Plot the table.

    Notes
    -----
    Trainings of weights run side by side as one network, as in `BatchedGridSearchCV`; equal
    trainings, such as the first rounds of all pruners, run once. Pruners that learn their masks
    run one by one.

    The single mode uses each pruner's default number of rounds; SynFlow, for example, scores
    the untrained network 100 times. Magnitude pruning in rounds is iterative magnitude
    pruning, so ``"magnitude"`` only has the single mode and ``"imp"`` only the multi mode.

    The references are masks that are trained like the tickets: ``"planted"`` is the ticket;
    ``"dense"`` keeps everything; ``"scaled"`` is the ticket in a network that multiplies its
    outputs by their true scale (omitted if that is 1); ``"shuffled"`` is the ticket permuted
    within every parameter; ``"constant"`` only keeps the output biases, so that the outputs
    do not depend on the inputs.

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
    data = SeekData(
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
    # The table compares weak tickets.
    modes: dict[str, dict[str, Any]] = {
        "single": {"round_epochs": 0, "rewind_epoch": 0},
        "multi": {"n_rounds": n_rounds, "round_epochs": round_epochs, "rewind_epoch": 0},
        "learned": {"train_ticket": True},
    }
    nets = {mode: planted.make_net() for mode in ("single", "multi")}
    nets["learned"] = planted.make_net(max_epochs=search_epochs["learned"])
    runs = [
        SeekRun(name, "given", mask.density, GivenMaskPruner(net, mask, **settings), final_epochs)
        for name, net, mask in _references(planted, seed)
    ]
    for density in _numeric_densities(densities, planted.mask):
        for name, make_pruner in chosen.items():
            for mode in _MODES.get(name, ("single", "multi")):
                pruner = make_pruner(
                    nets[mode], sparsity=1 - density, prune_bias=True, **settings, **modes[mode]
                )
                runs.append(
                    SeekRun(name, mode, density, pruner, search_epochs[mode] + final_epochs)
                )

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
    """Return the pruners by name."""
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
    """Check the densities, replace "ticket" by the ticket's density, and drop duplicates."""
    numbers = [ticket.density if density == "ticket" else density for density in densities]
    for density in numbers:
        if not isinstance(density, Real) or not 0 < density <= 1:
            raise ValueError(
                f"densities contains {density!r}; pass fractions above 0 and at most 1 or 'ticket'."
            )
    return list(dict.fromkeys(float(density) for density in numbers))


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
