"""Metrics that compare a mask with the true ticket, entry by entry.

All scores follow from three counts over the parameters that both masks cover: the entries
that both keep (true positives), that the truth keeps, and that the prediction keeps.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets.masks import TicketMask, common_parameters


def _counts(mask_true: TicketMask, mask_pred: TicketMask) -> NDArray[np.int64]:
    """Return (true positives, kept in truth, kept in prediction, size) per common parameter."""
    pairs = [
        (mask_true[name].numpy(), mask_pred[name].numpy())
        for name in common_parameters(mask_true, mask_pred)
    ]
    return np.array([((t & p).sum(), t.sum(), p.sum(), t.size) for t, p in pairs])


def overlap(tp: float, n_true: float, n_pred: float) -> float:
    """Return the intersection over union, 0 if the union is empty."""
    union = n_true + n_pred - tp
    return float(tp / union) if union else 0.0


def _precision(tp: float, n_true: float, n_pred: float) -> float:
    return float(tp / n_pred) if n_pred else 0.0


def _recall(tp: float, n_true: float, n_pred: float) -> float:
    return float(tp / n_true) if n_true else 0.0


def _f1(tp: float, n_true: float, n_pred: float) -> float:
    return float(2 * tp / (n_true + n_pred)) if n_true + n_pred else 0.0


def ticket_overlap_score(mask_true: TicketMask, mask_pred: TicketMask) -> float:
    """Intersection over union of two masks (the Jaccard index).

    The number of parameters that both masks keep, divided by the number that at least
    one keeps: ``TP / (n_true + n_pred - TP)``. Only parameters that both masks cover
    count, so that a mask of weights can be compared with a ticket of weights and biases.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket.
    mask_pred : TicketMask
        The mask found.

    Returns
    -------
    score : float
        Between 0 and 1, the best value; 0 if neither mask keeps an entry.

    Raises
    ------
    TypeError
        If one of the arguments is not a TicketMask.
    ValueError
        If the masks share no parameter, or a shared one has two shapes.

    See Also
    --------
    ticket_matched_overlap_score : The same after matching the hidden units.
    ticket_chance_level : The score of a random mask.

    Notes
    -----
    The hidden units of a network can be permuted, and different subnetworks can compute
    the same function. A low overlap does not mean that a ticket is bad.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import ticket_overlap_score
    >>> truth = TicketMask({"weight": [[1, 1, 0, 0]]})
    >>> found = TicketMask({"weight": [[0, 1, 1, 0]]})
    >>> ticket_overlap_score(truth, found)
    0.333...
    """
    tp, n_true, n_pred, _ = _counts(mask_true, mask_pred).sum(axis=0)
    return overlap(tp, n_true, n_pred)


def ticket_precision_score(mask_true: TicketMask, mask_pred: TicketMask) -> float:
    """Fraction of the kept parameters that belong to the ticket, ``TP / n_pred``.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket.
    mask_pred : TicketMask
        The mask found. Only parameters that both masks cover count.

    Returns
    -------
    score : float
        Between 0 and 1, the best value; 0 if `mask_pred` keeps no entry.

    Raises
    ------
    TypeError
        If one of the arguments is not a TicketMask.
    ValueError
        If the masks share no parameter, or a shared one has two shapes.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import ticket_precision_score
    >>> truth = TicketMask({"weight": [[1, 1, 1, 0]]})
    >>> found = TicketMask({"weight": [[0, 0, 1, 1]]})
    >>> ticket_precision_score(truth, found)
    0.5
    """
    tp, n_true, n_pred, _ = _counts(mask_true, mask_pred).sum(axis=0)
    return _precision(tp, n_true, n_pred)


def ticket_recall_score(mask_true: TicketMask, mask_pred: TicketMask) -> float:
    """Fraction of the ticket's parameters that were found, ``TP / n_true``.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket.
    mask_pred : TicketMask
        The mask found. Only parameters that both masks cover count.

    Returns
    -------
    score : float
        Between 0 and 1, the best value; 0 if `mask_true` keeps no entry.

    Raises
    ------
    TypeError
        If one of the arguments is not a TicketMask.
    ValueError
        If the masks share no parameter, or a shared one has two shapes.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import ticket_recall_score
    >>> truth = TicketMask({"weight": [[1, 1, 1, 0]]})
    >>> found = TicketMask({"weight": [[0, 0, 1, 1]]})
    >>> ticket_recall_score(truth, found)
    0.333...
    """
    tp, n_true, n_pred, _ = _counts(mask_true, mask_pred).sum(axis=0)
    return _recall(tp, n_true, n_pred)


def ticket_f1_score(mask_true: TicketMask, mask_pred: TicketMask) -> float:
    """Harmonic mean of precision and recall, ``2 TP / (n_true + n_pred)``.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket.
    mask_pred : TicketMask
        The mask found. Only parameters that both masks cover count.

    Returns
    -------
    score : float
        Between 0 and 1, the best value; 0 if neither mask keeps an entry.

    Raises
    ------
    TypeError
        If one of the arguments is not a TicketMask.
    ValueError
        If the masks share no parameter, or a shared one has two shapes.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import ticket_f1_score
    >>> truth = TicketMask({"weight": [[1, 1, 1, 0]]})
    >>> found = TicketMask({"weight": [[0, 0, 1, 1]]})
    >>> ticket_f1_score(truth, found)
    0.4
    """
    tp, n_true, n_pred, _ = _counts(mask_true, mask_pred).sum(axis=0)
    return _f1(tp, n_true, n_pred)


_FORMULAS: dict[Callable[..., float], Callable[[float, float, float], float]] = {
    ticket_overlap_score: overlap,
    ticket_precision_score: _precision,
    ticket_recall_score: _recall,
    ticket_f1_score: _f1,
}


def ticket_chance_level(
    mask_true: TicketMask,
    mask_pred: TicketMask,
    metric: Callable[[TicketMask, TicketMask], float] = ticket_overlap_score,
    *,
    per_parameter: bool = True,
) -> float:
    """Score of a random mask of the size of `mask_pred`.

    A random choice of ``|m_l|`` of the ``N_l`` entries of parameter l contains
    ``|m_l| |g_l| / N_l`` of the ``|g_l|`` true ones on average. The sum over l replaces the
    true positives in the metric's formula.

    Parameters
    ----------
    mask_true : TicketMask
        The true ticket, g.
    mask_pred : TicketMask
        The mask found, m. Only its number of entries in each parameter matters. Only
        parameters that both masks cover count.
    metric : callable, default=ticket_overlap_score
        `ticket_overlap_score`, `ticket_precision_score`, `ticket_recall_score` or
        `ticket_f1_score`.
    per_parameter : bool, default=True
        Whether the random mask keeps as many entries of each parameter as `mask_pred`
        does. If False, it has the same total, spread over all parameters. The difference
        is what choosing the right layers is worth.

    Returns
    -------
    score : float
        Exactly the expected precision, recall or F1, which are linear in the true
        positives. The overlap is convex in them: its expectation is slightly higher.

    Raises
    ------
    TypeError
        If one of the masks is not a TicketMask.
    ValueError
        If the masks share no parameter, a shared one has two shapes, or `metric` is not
        one of the four.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.metrics import ticket_chance_level, ticket_recall_score
    >>> truth = TicketMask({"0.weight": [[1, 1, 0, 0]], "1.weight": [[0, 0, 0, 0]]})
    >>> found = TicketMask({"0.weight": [[0, 1, 1, 0]], "1.weight": [[0, 0, 0, 0]]})
    >>> ticket_chance_level(truth, found, ticket_recall_score)
    0.5
    >>> ticket_chance_level(truth, found, ticket_recall_score, per_parameter=False)
    0.25
    """
    if metric not in _FORMULAS:
        names = ", ".join(function.__name__ for function in _FORMULAS)
        raise ValueError(f"metric must be one of {names}; got {metric!r}.")
    counts = _counts(mask_true, mask_pred)
    if not per_parameter:
        counts = counts.sum(axis=0, keepdims=True)
    _, n_true, n_pred, size = counts.T
    return _FORMULAS[metric]((n_true * n_pred / size).sum(), n_true.sum(), n_pred.sum())
