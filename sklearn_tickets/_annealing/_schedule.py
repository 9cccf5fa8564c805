"""The schedule of annealing: how temperature, density and number of rows change."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from sklearn_tickets._annealing._metropolis import Step

# Rows are drawn anew after so many moves.
MOVES_PER_DRAW = 20_000
# The number of kept bits for which the temperatures were found.
_KEPT = 130


@dataclass(frozen=True)
class Stage:
    """A part of the moves.

    Parameters
    ----------
    share : float
        The share of all moves.
    hot, cold : float
        Temperatures at its beginning and end, for a ticket of 130 bits.
    excess : float
        Largest number of kept bits at its end, as a multiple of the ticket's.
    n_rows : int
        Number of rows that decide on a move.
    n_first : int
        Number of these that are looked at first.
    """

    share: float
    hot: float
    cold: float
    excess: float
    n_rows: int
    n_first: int


# Rows that are drawn anew act like a temperature of about 1 / n_rows, which grows as it falls.
SCHEDULE = (
    Stage(0.03, 6e-3, 6e-3, 2, 512, 512),
    Stage(0.12, 6e-3, 4e-3, 1, 1024, 256),
    Stage(0.35, 4e-3, 2e-3, 1, 2048, 256),
    Stage(0.30, 2e-3, 8e-4, 1, 3072, 384),
    Stage(0.15, 8e-4, 2e-4, 1, 6144, 512),
    Stage(0.05, 2e-4, 3e-5, 1, 9000, 1024),
)
MAX_ROWS = SCHEDULE[-1].n_rows


def scaled_temperature(T: float, n_kept: int) -> float:
    """Adapt a temperature of the schedule to a number of kept bits.

    A bit matters the less the more there are: the hottest temperature is proportional to
    ``n_kept ** -0.5``, the coldest to ``1 / n_kept``.

    Parameters
    ----------
    T : float
        A temperature for 130 bits.
    n_kept : int
        Number of bits to keep.

    Returns
    -------
    T : float
        The temperature for `n_kept` bits.
    """
    hottest, coldest = SCHEDULE[0].hot, SCHEDULE[-1].cold
    progress = math.log(hottest / T) / math.log(hottest / coldest)
    return T * (_KEPT / n_kept) ** (0.5 + 0.5 * progress)


def steps(n_moves: int, n_start: int, n_kept: int, n_rows: int, heat: float) -> Iterator[Step]:
    """Yield the steps of a chain; rows are drawn before each.

    Parameters
    ----------
    n_moves : int
        Number of moves of all steps.
    n_start, n_kept : int
        Numbers of kept bits at the beginning and at the end.
    n_rows : int
        Number of rows there are.
    heat : float
        Factor of all temperatures.

    Yields
    ------
    step : Step
        Temperature and number of bits fall geometrically from each step to the next.
    """
    most = float(max(n_start, n_kept))
    for stage in SCHEDULE:
        total = round(stage.share * n_moves)
        n_steps = max(1, round(total / MOVES_PER_DRAW))
        hot, cold = (heat * scaled_temperature(T, n_kept) for T in (stage.hot, stage.cold))
        least = min(most, stage.excess * n_kept)
        for i in range(n_steps):
            ends = i / n_steps, (i + 1) / n_steps
            yield Step(
                n_moves=total * (i + 1) // n_steps - total * i // n_steps,
                temperature=tuple(hot * (cold / hot) ** end for end in ends),
                max_kept=tuple(most * (least / most) ** end for end in ends),
                n_first=min(stage.n_first, n_rows),
                n_rows=min(stage.n_rows, n_rows),
            )
        most = least
