"""The Metropolis steps of annealing, each in two stages."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets._annealing._evaluation import (
    accept,
    add_energy,
    energy,
    forward,
    plan,
    refresh,
)
from sklearn_tickets._annealing._moves import SCALE, change_bits, rescale
from sklearn_tickets._annealing._state import State, begin_move, compiled, undo

# Price of each bit above the number to keep, and margin of the first look.
PRICE, MARGIN = 0.02, 0.005


class Step(NamedTuple):
    """What one call of `anneal` does; both ends of what falls geometrically on the way."""

    n_moves: int
    temperature: tuple[float, float]
    max_kept: tuple[float, float]
    n_first: int
    n_rows: int


@compiled
def anneal(s: State, seed: int, step: Step, eps: float, counts: NDArray[np.int64]) -> float:
    """Make moves, and return the energy after them.

    A move is accepted if dE <= -T log u, u ~ U(0, 1). The first rows show most moves to be
    worse than that by a margin; all rows decide on the others. This is not exact, but makes
    many rows affordable.

    Parameters
    ----------
    s : State
        Its rows and targets are set. It is changed in place.
    seed : int
        Seed of all random numbers.
    step : Step
        Number of moves, temperatures and numbers of bits and rows.
    eps : float
        Smoothing of the energy of classes.
    counts : int64 ndarray of shape (3,)
        Numbers of proposed moves, of those looked at twice, and of accepted ones are added.

    Returns
    -------
    energy : float
        On all rows.
    """
    np.random.seed(seed)
    n_first, n_rows = step.n_first, step.n_rows
    refresh(s, n_rows)
    n_sums = 3 * len(s.log_scale) + 1
    some, all_rows, scales = np.zeros(n_sums), np.zeros(n_sums), s.log_scale.copy()
    add_energy(s, 0, n_first, eps, some)
    all_rows[:] = some
    add_energy(s, n_first, n_rows, eps, all_rows)
    e_some, e_all = energy(s, some), energy(s, all_rows)
    hot, cold = step.temperature
    most, least = step.max_kept
    for i in range(step.n_moves):
        T = hot * (cold / hot) ** (i / step.n_moves)
        max_kept = round(most * (least / most) ** (i / step.n_moves))
        begin_move(s)
        before, is_scale, n = s.size[0], np.random.random() < SCALE, 0
        if is_scale:
            scales[:] = s.log_scale
            rescale(s)
        elif not change_bits(s, max_kept):
            continue
        after = s.size[0]
        # Nothing grows where nothing is connected.
        if after == 0 or max_kept < after > before:
            undo(s)
            continue
        counts[0] += 1
        price = PRICE * (max(0, after - max_kept) - max(0, before - max_kept))
        bar = -T * math.log(1 - np.random.random()) - price
        if not is_scale:
            n = plan(s)
        forward(s, n, 0, n_first)
        some[:] = 0
        add_energy(s, 0, n_first, eps, some)
        e_first, e_new = energy(s, some), 0.0
        accepted = e_first - e_some <= bar + MARGIN
        if accepted:
            counts[1] += 1
            forward(s, n, n_first, n_rows)
            all_rows[:] = some
            add_energy(s, n_first, n_rows, eps, all_rows)
            e_new = energy(s, all_rows)
            accepted = e_new - e_all <= bar
        if accepted:
            counts[2] += 1
            accept(s, n)
            e_some, e_all = e_first, e_new
        elif is_scale:
            s.log_scale[:] = scales
        else:
            undo(s)
    return e_all
