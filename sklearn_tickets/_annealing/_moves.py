"""The moves of annealing: each flips bits of a state, and returns whether it found some."""

import numpy as np

from sklearn_tickets._annealing._state import State, bit_of, compiled, flip, inlined, sweep

# Probability of each move.
SCALE, SWAP, REPLACE, REMOVE, ADD = 0.03, 0.29, 0.13, 0.15, 0.18
PATH, HAND_OVER, REDIRECT = 0.08, 0.04, 0.10
# How far the logarithm of a factor may move from the mean of all.
_SPREAD = 2.0
# How often to draw again what does not fit.
_TRIES, _FEW = 64, 8


@inlined
def below(n: int) -> int:
    """Draw a number of 0 to n - 1, much faster than NumPy does."""
    return int(np.random.random() * n)


@compiled
def draw_unit(s: State, first: int, end: int, is_live: bool) -> int:
    """Draw a live or an idle unit from first to end - 1, or -1 if none is found."""
    live = s.live
    for _ in range(_TRIES):
        u = first + below(end - first)
        if live[u] == is_live:
            return u
    return -1


@inlined
def draw_live(s: State, layer: int) -> int:
    """Draw a live unit of a layer, or -1 if none is found."""
    return draw_unit(s, s.first[layer], s.first[layer + 1], True)


@inlined
def draw_kept(s: State) -> int:
    """Draw a kept bit; there must be some."""
    return s.kept[below(s.size[0])]


@compiled
def draw_new(s: State, u: int) -> int:
    """Draw a pruned bit into a unit, from a live unit or its bias; -1 if none is found."""
    first, place, free, live = s.first[s.layer[u] - 1], s.place, s.free, s.live
    width, offset = s.first[s.layer[u]] - first, s.offset[u]
    for _ in range(_TRIES):
        j = below(width + 1)
        bit = offset + j
        if place[bit] < 0 and free[bit] and (j == width or live[first + j]):
            return bit
    return -1


@compiled
def swap(s: State) -> bool:
    """Exchange an input of a unit for another one."""
    bit = draw_kept(s)
    new = draw_new(s, s.target[bit])
    if new < 0:
        return False
    flip(s, new)
    flip(s, bit)
    return True


@compiled
def add(s: State) -> bool:
    """Add an input to a live unit."""
    u = draw_unit(s, s.first[1], s.first[-1], True)
    new = draw_new(s, u) if u >= 0 else -1
    if new < 0:
        return False
    flip(s, new)
    return True


@compiled
def remove(s: State) -> bool:
    """Prune a bit."""
    flip(s, draw_kept(s))
    return True


@compiled
def replace(s: State) -> bool:
    """Add a bit anywhere, and prune another one."""
    bit = draw_kept(s)
    if not add(s):
        return False
    flip(s, bit)
    return True


@inlined
def flip_free(s: State, bit: int) -> None:
    """Keep a bit unless it is kept, or must not be."""
    if s.place[bit] < 0 and s.free[bit]:
        flip(s, bit)


@compiled
def add_path(s: State) -> bool:
    """Bring an idle unit to life: one or two inputs, perhaps its bias, one or two outputs."""
    w = draw_unit(s, s.first[1], s.first[-2], False)
    if w < 0:
        return False
    for _ in range(1 + below(2)):
        v = draw_live(s, s.layer[w] - 1)
        if v >= 0:
            flip_free(s, bit_of(s, v, w))
    if np.random.random() < 0.5:
        flip_free(s, bit_of(s, -1, w))
    for _ in range(1 + below(2)):
        u = draw_live(s, s.layer[w] + 1)
        if u >= 0:
            flip_free(s, bit_of(s, w, u))
    return True


@compiled
def hand_over(s: State) -> bool:
    """Give all connections of a live unit to an idle one of its layer."""
    w = draw_unit(s, s.first[1], s.first[-2], False)
    h = draw_live(s, s.layer[w]) if w >= 0 else -1
    if h < 0:
        return False
    if s.has_bias[h]:
        flip_free(s, bit_of(s, -1, w))
        flip(s, bit_of(s, -1, h))
    while s.n_in[h] > 0:
        v = s.inputs[h, s.n_in[h] - 1]
        flip_free(s, bit_of(s, v, w))
        flip(s, bit_of(s, v, h))
    while s.n_out[h] > 0:
        u = s.outputs[h, s.n_out[h] - 1]
        flip_free(s, bit_of(s, w, u))
        flip(s, bit_of(s, h, u))
    return True


@compiled
def redirect(s: State) -> bool:
    """Move an edge to another target."""
    bit = draw_kept(s)
    v = s.source[bit]
    u = draw_live(s, s.layer[s.target[bit]]) if v >= 0 else -1
    new = bit_of(s, v, u) if u >= 0 else -1
    if new < 0 or s.place[new] >= 0 or not s.free[new]:
        return False
    flip(s, new)
    flip(s, bit)
    return True


@compiled
def rescale(s: State) -> None:
    """Change the factor of one output, or of all.

    Without a limit, the factor of an output that hardly matters drifts so far that no connection to
    it is of use any more, and a class is lost.
    """
    n = len(s.log_scale)
    c, is_common = below(n), np.random.random() < 0.5
    change = 10 ** np.random.uniform(-2, -0.5) * np.random.normal()
    away = s.log_scale[c] - s.log_scale.mean()
    if not is_common and abs(away + change) > max(_SPREAD, abs(away)):
        return
    for k in range(n):
        if is_common or k == c:
            s.log_scale[k] += change


@compiled
def change_bits(s: State, max_kept: int, grows: bool) -> bool:
    """Make one of the moves that flip bits, and prune what it leaves dead.

    Moves that add bits need room. In a ticket that grows, no path leads through an idle unit, so
    that bits that lead nowhere are left to fill it up. Whether something changed is returned.
    """
    if s.size[0] == 0:
        return False
    has_room = s.size[0] < max_kept
    x = np.random.random() * (1 - SCALE)
    if x < SWAP:
        found = swap(s)
    elif x < SWAP + REPLACE:
        found = replace(s)
    elif x < SWAP + REPLACE + REMOVE:
        found = remove(s)
    elif x < SWAP + REPLACE + REMOVE + ADD:
        found = has_room and add(s)
    elif x < SWAP + REPLACE + REMOVE + ADD + PATH:
        found = has_room and not grows and add_path(s)
    elif x < SWAP + REPLACE + REMOVE + ADD + PATH + HAND_OVER:
        found = hand_over(s)
    else:
        found = redirect(s)
    if found:
        sweep(s)
    return s.size[1] > 0
