"""Scorers for scikit-learn's model selection that look inside a fitted pruner.

Scorers of ``make_scorer`` compare predictions with targets. These callables
``(estimator, X, y)`` also read a pruner's mask and initial weights. They find the pruner at
the end of a ``Pipeline``, inside a fitted search, or inside another meta-estimator such as
``TransformedTargetRegressor``, whose own predictions they score.
"""

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_is_fitted

from sklearn_tickets._estimators import find_pruner
from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics._overlap import (
    ticket_f1_score,
    ticket_overlap_score,
    ticket_precision_score,
    ticket_recall_score,
)

_NAME = "The estimator of this scorer"


class _Scorer:
    """A named callable ``(estimator, X, y=None, *, sample_weight=None) -> float``.

    Higher is better. Weights of rows have no effect on scores of masks.

    Parameters
    ----------
    name : str
        The ``__name__``, which labels scikit-learn's validation curves.
    doc : str
        The ``__doc__``.
    measure : callable ``(estimator, X, y, **options) -> float``
        The function that scores a fitted pruner, or a meta-estimator with one inside. If it
        has an option `scorer`, this gets the weights of rows, if there are any.
    **options : dict
        Keyword arguments of `measure`.
    """

    def __init__(self, name: str, doc: str, measure: Callable[..., float], **options: Any) -> None:
        self.__name__ = name
        self.__doc__ = doc
        self._measure = measure
        self._options = options

    def __call__(
        self,
        estimator: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        options = self._options
        if "scorer" in options and sample_weight is not None:
            options = options | {"scorer": partial(options["scorer"], sample_weight=sample_weight)}
        return float(self._measure(estimator, X, y, **options))

    def _accept_sample_weight(self) -> bool:
        """Say whether scores may be weighted, as scikit-learn's searches ask their scorers."""
        if "scorer" not in self._options:
            return True
        scorer = self._options["scorer"]
        if hasattr(scorer, "_accept_sample_weight"):
            return scorer._accept_sample_weight()
        return "sample_weight" in inspect.signature(scorer).parameters

    def get_metadata_routing(self) -> Any:
        """Say which metadata the scorer inside requests, if there is one."""
        return get_routing_for_object(self._options.get("scorer"))

    def set_score_request(self, **requests: bool | str | None) -> "_Scorer":
        """Return a copy whose scorer inside requests metadata; this one is for everybody."""
        twin = copy.deepcopy(self)
        if "scorer" in twin._options:
            twin._options["scorer"].set_score_request(**requests)
        return twin

    def __repr__(self) -> str:
        return self.__name__


# Masks --------------------------------------------------------------------------------


def planted_ticket(pruner: BaseEstimator) -> TicketMask | None:
    """Return the ticket that was planted in a pruner's network.

    Parameters
    ----------
    pruner : BasePruner
        A fitted pruner.

    Returns
    -------
    ticket : TicketMask or None
        The attribute ``ticket`` of the pruned module, which planted problems set. None if
        the module has no such attribute.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.metrics import planted_ticket
    >>> from sklearn_tickets.pruners import RandomPruner
    >>> planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(100)
    >>> pruner = RandomPruner(planted.make_net(max_epochs=1), sparsity=0.5)
    >>> planted_ticket(pruner.fit(planted.X, planted.y))
    TicketMask(4 of 901 parameters)
    """
    check_is_fitted(pruner)
    return getattr(plain_module(pruner.estimator_.module_), "ticket", None)


def _ticket(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike | None,
    *,
    mask: TicketMask | None,
    metric: Callable[[TicketMask, TicketMask], float],
) -> float:
    pruner = find_pruner(estimator, _NAME).pruner
    mask_true = planted_ticket(pruner) if mask is None else mask
    if mask_true is None:
        raise ValueError(
            f"{type(plain_module(pruner.estimator_.module_)).__name__} carries no planted ticket: "
            "it has no attribute ticket. Pass the true ticket to make_ticket_scorer(mask)."
        )
    return metric(mask_true, pruner.mask_)


def make_ticket_scorer(
    mask: TicketMask | None = None,
    metric: Callable[[TicketMask, TicketMask], float] = ticket_overlap_score,
) -> _Scorer:
    """Make a scorer that compares a pruner's ``mask_`` with the true ticket.

    Parameters
    ----------
    mask : TicketMask or None, default=None
        The true ticket. If None, the planted one, as `planted_ticket` returns it.
    metric : callable ``(mask_true, mask_pred) -> float``, default=ticket_overlap_score
        The metric; higher is better. Scorers of module-level functions can be pickled.

    Returns
    -------
    scorer : callable ``(estimator, X, y=None) -> float``
        The scorer. Its name is that of the metric without a trailing ``_score``.

    See Also
    --------
    ticket_matched_overlap_score : A metric for tickets found on other hidden units.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import make_ticket_scorer, ticket_recall_score
    >>> truth = TicketMask({"layers.0.weight": [[True, False], [False, True]]})
    >>> make_ticket_scorer(truth, ticket_recall_score)
    ticket_recall
    """
    name = metric.__name__.removesuffix("_score")
    truth = "the planted ticket" if mask is None else repr(mask)
    doc = f"{metric.__name__} of a fitted pruner's ``mask_`` against {truth}."
    return _Scorer(name, doc, _ticket, mask=mask, metric=metric)


ticket_overlap = make_ticket_scorer(metric=ticket_overlap_score)
ticket_precision = make_ticket_scorer(metric=ticket_precision_score)
ticket_recall = make_ticket_scorer(metric=ticket_recall_score)
ticket_f1 = make_ticket_scorer(metric=ticket_f1_score)


def _effective_sparsity(estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None) -> float:
    found = find_pruner(estimator, _NAME)
    pruner = found.pruner
    one_row = pruner._check_inputs(found.inputs(X))[:1]
    return pruner.mask_.effective(plain_module(pruner.estimator_.module_), one_row).sparsity


effective_sparsity = _Scorer(
    "effective_sparsity",
    "Fraction of the prunable parameters that are pruned or on no path from input to output.",
    _effective_sparsity,
)

# Predictions of the sparse network ----------------------------------------------------


def _sparse(
    estimator: BaseEstimator, X: ArrayLike, y: ArrayLike | None, *, scorer: Callable[..., float]
) -> float:
    pruner = find_pruner(estimator, _NAME).pruner
    module = plain_module(pruner.estimator_.module_)
    pruner.mask_.check_fits(module)
    parameters = dict(module.named_parameters())
    for name, kept in pruner.mask_.items():
        leaked = int((parameters[name].detach().cpu()[~kept] != 0).sum())
        if leaked:
            raise ValueError(
                f"{leaked} pruned entries of {name!r} are not exactly 0, so the net is less sparse "
                "than mask_. Was estimator_ trained without its mask? Fit the pruner again."
            )
    return scorer(estimator, X, y)


def _sparse_scorer(scoring: str) -> _Scorer:
    doc = f"scikit-learn's {scoring!r} of a fitted pruner; an error if a pruned weight is not 0."
    return _Scorer(f"sparse_{scoring}", doc, _sparse, scorer=check_scoring(scoring=scoring))


sparse_accuracy = _sparse_scorer("accuracy")
sparse_r2 = _sparse_scorer("r2")
sparse_neg_mean_squared_error = _sparse_scorer("neg_mean_squared_error")

# Predictions of the strong ticket -----------------------------------------------------


def _strong_ticket(pruner: Any, rescale: bool) -> Any:
    """Return a copy of the pruner that reads its strong ticket wherever it predicts."""

    def outputs(X: ArrayLike) -> NDArray[np.float64]:
        raw = pruner.strong_output(X)
        return pruner._rescale(raw) if rescale else raw

    ticket = copy.copy(pruner)
    ticket._outputs = outputs
    return ticket


def _strong(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike | None,
    *,
    scorer: Callable[..., float],
    rescale: bool,
) -> float:
    found = find_pruner(estimator, _NAME)
    return scorer(found.replaced(_strong_ticket(found.pruner, rescale)), X, y)


def make_strong_scorer(scoring: str | Callable[..., float], *, rescale: bool = True) -> _Scorer:
    """Make a scorer of the strong ticket, the mask on the untrained initial weights.

    Parameters
    ----------
    scoring : str or callable
        The score of the strong ticket's predictions: a name such as
        ``"balanced_accuracy"`` or ``"neg_log_loss"``, or a scorer ``(estimator, X, y) ->
        float``. See scikit-learn's guide for the names.
    rescale : bool, default=True
        Whether to multiply the outputs by the pruner's ``output_scale_``, factors estimated
        on its training data. Pruning changes the scale of an untrained network's outputs,
        so raw predictions (False) can be poor even if the ticket is right.

    Returns
    -------
    scorer : callable ``(estimator, X, y) -> float``
        The scorer. Its name is ``strong_<scoring>``, or ``raw_strong_<scoring>`` if
        `rescale` is False.

    Raises
    ------
    ValueError
        If `scoring` is an unknown name, or a metric function rather than a scorer.

    Examples
    --------
    >>> from sklearn_tickets.metrics import make_strong_scorer
    >>> make_strong_scorer("accuracy", rescale=False)
    raw_strong_accuracy
    """
    scorer = check_scoring(scoring=scoring)
    label = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", repr(scoring))
    reading = "rescaled by ``output_scale_``" if rescale else "raw"
    return _Scorer(
        f"strong_{label}" if rescale else f"raw_strong_{label}",
        f"{label} of a fitted pruner's mask on its initial weights, outputs {reading}.",
        _strong,
        scorer=scorer,
        rescale=rescale,
    )


strong_accuracy = make_strong_scorer("accuracy")
strong_r2 = make_strong_scorer("r2")
strong_neg_mean_squared_error = make_strong_scorer("neg_mean_squared_error")
