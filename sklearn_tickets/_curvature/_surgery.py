"""Optimal Brain Surgeon: remove entries, and correct the others by the inverse curvature."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sklearn_tickets._curvature._objective import DAMPING, Objective, Quadratic
from sklearn_tickets._curvature._sparse_chain import SparseChain

# Entries go together while the model expects the loss to rise by less than this part of it.
_TOGETHER = 1e-3


def saliencies(values: Tensor, inverse_diagonal: Tensor) -> Tensor:
    r"""Compute how much the loss rises if an entry is removed and the others are corrected.

    .. math:: s_q = \frac{w_q^2}{2 [H^{-1}]_{qq}}

    Parameters
    ----------
    values : Tensor of shape (n,)
        The entries w.
    inverse_diagonal : Tensor of shape (n,)
        The diagonal of the inverse of the curvature H.

    Returns
    -------
    saliencies : Tensor of shape (n,)
    """
    return values**2 / (2 * inverse_diagonal)


def without(values: Tensor, inverse: Tensor, gone: Tensor) -> Tensor:
    r"""Remove a set Q of entries, and correct the others.

    .. math:: w \leftarrow w - H^{-1}_{:Q} \, \big[H^{-1}_{QQ}\big]^{-1} w_Q,

    which for a single entry is :math:`w - \frac{w_q}{[H^{-1}]_{qq}} H^{-1} e_q`.

    Parameters
    ----------
    values : Tensor of shape (n,)
        The entries w.
    inverse : Tensor of shape (n, n)
        The inverse of the curvature H.
    gone : Tensor of int64
        The numbers of the entries in Q.

    Returns
    -------
    values : Tensor of shape (n,)
        The entries, 0 in Q.
    """
    pull = torch.linalg.solve(inverse[gone][:, gone], values[gone])
    return (values - inverse[:, gone] @ pull).index_fill(0, gone, 0.0)


def remove_entries(
    objective: Objective, chain: SparseChain, n_most: int, n_candidates: int
) -> SparseChain:
    """Remove the entry that costs least, and others that cost hardly anything.

    Of the entries of lowest saliency, the first to go is the one whose removal, with the
    correction, leaves the lowest loss.

    Parameters
    ----------
    objective : Objective
        The loss.
    chain : SparseChain
        The network, with an entry that may be removed.
    n_most : int
        Maximum number of entries to remove.
    n_candidates : int
        Number of entries whose removal is tried.

    Returns
    -------
    chain : SparseChain
        The network without them.
    """
    model = Quadratic.of(objective, chain)
    inverse = torch.cholesky_inverse(model.factor(DAMPING))
    values, stays = chain.vector, ~chain.pick(chain.removable)

    def trial(gone: Sequence[int]) -> SparseChain:
        return chain.with_vector(without(values, inverse, torch.tensor(gone)))

    ranked = saliencies(values, inverse.diagonal()).masked_fill(stays, torch.inf)
    lowest = ranked.argsort()[: min(n_candidates, chain.n_removable)].tolist()
    value, first = min((objective.value(trial([q])), q) for q in lowest)
    limit = _TOGETHER * abs(model.value)
    gone = _cheapest(values, inverse, stays, first, n_most, limit)
    # Where the model is wrong, fewer go.
    while len(gone) > 1 and not objective.value(trial(gone)) <= value + limit:
        gone = gone[: len(gone) // 2]
    is_kept = torch.ones(len(values)).index_fill(0, torch.tensor(gone), 0.0)
    return trial(gone).keep([table.bool() for table in chain.tables_of(is_kept)])


def _cheapest(
    values: Tensor, inverse: Tensor, stays: Tensor, first: int, n_most: int, limit: float
) -> list[int]:
    """List entries to remove one after the other, while the saliencies sum to at most a limit."""
    gone: list[int] = []
    q, cost = first, 0.0
    while len(gone) < n_most and cost <= limit:
        gone.append(q)
        stays = stays.index_fill(0, torch.tensor(q), True)
        values = without(values, inverse, torch.tensor([q]))
        # The inverse of the curvature of the entries that are left.
        inverse = inverse - inverse[:, q : q + 1] * (inverse[q] / inverse[q, q])
        ranked = saliencies(values, inverse.diagonal()).masked_fill(stays, torch.inf)
        q = int(ranked.argmin())
        cost += float(ranked[q])
    return gone
