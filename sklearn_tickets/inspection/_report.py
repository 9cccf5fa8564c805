"""`ticket_report`: a ticket beside the dense network and the controls behind every claim."""

import copy
import warnings
from functools import partial
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import RandomState
from scipy.stats import binom
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from sklearn_tickets._network import plain_module
from sklearn_tickets._random import independent_rng
from sklearn_tickets.inspection._anatomy import gradient_flow, sparse_flops
from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.metrics import (
    make_strong_scorer,
    sparse_accuracy,
    sparse_r2,
    strong_accuracy,
    strong_r2,
    ticket_chance_level,
    ticket_overlap_score,
)
from sklearn_tickets.pruners import GivenMaskPruner

# By whether it is classification; the first is of the network as trained.
_SCORERS = {
    True: (sparse_accuracy, strong_accuracy, make_strong_scorer("accuracy", rescale=False)),
    False: (sparse_r2, strong_r2, make_strong_scorer("r2", rescale=False)),
}


def ticket_report(
    pruner,
    X,
    y,
    *,
    X_test,
    y_test,
    n_controls: int = 5,
    random_state: int | RandomState | None = None,
) -> pd.DataFrame:
    """Compare a ticket with the dense network and with controls, as papers do.

    A ticket is a claim about a mask *and* initial weights. Each control takes one of them
    away, and is trained as the ticket was.

    Parameters
    ----------
    pruner : pruner or list of pruners
        Fitted. Several, that differ in ``random_state`` only, are one method: controls take
        the mask and initial weights of one after the other.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The training data of the pruner, and of the controls.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.
    X_test, y_test : array-like
        Data for the scores, which nothing was trained on.
    n_controls : int, default=5
        Number of fits of each control.
    random_state : int, RandomState or None, default=None
        Draws the controls, and the order in which they see the data.

    Returns
    -------
    report : DataFrame
        Indexed by ``network``:

        - ``dense``: everything kept, at the ticket's initial weights;
        - ``weak ticket``, ``sparse network`` or ``strong ticket``: the pruner's own network,
          trained from the weights it was rewound to, never rewound, or not trained;
        - ``weak ticket``, as a control of a sparse network: its mask, trained from the initial
          weights;
        - ``shuffled mask``: as many parameters in every layer, elsewhere, at the same
          initial weights;
        - ``re-initialized``: the mask, the initial weights permuted within each parameter.

        Columns, medians over ``n_fits`` fits:

        - ``n_kept``, ``density``: of the parameters that the mask covers; and
          ``effective_density``, that of the part on a path from an input to an output;
        - ``flops``: of one input, as `sparse_flops` counts;
        - ``gradient_flow``: as in `gradient_flow`, on the training data;
        - ``sparse_accuracy`` or ``sparse_r2``: the trained network's score, left out if the
          pruner does not train its ticket; ``strong_...`` and ``raw_strong_...``: that of
          the mask on the initial weights, with outputs rescaled and not. Each of them with
          ``..._low`` and ``..._high``, a confidence interval of the median;
        - ``overlap``, ``chance``: with the network's planted ticket, and of a random mask.
          Left out if it carries none.

    Raises
    ------
    NotFittedError
        If a pruner is not fitted.
    TypeError
        If `pruner` is something else.
    ValueError
        If `n_controls` is below 1, or the pruners are none or differ in more than
        ``random_state``.

    See Also
    --------
    GivenMaskPruner : Fits the controls.
    sklearn_tickets.benchmark.seek : Compares pruners.

    Notes
    -----
    Controls are trained for `final_epochs` (where these are 0, for the net's
    ``max_epochs``), along the pruner's `schedule`; if it rewinds to epoch k, then they train
    densely for k epochs first. Control i of each kind has the same random stream.

    The interval is between order statistics, which assumes nothing about the scores'
    distribution: the narrowest whose level is at least 95 %, or from the lowest to the
    highest of fewer than six fits. That has the level :math:`1 - 2^{1 - n}` [1]_: 94 % of
    five, 75 % of three. One fit has none.

    Shuffled and re-initialized controls are those of [2]_ and [3]_. A ticket that does not
    beat the first is a good choice of layer densities, and one that does not beat the second
    a good architecture.

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
    pruners = list(pruner) if isinstance(pruner, (list, tuple)) else [pruner]
    _check_pruners(pruners)
    if n_controls < 1:
        raise ValueError(f"n_controls={n_controls} must be at least 1.")
    if not pruners[0].train_ticket:
        name = "strong ticket"
    else:
        name = "sparse network" if pruners[0].rewind_epoch is None else "weak ticket"
    data = X, y, X_test, y_test
    fits: dict[str, list[dict[str, Any]]] = {"dense": []}
    fits[name] = [_measure(fitted, *data) for fitted in pruners]
    seeds = independent_rng(random_state).randint(np.iinfo(np.int32).max, size=n_controls).tolist()
    with warnings.catch_warnings():
        # A shuffled mask often leads nowhere: a result, in a column of its own.
        warnings.simplefilter("ignore", LayerCollapseWarning)
        for seed, origin in zip(seeds, cycle(pruners), strict=False):
            for control, unfitted in _controls(origin, seed).items():
                fits.setdefault(control, []).append(_measure(unfitted.fit(X, y), *data))
    summaries = {network: _summary(rows) for network, rows in fits.items()}
    report = pd.DataFrame.from_dict(summaries, orient="index").rename_axis("network")
    return report.astype({"n_fits": int, "n_kept": int, "flops": int})


def _check_pruners(pruners: list) -> None:
    """Raise an error unless these are fits of one pruner."""
    if not pruners:
        raise ValueError("pruner is an empty list; pass at least one fitted pruner.")
    for pruner in pruners:
        check_is_fitted(pruner)
        if not isinstance(getattr(pruner, "mask_", None), TicketMask):
            raise TypeError(
                f"pruner must be a fitted pruner or a list of them; got {pruner!r}, which has no "
                "mask_. Of a search, pass best_estimator_."
            )
    first = pruners[0]
    for i, pruner in enumerate(pruners):
        params = pruner.get_params(deep=False)
        differing = [
            name
            for name, value in first.get_params(deep=False).items()
            if name not in ("estimator", "random_state") and params.get(name) != value
        ]
        if type(pruner) is not type(first):
            differing = [f"it is a {type(pruner).__name__}"]
        if differing:
            raise ValueError(
                f"pruner[{i}] differs from pruner[0] in more than random_state: "
                f"{', '.join(differing)}. Make a report of each."
            )


def _controls(pruner, seed: int) -> dict[str, GivenMaskPruner]:
    """What a fitted pruner's ticket is compared with, by name, unfitted."""
    module = copy.deepcopy(plain_module(pruner.estimator_.module_)).cpu()
    module.load_state_dict(pruner.initial_state_)
    params = {
        name: value
        for name, value in pruner.estimator.get_params(deep=False).items()
        if not name.startswith(("module__", "_"))
    }
    net = type(pruner.estimator)(**params | {"module": partial(copy.deepcopy, module)})
    rewind_epoch = pruner.rewind_epoch or 0
    control = partial(
        GivenMaskPruner,
        net,
        round_epochs=rewind_epoch,
        rewind_epoch=rewind_epoch,
        final_epochs=pruner.final_epochs or None,
        train_ticket=pruner.train_ticket,
        schedule=pruner.schedule,
        random_state=seed,
    )
    mask = pruner.mask_
    controls = {"dense": control(mask | ~mask)}
    if pruner.rewind_epoch is None and pruner.train_ticket:
        controls["weak ticket"] = control(mask)
    controls["shuffled mask"] = control(mask.shuffled(seed))
    controls["re-initialized"] = control(mask, reinitialize=True)
    return controls


def _measure(pruner, X, y, X_test, y_test) -> dict[str, Any]:
    """One fit's numbers, by column."""
    module, mask = plain_module(pruner.estimator_.module_), pruner.mask_
    row_of_X = pruner._check_inputs(X[:1])
    row = {
        "n_kept": mask.n_kept,
        "density": mask.density,
        "effective_density": mask.effective(module, row_of_X).density,
        "flops": sparse_flops(module, mask, row_of_X),
        "gradient_flow": gradient_flow(pruner, X, y),
    }
    for scorer in _SCORERS[is_classifier(pruner)][0 if pruner.train_ticket else 1 :]:
        row[scorer.__name__] = scorer(pruner, X_test, y_test)
    truth = getattr(module, "ticket", None)
    if truth is not None:
        row |= {
            "overlap": ticket_overlap_score(truth, mask),
            "chance": ticket_chance_level(truth, mask),
        }
    return row


def _summary(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over fits, of scores with a confidence interval."""
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
