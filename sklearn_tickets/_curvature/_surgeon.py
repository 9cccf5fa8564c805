"""`operate`: prune a small network one entry at a time, and let entries come back."""

from functools import partial

import torch

from sklearn_tickets._curvature._objective import Objective
from sklearn_tickets._curvature._regrowth import grow_entries
from sklearn_tickets._curvature._solve import minimize
from sklearn_tickets._curvature._sparse_chain import SparseChain
from sklearn_tickets._curvature._surgery import remove_entries

# Steps of Levenberg-Marquardt: at first, after a removal, after all of them, after entries came
# back, and at last.
_AT_FIRST, _AFTER_REMOVAL, _AFTER_PRUNING, _AFTER_GROWTH, _AT_LAST = 15, 4, 15, 8, 40
# So many times the rows train the network after a stage and a regrowth.
_MORE_ROWS = 3
# The share of the entries that stays in a stage. Small steps find better networks.
_STAGE = 0.92
# Largest part of the entries that comes back at a time, and the least number.
_MOST_REGROWN, _LEAST_REGROWN = 0.2, 2
# By which part the loss may rise, about, in the first regrowth of a stage.
_HEAT = 0.1


def operate(
    objective: Objective,
    chain: SparseChain,
    n_kept: int,
    *,
    n_settled: int,
    n_rows: int,
    n_candidates: int,
    n_regrowths: int,
    rng: torch.Generator,
) -> SparseChain:
    """Train a network and remove entries in stages, until a number of them is left.

    Parameters
    ----------
    objective : Objective
        The training loss.
    chain : SparseChain
        The whole network.
    n_kept : int
        Number of removable entries to keep.
    n_settled : int
        Number of entries that may be left before entries come back.
    n_rows : int
        Number of rows to decide on what to remove and to grow.
    n_candidates : int
        Number of entries whose removal is tried.
    n_regrowths : int
        Number of times in each stage that entries come back and others go. A rise of the loss is
        accepted with a probability that falls with it; the best network of the stage is kept.
    rng : torch.Generator
        Source of all random numbers.

    Returns
    -------
    chain : SparseChain
        The network, which keeps at most `n_kept` removable entries.
    """

    def sample(n: int = n_rows) -> Objective:
        # Other rows each time, so that none of them are learned by heart.
        return objective.sample(n, rng)

    def prune(part: SparseChain, n_left: int) -> SparseChain:
        while (n_most := part.n_removable - n_left) > 0:
            rows = sample()
            part = remove_entries(rows, part, n_most, n_candidates)
            part = minimize(rows, part, _AFTER_REMOVAL)
        return minimize(sample(_MORE_ROWS * n_rows), part, _AFTER_PRUNING, 1e-4)

    def regrow(chain: SparseChain, n_left: int) -> SparseChain:
        share = _MOST_REGROWN * float(torch.rand((), generator=rng))
        n_new = max(_LEAST_REGROWN, round(share * n_left)) + n_left - chain.n_removable
        grown = grow_entries(sample(), chain, n_new, rng)
        return grown.map_live(lambda part: prune(minimize(sample(), part, _AFTER_GROWTH), n_left))

    def anneal(chain: SparseChain, n_left: int) -> SparseChain:
        best, value = chain, objective.value(chain)
        lowest = value
        for k in range(n_regrowths):
            trial = regrow(chain, n_left)
            luck = float(torch.empty(()).exponential_(generator=rng))
            rise = _HEAT * (1 - k / n_regrowths) * luck
            if (after := objective.value(trial)) < value + rise * abs(value):
                chain, value = trial, after
            if after < lowest:
                best, lowest = trial, after
        return best

    chain = chain.map_live(lambda part: minimize(objective, part, _AT_FIRST))
    n_left = chain.live().n_removable
    while True:
        n_left = max(n_kept, int(_STAGE * n_left))
        chain = chain.map_live(partial(prune, n_left=n_left))
        if n_left <= n_settled and chain.live().n_removable:
            chain = anneal(chain, n_left)
        if n_left == n_kept:
            return chain.map_live(lambda part: minimize(objective, part, _AT_LAST, 1e-5))
