"""Values of the units downstream of a change, and the energy of the outputs.

Classes have the energy of a softmax that is wrong now and then,

    E = mean of -log((1 - eps) softmax(exp(log_scale) f)_y + eps / C),

so that a row costs at most -log(eps / C) and a change of E is nearly one of the error rate.
Regression targets have the mean squared error after the best positive factor per output,

    E = mean of (y - a f)^2 = (sum y^2 - max(sum y f, 0)^2 / sum f^2) / n.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sklearn_tickets._annealing._state import State, begin_move, compiled, inlined

_ONE, _HALF = np.float32(1), np.float32(0.5)
_LOG2_E, _LN2 = np.float32(1.4426950408889634), np.float32(0.6931471805599453)
_C2, _C3, _C4, _C5 = (np.float32(1 / n) for n in (2, 6, 24, 120))
_ROOT2, _D3, _D5 = np.float32(2**0.5), np.float32(2 / 3), np.float32(2 / 5)
_LOWEST = np.float32(-100)
# Rows of the first look at a move, and how many times as many each look has as the one before.
FIRST_ROWS, GROWTH = 128, 4


@compiled
def plan(s: State) -> int:
    """List the live units that the move changes, in order, and return their number."""
    n, move = 0, s.size[2]
    n_in, live, inputs, stamp = s.n_in, s.live, s.inputs, s.stamp
    for u in range(s.first[1], s.first[-1]):
        if not live[u]:
            continue
        if stamp[u] != move:
            for k in range(n_in[u]):
                if stamp[inputs[u, k]] == move:
                    stamp[u] = move
                    break
        if stamp[u] == move:
            s.todo[n] = u
            n += 1
    return n


@compiled
def forward(s: State, n: int, start: int, stop: int) -> None:
    """Compute the trial values of the first n planned units on rows start to stop."""
    # Loops from 0 are vectorized, those from `start` are not.
    move, n_rows = s.size[2], stop - start
    for t in range(n):
        u = s.todo[t]
        out = s.values[u, 1 - s.side[u], start:stop]
        bias = s.bias[u]
        for r in range(n_rows):
            out[r] = bias
        for k in range(s.n_in[u]):
            v, w = s.inputs[u, k], s.weights[u, k]
            is_new = s.stamp[v] == move and s.layer[v] > 0
            read = s.values[v, 1 - s.side[v] if is_new else s.side[v], start:stop]
            for r in range(n_rows):
                out[r] += w * read[r]
        if u < s.first[-2]:
            for r in range(n_rows):
                out[r] = max(out[r], np.float32(0))


@compiled
def accept(s: State, n: int) -> None:
    """Make the trial values of the planned units the current ones."""
    for t in range(n):
        s.side[s.todo[t]] = 1 - s.side[s.todo[t]]
    s.size[3] = 1 - s.size[3]


@inlined
def trial(s: State, c: int, start: int, stop: int) -> NDArray[np.float32]:
    """Return the values of an output, those on trial if the move changes them."""
    u = s.first[-2] + c
    return s.values[u, 1 - s.side[u] if s.stamp[u] == s.size[2] else s.side[u], start:stop]


@compiled
def exponential(x: NDArray[np.float32], power: NDArray[np.int32]) -> None:
    """Replace x <= 0 by exp(x), to 3e-6 of it; a loop that processors do eight at a time."""
    for r in range(len(x)):
        t = max(x[r] * _LOG2_E, _LOWEST)
        whole = math.floor(t + _HALF)
        f = (t - np.float32(whole)) * _LN2
        x[r] = _ONE + f * (_ONE + f * (_C2 + f * (_C3 + f * (_C4 + f * _C5))))
        power[r] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    two_to_the = power.view(np.float32)
    for r in range(len(x)):
        x[r] *= two_to_the[r]


@compiled
def logarithm(x: NDArray[np.float32], power: NDArray[np.int32], out: NDArray[np.float32]) -> None:
    """Compute log(x) of x > 0, to 1e-5; a loop like that of `exponential`."""
    bits, mantissa = x.view(np.int32), power.view(np.float32)
    for r in range(len(x)):
        power[r] = (bits[r] & np.int32(0x7FFFFF)) | np.int32(0x3F800000)
    for r in range(len(x)):
        z = (mantissa[r] - _ROOT2) / (mantissa[r] + _ROOT2)
        log_mantissa = z * (np.float32(2) + z * z * (_D3 + z * z * _D5))
        exponent = np.float32(bits[r] >> np.int32(23)) - np.float32(126.5)
        out[r] = exponent * _LN2 + log_mantissa


@compiled
def lose_classes(s: State, start: int, stop: int, eps: float) -> None:
    """Compute the trial losses of rows start to stop: those of classes."""
    n, n_rows = len(s.log_scale), stop - start
    power, weight = s.power[:n_rows], s.row_weight[start:stop]
    top, total, own = s.scratch[n, :n_rows], s.scratch[n + 1, :n_rows], s.scratch[n + 2, :n_rows]
    for c in range(n):
        out, factor = trial(s, c, start, stop), np.float32(math.exp(s.log_scale[c]))
        logit = s.scratch[c, :n_rows]
        for r in range(n_rows):
            logit[r] = factor * out[r]
        if c == 0:
            for r in range(n_rows):
                top[r] = logit[r]
        else:
            for r in range(n_rows):
                top[r] = max(top[r], logit[r])
    for r in range(n_rows):
        total[r] = 0
        own[r] = 0
    for c in range(n):
        logit, indicator = s.scratch[c, :n_rows], s.targets[c, start:stop]
        for r in range(n_rows):
            logit[r] -= top[r]
        exponential(logit, power)
        for r in range(n_rows):
            total[r] += logit[r]
            own[r] += logit[r] * indicator[r]
    right, floor = np.float32(1 - eps), np.float32(eps / n)
    for r in range(n_rows):
        own[r] = right * own[r] / total[r] + floor
    losses = s.losses[1 - s.size[3], start:stop]
    logarithm(own, power, losses)
    for r in range(n_rows):
        losses[r] *= -weight[r]


@compiled
def lose_targets(s: State, n_rows: int) -> None:
    """Compute the trial losses of some rows: squared errors after the best factors."""
    losses, weight = s.losses[1 - s.size[3], :n_rows], s.row_weight[:n_rows]
    for r in range(n_rows):
        losses[r] = 0
    for c in range(len(s.log_scale)):
        out, y = trial(s, c, 0, n_rows), s.targets[c, :n_rows]
        yf, ff = 0.0, 0.0
        for r in range(n_rows):
            wf = weight[r] * out[r]
            yf += wf * y[r]
            ff += wf * out[r]
        factor = np.float32(yf / ff if yf > 0 and ff > 0 else 0)
        for r in range(n_rows):
            error = y[r] - factor * out[r]
            losses[r] += weight[r] * error * error


@compiled
def lose(s: State, start: int, stop: int, eps: float) -> None:
    """Compute the trial losses of rows up to stop; those up to start have been computed."""
    if s.is_classifier:
        lose_classes(s, start, stop, eps)
    else:
        lose_targets(s, stop)


@compiled
def refresh(s: State, n_rows: int, eps: float) -> None:
    """Compute the values of all live units, and the losses."""
    begin_move(s)
    for u in range(s.first[1], s.first[-1]):
        s.stamp[u] = s.size[2]
    n = plan(s)
    forward(s, n, 0, n_rows)
    lose(s, 0, n_rows, eps)
    accept(s, n)
    begin_move(s)


@compiled
def energy(s: State, n_rows: int) -> float:
    """Return the mean of the current losses."""
    losses, total, weight = s.losses[s.size[3]], 0.0, 0.0
    for r in range(n_rows):
        total += losses[r]
        weight += s.row_weight[r]
    return total / weight


@compiled
def is_accepted(s: State, n: int, n_rows: int, eps: float, bar: float) -> tuple[bool, float]:
    """Whether a trial changes the energy by at most bar, and the change.

    More and more rows are looked at, until their mean is above the bar by twice its standard error,
    or all are.

    Parameters
    ----------
    s : State
        With n planned units.
    n, n_rows : int
        Numbers of planned units and of rows.
    eps : float
        Smoothing of the losses of classes.
    bar : float
        Largest change to accept.

    Returns
    -------
    is_accepted : bool
        If True, the trial has been evaluated on all rows.
    change : float
        The change of energy on the rows that were looked at.
    """
    old, new, weights = s.losses[s.size[3]], s.losses[1 - s.size[3]], s.row_weight
    start, stop = 0, min(FIRST_ROWS, n_rows)
    while True:
        forward(s, n, start, stop)
        lose(s, start, stop, eps)
        total, squares, weight = 0.0, 0.0, 0.0
        for r in range(stop):
            change = new[r] - old[r]
            total += change
            squares += change * change
            weight += weights[r]
        if stop == n_rows:
            return total / weight <= bar, total / weight
        error = math.sqrt(max(squares - total * total / stop, 0.0))
        if total - 2 * error > bar * weight:
            return False, total / weight
        start, stop = stop, min(GROWTH * stop, n_rows)
