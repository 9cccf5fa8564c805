"""`operate`: prune a small network one entry at a time, and let entries come back."""

import torch

from sklearn_tickets._curvature._objective import Objective
from sklearn_tickets._curvature._regrowth import grow_entries
from sklearn_tickets._curvature._solve import minimize
from sklearn_tickets._curvature._sparse_chain import SparseChain
from sklearn_tickets._curvature._surgery import remove_entries

# Steps of Levenberg-Marquardt: at first, after a removal, after all of them, after entries came
# back, and at last.
_AT_FIRST, _AFTER_REMOVAL, _AFTER_PRUNING, _AFTER_GROWTH, _AT_LAST = 15, 4, 15, 8, 40
# Largest part of the entries that comes back at a time, and the least number.
_MOST_REGROWN, _LEAST_REGROWN = 0.2, 2


def operate(
    objective: Objective,
    chain: SparseChain,
    n_kept: int,
    *,
    n_rows: int,
    n_candidates: int,
    n_regrowths: int,
    rng: torch.Generator,
) -> SparseChain:
    """Train a network and remove entries, until a number of them is left.

    Parameters
    ----------
    objective : Objective
        The training loss.
    chain : SparseChain
        The whole network.
    n_kept : int
        Number of removable entries to keep.
    n_rows : int
        Number of rows to decide on what to remove and to grow.
    n_candidates : int
        Number of entries whose removal is tried.
    n_regrowths : int
        Number of times that entries come back, and others go. What does not lower the loss is
        undone.
    rng : torch.Generator
        Source of all random numbers.

    Returns
    -------
    chain : SparseChain
        The network, which keeps at most `n_kept` removable entries.
    """

    def sample() -> Objective:
        # Other rows each time, so that none of them are learned by heart.
        return objective.sample(n_rows, rng)

    def prune(part: SparseChain) -> SparseChain:
        while (n_most := part.n_removable - n_kept) > 0:
            rows = sample()
            part = remove_entries(rows, part, n_most, n_candidates)
            part = minimize(rows, part, _AFTER_REMOVAL)
        return minimize(objective, part, _AFTER_PRUNING, 1e-4)

    def regrow(chain: SparseChain) -> SparseChain:
        share = _MOST_REGROWN * float(torch.rand((), generator=rng))
        n_new = max(_LEAST_REGROWN, round(share * n_kept)) + n_kept - chain.n_removable
        grown = grow_entries(sample(), chain, n_new, rng)
        return grown.map_live(lambda part: prune(minimize(sample(), part, _AFTER_GROWTH)))

    chain = chain.map_live(lambda part: prune(minimize(objective, part, _AT_FIRST)))
    for _ in range(n_regrowths):
        chain = min(chain, regrow(chain), key=objective.value)
    return chain.map_live(lambda part: minimize(objective, part, _AT_LAST, 1e-5))
