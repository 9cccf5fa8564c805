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
_LOWEST = np.float32(-126)


@compiled
def plan(s: State) -> int:
    """List the live units that the move changes, in order, and return their number."""
    # As in `is_live`, without a call for each unit.
    n, move, end = 0, s.size[2], s.first[-2]
    n_in, n_out, always, inputs, stamp = s.n_in, s.n_out, s.always, s.inputs, s.stamp
    for u in range(s.first[1], s.first[-1]):
        if u < end and (n_out[u] == 0 or (n_in[u] == 0 and not always[u])):
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
    move = s.size[2]
    for t in range(n):
        u = s.todo[t]
        out = s.values[u, 1 - s.side[u]]
        bias = s.bias[u]
        for r in range(start, stop):
            out[r] = bias
        for k in range(s.n_in[u]):
            v, w = s.inputs[u, k], s.weights[u, k]
            is_new = s.stamp[v] == move and s.layer[v] > 0
            read = s.values[v, 1 - s.side[v] if is_new else s.side[v]]
            for r in range(start, stop):
                out[r] += w * read[r]
        if u < s.first[-2]:
            for r in range(start, stop):
                out[r] = max(out[r], np.float32(0))


@compiled
def accept(s: State, n: int) -> None:
    """Make the trial values of the planned units the current ones."""
    for t in range(n):
        s.side[s.todo[t]] = 1 - s.side[s.todo[t]]


@compiled
def refresh(s: State, n_rows: int) -> None:
    """Compute the values of all live units."""
    begin_move(s)
    for u in range(s.first[1], s.first[-1]):
        s.stamp[u] = s.size[2]
    n = plan(s)
    forward(s, n, 0, n_rows)
    accept(s, n)
    begin_move(s)


@inlined
def trial(s: State, c: int) -> NDArray[np.float32]:
    """Return the values of an output, those on trial if the move changes them."""
    u = s.first[-2] + c
    return s.values[u, 1 - s.side[u] if s.stamp[u] == s.size[2] else s.side[u]]


@compiled
def exponential(x: NDArray[np.float32], power: NDArray[np.int32], start: int, stop: int) -> None:
    """Replace x <= 0 by exp(x), to 3e-6 of it; a loop that processors do eight at a time."""
    for r in range(start, stop):
        t = max(x[r] * _LOG2_E, _LOWEST)
        whole = math.floor(t + _HALF)
        f = (t - np.float32(whole)) * _LN2
        x[r] = _ONE + f * (_ONE + f * (_C2 + f * (_C3 + f * (_C4 + f * _C5))))
        power[r] = (np.int32(whole) + np.int32(127)) << np.int32(23)
    two_to_the = power.view(np.float32)
    for r in range(start, stop):
        x[r] *= two_to_the[r]


@compiled
def log_sum(
    x: NDArray[np.float32],
    weight: NDArray[np.float32],
    power: NDArray[np.int32],
    start: int,
    stop: int,
) -> float:
    """Return the weighted sum of log(x), each to 1e-5."""
    bits, mantissa = x.view(np.int32), power.view(np.float32)
    for r in range(start, stop):
        power[r] = (bits[r] & np.int32(0x7FFFFF)) | np.int32(0x3F800000)
    total = 0.0
    for r in range(start, stop):
        z = (mantissa[r] - _ROOT2) / (mantissa[r] + _ROOT2)
        log_mantissa = z * (np.float32(2) + z * z * (_D3 + z * z * _D5))
        exponent = np.float32(bits[r] >> np.int32(23)) - np.float32(126.5)
        total += weight[r] * (exponent * _LN2 + log_mantissa)
    return total


@compiled
def add_classes(s: State, start: int, stop: int, eps: float, sums: NDArray[np.float64]) -> None:
    """Add the energies of rows start to stop to ``sums[0]``."""
    n = len(s.log_scale)
    top, total, own = s.scratch[n], s.scratch[n + 1], s.scratch[n + 2]
    for c in range(n):
        out, factor, logit = trial(s, c), np.float32(math.exp(s.log_scale[c])), s.scratch[c]
        for r in range(start, stop):
            logit[r] = factor * out[r]
        if c == 0:
            for r in range(start, stop):
                top[r] = logit[r]
        else:
            for r in range(start, stop):
                top[r] = max(top[r], logit[r])
    for r in range(start, stop):
        total[r] = 0
        own[r] = 0
    for c in range(n):
        logit, indicator = s.scratch[c], s.targets[c]
        for r in range(start, stop):
            logit[r] -= top[r]
        exponential(logit, s.power, start, stop)
        for r in range(start, stop):
            total[r] += logit[r]
            own[r] += logit[r] * indicator[r]
    right, floor = np.float32(1 - eps), np.float32(eps / n)
    for r in range(start, stop):
        own[r] = right * own[r] / total[r] + floor
    sums[0] -= log_sum(own, s.row_weight, s.power, start, stop)


@compiled
def add_targets(s: State, start: int, stop: int, sums: NDArray[np.float64]) -> None:
    """Add the sums of w y f, w f^2 and w y^2 per output over rows start to stop."""
    n = len(s.log_scale)
    for c in range(n):
        out, y = trial(s, c), s.targets[c]
        yf, ff, yy = 0.0, 0.0, 0.0
        for r in range(start, stop):
            wf = s.row_weight[r] * out[r]
            yf += wf * y[r]
            ff += wf * out[r]
            yy += s.row_weight[r] * y[r] * y[r]
        sums[c] += yf
        sums[n + c] += ff
        sums[2 * n + c] += yy


@compiled
def add_energy(s: State, start: int, stop: int, eps: float, sums: NDArray[np.float64]) -> None:
    """Add rows start to stop, at their trial values, to sums of shape (3 n_outputs + 1,)."""
    if s.is_classifier:
        add_classes(s, start, stop, eps, sums)
    else:
        add_targets(s, start, stop, sums)
    total = 0.0
    for r in range(start, stop):
        total += s.row_weight[r]
    sums[-1] += total


@compiled
def energy(s: State, sums: NDArray[np.float64]) -> float:
    """Return the energy of all rows added."""
    if s.is_classifier:
        return sums[0] / sums[-1]
    n, total = len(s.log_scale), 0.0
    for c in range(n):
        total += sums[2 * n + c]
        if sums[c] > 0 and sums[n + c] > 0:
            total -= sums[c] ** 2 / sums[n + c]
    return total / sums[-1]
