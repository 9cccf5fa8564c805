"""The Metropolis steps of annealing, each on as many rows as it takes to decide."""

import math
from typing import NamedTuple

import numpy as np

from sklearn_tickets._annealing._evaluation import (
    accept,
    energy,
    is_accepted,
    plan,
    refresh,
)
from sklearn_tickets._annealing._moves import SCALE, change_bits, rescale
from sklearn_tickets._annealing._state import State, begin_move, compiled, undo

# Price of each bit above the number to keep, as a rise of the energy of classes.
PRICE = 0.02
# Temperature and price for the logarithm of a squared error, relative to those for classes.
RELATIVE, RELATIVE_PRICE = 5.0, 100.0


class Step(NamedTuple):
    """What one call of `anneal` does; both ends of what changes geometrically on the way."""

    n_moves: int
    temperature: tuple[float, float]
    max_kept: tuple[float, float]
    min_kept: int
    grows: bool
    n_rows: int


@compiled
def anneal(s: State, seed: int, step: Step, eps: float) -> tuple[float, float]:
    """Make moves.

    A move is accepted if dE <= -T log u, u ~ U(0, 1). A squared error may be anything from 1 to
    1e-4 of the targets' variance, so that its logarithm takes the place of E.

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

    Returns
    -------
    energy : float
        After the moves, on all rows.
    acceptance : float
        Share of the proposed moves that were accepted; those that find no bits are none.
    """
    np.random.seed(seed)
    refresh(s, step.n_rows, eps)
    e, scales = energy(s, step.n_rows), s.log_scale.copy()
    hot, cold = step.temperature
    most, least = step.max_kept
    n_proposed = n_accepted = 0
    for i in range(step.n_moves):
        T = hot * (cold / hot) ** (i / step.n_moves)
        max_kept = round(most * (least / most) ** (i / step.n_moves))
        begin_move(s)
        before, is_scale, n = s.size[0], np.random.random() < SCALE, 0
        if is_scale:
            scales[:] = s.log_scale
            rescale(s)
        elif not change_bits(s, max_kept, step.grows):
            continue
        after = s.size[0]
        # Hardly anything grows where next to nothing is connected.
        if after == 0 or step.min_kept > after < before or max_kept < after > before:
            undo(s)
            continue
        n_proposed += 1
        price = PRICE * (max(0, after - max_kept) - max(0, before - max_kept))
        bar = -T * math.log(1 - np.random.random())
        if s.is_classifier:
            bar -= price
        else:
            bar = e * (math.exp(RELATIVE * bar - RELATIVE_PRICE * price) - 1)
        if not is_scale:
            n = plan(s)
        accepted, change = is_accepted(s, n, step.n_rows, eps, bar)
        if accepted:
            n_accepted += 1
            accept(s, n)
            e += change
        elif is_scale:
            s.log_scale[:] = scales
        else:
            undo(s)
    return e, n_accepted / max(n_proposed, 1)
