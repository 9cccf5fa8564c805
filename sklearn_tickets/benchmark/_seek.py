"""`seek`: compare the results of pruners with a planted ticket."""

from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Literal

import numpy as np
import pandas as pd
from sklearn.base import clone

from sklearn_tickets._random import independent_rng
from sklearn_tickets.benchmark._checks import check_integer
from sklearn_tickets.benchmark._problem import PlantedProblem
from sklearn_tickets.benchmark._pruners import DEFAULT, PrunerFactory, named_pruners
from sklearn_tickets.benchmark._runs import run_all
from sklearn_tickets.benchmark._searches import (
    REFERENCES,
    Budget,
    possible_modes,
    reference_runs,
    search_run,
)
from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.masks import TicketMask

COLUMNS = (
    "task",
    "depth",
    "width",
    "seed",
    "pruner",
    "mode",
    "trained_from",
    "epochs",
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


def seek(
    generator: PlantedTicketGenerator,
    n_samples: int = 10_000,
    *,
    pruners: Iterable[str] | Mapping[str, str | PrunerFactory] = DEFAULT,
    densities: Iterable[float | Literal["ticket"]] = (0.1, 0.01, "ticket"),
    n_rounds: int = 10,
    round_epochs: int = 5,
    final_epochs: int = 10,
    n_jobs: int | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> pd.DataFrame:
    """Plant a ticket, and compare it with the tickets that pruners find.

    Every pruner searches at every density in the modes that it has. Pruners that score have two:
    ``"single"`` prunes the untrained network once; ``"multi"`` goes through rounds of training,
    pruning a part, and rewinding the weights, if the pruner rewinds. Those that train before they
    score by default, such as learning-rate rewinding, only have the second. Pruners that learn
    their masks have one mode, ``"learned"``, and train for as many epochs as all rounds together.
    The final tickets are then trained, unless the pruner finds strong tickets (its `train_ticket`
    is False) or leaves no training to the end (its `final_epochs` is 0). Biases are pruned like
    weights, since a planted ticket consists of both.

    Parameters
    ----------
    generator : PlantedTicketGenerator
        The generator of the planted problem. Its ``random_state`` also seeds the pruners.
    n_samples : int, default=10_000
        Number of samples, at least 100. The last tenth is held out to measure all
        qualities.
    pruners : iterable of str or mapping of str to str or callable, default=DEFAULT
        Names from `PRUNERS`, or ``"package.module:Class"`` of pruners of your own; or a mapping of
        names for the table to these, to classes, or to other callables that make a pruner from a
        skorch net and keyword arguments, such as ``functools.partial(SNIPPruner,
        n_score_samples=20)``.
    densities : iterable of float in (0, 1] or "ticket", default=(0.1, 0.01, "ticket")
        Fractions of the parameters to keep, at least one; ``"ticket"`` is the planted ticket's own.
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
    table : DataFrame of shape (n_runs, 19)
        One row per run: first the references described in Notes; then, for every density,
        every pruner in every mode. The columns are

        - ``task, depth, width, seed``: the planted problem;
        - ``pruner, mode``: the pruner and its mode; references have the mode "given";
        - ``trained_from``: "weak", from the initial weights (or those of an early epoch, if the
          pruner rewinds to it); "sparse net", never rewound; or "strong", not trained;
        - ``epochs``: training epochs of the whole fit, those that learn a mask included;
        - ``density, n_kept``: requested fraction of the parameters, and number kept;
        - ``metric``: "accuracy" (higher is better) or "mse", mean squared error (lower is
          better);
        - ``strong``: quality at the initial weights, with outputs multiplied by factors
          estimated on the training data; ``strong_raw``: without these factors;
        - ``weak``: quality after training, from the weights that ``trained_from`` tells; that of
          strong tickets is ``strong`` once more;
        - ``overlap``: intersection over union with the planted ticket; ``chance``: that of
          a random mask with as many entries in every parameter;
        - ``effective_density``: fraction on a path from an input to an output;
          ``collapsed``: whether there is no such path;
        - ``seconds``: wall time of the fit, on one thread. Trainings that run as one network
          share its time equally.

    Raises
    ------
    ValueError
        If an argument is out of range, a pruner is unknown, cannot be imported or set up, or no
        ticket can be planted. Nothing has been run then.

    Warns
    -----
    FitFailedWarning
        If a run fails. Its row has missing values; the others are not affected.

    See Also
    --------
    format_report : Format the table as text.
    describe_findings : Say in three lines what it shows.
    SeekDisplay : Plot the table.

    Notes
    -----
    Trainings of weights run side by side as one network, as in `BatchedGridSearchCV`; equal
    trainings, such as the first rounds of all pruners, run once. Pruners that learn their masks
    run one by one.

    The single mode uses each pruner's default number of rounds; SynFlow, for example, scores
    the untrained network 100 times. Magnitude pruning in rounds is iterative magnitude
    pruning: ``"magnitude"`` in multi mode is ``"imp"``. ``"rewinding"`` and ``"second-order"``
    train with the settings that they are designed for (a learning rate of 1e-2, batches of 64),
    and ``"annealing"``, which needs Numba and is no default without it, has four chains of 6,000
    moves for each epoch of all rounds together.

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
    check_integer("n_samples", n_samples, 100)
    budget = Budget(n_rounds, round_epochs, final_epochs)
    chosen = named_pruners(pruners)
    for name in REFERENCES:
        if name in chosen:
            raise ValueError(f"pruners has the name {name!r} of a reference; choose another one.")
    seed = generator.random_state
    if not isinstance(seed, Integral):
        seed = independent_rng(seed).randint(np.iinfo(np.int32).max)
    planted = PlantedProblem(clone(generator).set_params(random_state=seed).generate(n_samples))
    runs = list(reference_runs(planted, final_epochs))
    for density in numeric_densities(densities, planted.data.ticket):
        for name, make_pruner in chosen.items():
            runs.extend(
                search_run(planted, name, make_pruner, mode, density, budget)
                for mode in possible_modes(planted, name, make_pruner)
            )

    labels = {
        "task": getattr(generator.task, "name", generator.task),
        "depth": generator.depth,
        "width": generator.width,
        "seed": seed,
        "metric": planted.data.metric,
    }
    rows = run_all(runs, planted.data, n_jobs, callback)
    return pd.DataFrame([labels | row for row in rows], columns=list(COLUMNS))


def numeric_densities(
    densities: Iterable[float | Literal["ticket"]], ticket: TicketMask | None
) -> list[float]:
    """Check the densities, replace "ticket" by the ticket's density, and drop duplicates."""
    numbers = [
        ticket.density if density == "ticket" and ticket is not None else density
        for density in densities
    ]
    if not numbers:
        raise ValueError(
            "densities is empty, so that no pruner would run; pass some, such as 'ticket', or "
            "pruners=[] for the references alone."
        )
    for density in numbers:
        if not isinstance(density, Real) or isinstance(density, bool) or not 0 < density <= 1:
            raise ValueError(
                f"densities contains {density!r}; pass fractions above 0 and at most 1 or 'ticket'."
            )
    return list(dict.fromkeys(float(density) for density in numbers))
