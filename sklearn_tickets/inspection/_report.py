"""`ticket_report`: a ticket compared with the dense network and controls."""

import copy
import warnings
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.stats import binom
from sklearn.base import BaseEstimator, is_classifier

from sklearn_tickets._estimators import find_pruner
from sklearn_tickets._network import plain_module
from sklearn_tickets._random import independent_rng
from sklearn_tickets.inspection._anatomy import gradient_flow, sparse_flops
from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.metrics import (
    make_strong_scorer,
    planted_ticket,
    sparse_accuracy,
    sparse_r2,
    strong_accuracy,
    strong_r2,
    ticket_chance_level,
    ticket_overlap_score,
)
from sklearn_tickets.pruners import GivenMaskPruner
from sklearn_tickets.pruners.base import BasePruner, Rounds

# By whether the task is classification: of the trained network, of the strong ticket, and of
# the strong ticket with raw outputs.
_SCORERS = {
    True: (sparse_accuracy, strong_accuracy, make_strong_scorer("accuracy", rescale=False)),
    False: (sparse_r2, strong_r2, make_strong_scorer("r2", rescale=False)),
}


def ticket_report(
    pruner: BaseEstimator | list[BaseEstimator],
    X: ArrayLike,
    y: ArrayLike,
    *,
    X_test: ArrayLike,
    y_test: ArrayLike,
    n_controls: int = 5,
    random_state: int | RandomState | None = None,
) -> pd.DataFrame:
    """Compare a ticket with the dense network and with controls.

    A ticket is a claim about a mask *and* initial weights. Each control replaces one of
    them, and is trained like the ticket.

    Parameters
    ----------
    pruner : fitted pruner, Pipeline or search, or list of these
        The fitted pruner, or a meta-estimator with one, whose transformers transform the data.
        Several pruners must only differ in ``random_state`` and are treated as one method: the
        controls take their masks and initial weights in turn.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The training inputs of the pruner and of the controls.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.
    X_test, y_test : array-like
        Held-out data for the scores.
    n_controls : int, default=5
        Number of fits of each control.
    random_state : int, RandomState instance or None, default=None
        Seeds the controls and the order of their training samples.

    Returns
    -------
    report : DataFrame
        Indexed by ``network``:

        - ``dense``: the dense network with the ticket's initial weights;
        - ``weak ticket``, ``sparse network`` or ``strong ticket``: the pruner's own network,
          which was trained from rewound weights, never rewound, or not trained;
        - ``weak ticket``, as a control of a sparse network: its mask, trained from the initial
          weights;
        - ``shuffled mask``: the mask permuted within each parameter, with the same initial
          weights;
        - ``re-initialized``: the mask, with initial weights permuted within each parameter.

        Columns, medians over ``n_fits`` fits:

        - ``n_kept``, ``density``: number and fraction of the parameters that the mask keeps;
          ``effective_density``: fraction on a path from an input to an output;
        - ``flops``: operations for one input, as counted by `sparse_flops`;
        - ``gradient_flow``: as in `gradient_flow`, on the training data;
        - ``sparse_accuracy`` or ``sparse_r2``: score of the trained network, missing if the
          pruner does not train its ticket; ``strong_...`` and ``raw_strong_...``: score of
          the mask on the initial weights, with outputs rescaled or not. Each has columns
          ``..._low`` and ``..._high``, a confidence interval of the median;
        - ``overlap``, ``chance``: overlap with the planted ticket, and its chance level.
          Missing if the network has no planted ticket.

    Raises
    ------
    NotFittedError
        If a pruner is not fitted.
    TypeError
        If there is not one pruner in `pruner`, or in each of them.
    ValueError
        If `n_controls` is below 1, `pruner` is an empty list, or the pruners differ in more
        than ``random_state``.

    See Also
    --------
    sklearn_tickets.pruners.GivenMaskPruner : Fits the controls.
    sklearn_tickets.benchmark.seek : Compares pruners.

    Notes
    -----
    Controls are trained for the pruner's `final_epochs` (the net's ``max_epochs`` if that is
    0) with its `schedule`. If the pruner rewinds to epoch k, they are first trained densely
    for k epochs. Control i of each kind has the same random stream.

    The confidence interval lies between order statistics, without assumptions about the
    distribution of the scores. It is the narrowest with a level of at least 95 %. For fewer
    than six fits, it is the range of the scores, with a level of :math:`1 - 2^{1 - n}` [1]_:
    94 % for five fits, 75 % for three. A single fit has no interval.

    Shuffled and re-initialized controls are those of [2]_ and [3]_. A ticket that does not
    beat the shuffled masks is only a good choice of layer densities, and one that does not
    beat re-initialized networks only a good architecture.

    References
    ----------
    .. [1] Thompson, "On confidence ranges for the median and other expectation distributions
       for populations of unknown distribution form", Annals of Mathematical Statistics 7, 1936.
    .. [2] Frankle and Carbin, "The lottery ticket hypothesis: finding sparse, trainable
       neural networks", ICLR 2019. arXiv:1803.03635.
    .. [3] Frankle, Dziugaite, Roy and Carbin, "Pruning neural networks at initialization: why
       are we missing the mark?", ICLR 2021. arXiv:2009.08576.

    Examples
    --------
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import GivenMaskPruner
    >>> from sklearn_tickets.inspection import ticket_report
    >>> planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(400)
    >>> X, X_test, y, y_test = train_test_split(planted.X, planted.y, random_state=0)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = GivenMaskPruner(net, planted.mask, random_state=0).fit(X, y)
    >>> report = ticket_report(
    ...     pruner, X, y, X_test=X_test, y_test=y_test, n_controls=2, random_state=0
    ... )
    >>> report[["n_fits", "n_kept", "flops", "overlap"]]
                    n_fits  n_kept  flops  overlap
    network
    dense                2     901   1680  0.00444
    weak ticket          1       4      8  1.00000
    shuffled mask        2       4      0  0.00000
    re-initialized       2       4      8  1.00000
    """
    given = pruner if isinstance(pruner, (list, tuple)) else [pruner]
    found = [find_pruner(each, "pruner") for each in given]
    pruners = [each.pruner for each in found]
    _check_pruners(pruners)
    if n_controls < 1:
        raise ValueError(f"n_controls must be at least 1; got {n_controls}.")
    if not pruners[0].train_ticket:
        name = "strong ticket"
    else:
        name = "sparse network" if Rounds.of(pruners[0]).rewind_epoch is None else "weak ticket"
    data = [
        (each.inputs(X), each.targets(y), each.inputs(X_test), each.targets(y_test))
        for each in found
    ]
    fits: dict[str, list[dict[str, Any]]] = {"dense": []}
    fits[name] = [_measure(fitted, *rows) for fitted, rows in zip(pruners, data, strict=True)]
    seeds = independent_rng(random_state).randint(np.iinfo(np.int32).max, size=n_controls).tolist()
    # Shuffled masks often collapse, which the effective density shows.
    with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
        for seed, origin, rows in zip(seeds, cycle(pruners), cycle(data), strict=False):
            for control, unfitted in _controls(origin, seed).items():
                fitted = unfitted.fit(*rows[:2])
                fits.setdefault(control, []).append(_measure(fitted, *rows))
    summaries = {network: _summary(rows) for network, rows in fits.items()}
    report = pd.DataFrame.from_dict(summaries, orient="index").rename_axis("network")
    return report.astype({"n_fits": int, "n_kept": int, "flops": int})


def _check_pruners(pruners: list[BasePruner]) -> None:
    """Raise an error unless these pruners only differ in random_state."""
    if not pruners:
        raise ValueError("pruner is an empty list; pass at least one fitted pruner.")
    first = pruners[0]
    for i, pruner in enumerate(pruners):
        params = pruner.get_params(deep=False)
        differing = [
            name
            for name, value in first.get_params(deep=False).items()
            if name not in ("estimator", "random_state") and params.get(name) != value
        ]
        if type(pruner) is not type(first):
            differing = [f"its class is {type(pruner).__name__}"]
        if differing:
            raise ValueError(
                f"pruner[{i}] differs from pruner[0] in more than random_state: "
                f"{', '.join(differing)}. Make a separate report for each."
            )


def _controls(pruner: BasePruner, seed: int) -> dict[str, GivenMaskPruner]:
    """Return the unfitted controls of a fitted pruner's ticket, by name."""
    module = copy.deepcopy(plain_module(pruner.estimator_.module_)).cpu()
    module.load_state_dict(pruner.initial_state_)
    params = {
        name: value
        for name, value in pruner.estimator.get_params(deep=False).items()
        if not name.startswith(("module__", "_"))
    }
    net = type(pruner.estimator)(**params | {"module": partial(copy.deepcopy, module)})
    rounds = Rounds.of(pruner)
    rewind_epoch = rounds.rewind_epoch or 0
    control = partial(
        GivenMaskPruner,
        net,
        round_epochs=rewind_epoch,
        rewind_epoch=rewind_epoch,
        final_epochs=pruner.final_epochs or None,
        train_ticket=pruner.train_ticket,
        schedule=rounds.schedule,
        random_state=seed,
    )
    mask = pruner.mask_
    controls = {"dense": control(mask | ~mask)}
    if rounds.rewind_epoch is None and rounds.train_ticket:
        controls["weak ticket"] = control(mask)
    controls["shuffled mask"] = control(mask.shuffled(seed))
    controls["re-initialized"] = control(mask, reinitialize=True)
    return controls


def _measure(
    pruner: BasePruner, X: ArrayLike, y: ArrayLike, X_test: ArrayLike, y_test: ArrayLike
) -> dict[str, Any]:
    """Return the columns of the report for one fit."""
    module, mask = plain_module(pruner.estimator_.module_), pruner.mask_
    row_of_X = pruner._check_inputs(X)[:1]
    row = {
        "n_kept": mask.n_kept,
        "density": mask.density,
        "effective_density": mask.effective(module, row_of_X).density,
        "flops": sparse_flops(module, mask, row_of_X),
        "gradient_flow": gradient_flow(pruner, X, y),
    }
    for scorer in _SCORERS[is_classifier(pruner)][0 if pruner.train_ticket else 1 :]:
        row[scorer.__name__] = scorer(pruner, X_test, y_test)
    ticket = planted_ticket(pruner)
    if ticket is not None:
        row["overlap"] = ticket_overlap_score(ticket, mask)
        row["chance"] = ticket_chance_level(ticket, mask)
    return row


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return the median of each column, for scores also its confidence interval."""
    n = len(rows)
    rank = max(1, int(binom.ppf(0.025, n, 0.5)))
    summary: dict[str, float] = {"n_fits": n}
    for column in rows[0]:
        values = sorted(row[column] for row in rows)
        summary[column] = float(np.median(values))
        if column.endswith(("accuracy", "r2")):
            interval = (values[rank - 1], values[n - rank]) if n > 1 else (np.nan, np.nan)
            summary[f"{column}_low"], summary[f"{column}_high"] = interval
    return summary
