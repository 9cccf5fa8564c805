"""The schedule of annealing: how temperature, density and number of rows change."""

from collections.abc import Iterator

from sklearn_tickets._annealing._metropolis import Step

# Rows are drawn anew after so many moves, and at least so often.
_MOVES_PER_DRAW, _MIN_DRAWS = 20_000, 50
# Temperatures at the beginning and at the end, and the number of kept bits they were found for.
_HOT, _COLD, _KEPT = 0.016, 2e-4, 130
# Rows that are drawn anew act like a temperature of about 1 / n_rows, which is to be well below T.
_ROWS_TIMES_TEMPERATURE, _MIN_ROWS, MAX_ROWS = 10, 512, 9000
# Share of the moves that prune down to a small ticket, and share after which it may grow again.
_PRUNED, _GROWTH = 0.15, 0.6


def temperature(progress: float, n_kept: int) -> float:
    """Compute the temperature.

    It falls geometrically. A bit matters the less the more there are: above 130, the hottest
    temperature is proportional to ``1 / n_kept``, the coldest to ``n_kept ** -1.5``.

    Parameters
    ----------
    progress : float
        Share of the moves that have been made.
    n_kept : int
        Number of bits to keep.

    Returns
    -------
    T : float
        The temperature.
    """
    crowd = max(1, n_kept / _KEPT)
    return _HOT * (_COLD / _HOT) ** progress / crowd ** (1 + 0.5 * progress)


def max_kept(progress: float, n_start: int, n_small: int, n_kept: int) -> float:
    """Compute the largest number of kept bits, which falls, and may grow again, geometrically.

    Parameters
    ----------
    progress : float
        Share of the moves that have been made.
    n_start, n_small, n_kept : int
        Numbers of kept bits at the beginning, of the small ticket, and at the end.

    Returns
    -------
    max_kept : float
        The number, not rounded.
    """
    most = max(n_start, n_small)
    if progress < _PRUNED:
        return most * (n_small / most) ** (progress / _PRUNED)
    return n_small * (n_kept / n_small) ** max(0.0, (progress - _GROWTH) / (1 - _GROWTH))


def steps(
    n_moves: int, n_start: int, n_kept: int, n_small: int, n_rows: int, heat: float
) -> Iterator[Step]:
    """Yield the steps of a chain; rows are drawn before each.

    Parameters
    ----------
    n_moves : int
        Number of moves of all steps.
    n_start, n_kept : int
        Numbers of kept bits at the beginning and at the end.
    n_small : int
        Number of bits of the small ticket that grows to `n_kept`, if that is more.
    n_rows : int
        Number of rows there are.
    heat : float
        Factor of all temperatures.

    Yields
    ------
    step : Step
        Temperature and number of bits change geometrically from each step to the next.
    """
    n_steps = max(_MIN_DRAWS, round(n_moves / _MOVES_PER_DRAW))
    n_small = min(n_small, n_kept)
    for i in range(n_steps):
        start, end = i / n_steps, (i + 1) / n_steps
        # A ticket that grows again keeps the temperatures of its small form.
        hot, cold = heat * temperature(start, n_small), heat * temperature(end, n_small)
        most, least = (max_kept(at, n_start, n_small, n_kept) for at in (start, end))
        rows = max(_MIN_ROWS, round(_ROWS_TIMES_TEMPERATURE / cold))
        yield Step(
            n_moves=n_moves * (i + 1) // n_steps - n_moves * i // n_steps,
            temperature=(hot, cold),
            max_kept=(most, least),
            min_kept=n_small // 2,
            grows=least > most,
            n_rows=min(rows, MAX_ROWS, n_rows),
        )
