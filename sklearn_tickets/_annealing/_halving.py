"""Successive halving: many chains begin, and the worse half of them ends again and again."""

from collections.abc import Callable, Sequence

import numpy as np
from joblib import Parallel, delayed

from sklearn_tickets._annealing._chain import Found, Problem, run_chain
from sklearn_tickets._annealing._metropolis import Step


def rank(found: Found, n_kept: int) -> tuple[bool, float]:
    """Return what to sort masks by, the best first: those of the size, then by energy.

    A mask may hold on to a bit too many, without which its energy would be another.
    """
    return len(found.bits) > n_kept, found.energy


def run_chains(
    problem: Problem,
    start: Found,
    steps: Sequence[Step],
    *,
    n_chains: int,
    n_jobs: int | None,
    rng: np.random.RandomState,
    is_stopped: Callable[[], bool],
) -> Found:
    """Anneal copies of a mask, of which the better half, rounded up, goes on after each stage.

    The stages have equal shares of the steps, and the last one is that of a single chain. How low a
    chain ends shows early: after a third of the steps, the correlation of its energy with that at
    the end was .9. So the chains that go on are better than as many that run to the end.

    Parameters
    ----------
    problem : Problem
        Network and data.
    start : Found
        The mask to begin with.
    steps : sequence of Step
        The steps of a chain that runs to the end.
    n_chains : int
        Number of chains that begin.
    n_jobs : int or None
        Number of threads.
    rng : RandomState
        Draws the seeds of the chains.
    is_stopped : callable
        Whether to end the chains early.

    Returns
    -------
    found : Found
        The same for any number of threads.
    """
    alive, n_stages = [start] * n_chains, (n_chains - 1).bit_length() + 1
    with Parallel(n_jobs, require="sharedmem") as parallel:
        for i in range(n_stages):
            begin, end = (len(steps) * k // n_stages for k in (i, i + 1))
            ended = parallel(
                delayed(run_chain)(problem, each, steps[begin:end], seed, is_stopped)
                for each, seed in zip(alive, rng.randint(2**31, size=len(alive)), strict=True)
            )
            n_kept = round(steps[end - 1].max_kept[1])
            alive = sorted(ended, key=lambda each: rank(each, n_kept))[: (len(alive) + 1) // 2]
    return alive[0]
