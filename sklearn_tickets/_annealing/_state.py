"""`State`: a sparse network that changes bit by bit, and can return to what it was.

A bit is a parameter that may be kept: an edge from a unit to one of the next layer, or a bias,
whose source is -1. The bits of a unit follow each other, inputs first, the bias last. A unit of a
hidden layer is *live* if it has an output and an input (or a bias that is always there).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

# One set of types only, because each costs a compilation. The compiled code is stored.
compiled = njit(cache=True, nogil=True, fastmath=True)
# A call passes all arrays of a state, and counts references to each.
inlined = njit(cache=True, nogil=True, fastmath=True, forceinline=True)


class State(NamedTuple):
    """A sparse chain of linear layers with ReLU between them, and its values on some rows.

    Units are numbered from the inputs to the outputs. The arrays are changed in place.
    """

    first: NDArray[np.int64]  # first unit of each layer, and the number of units
    layer: NDArray[np.int64]  # layer of each unit
    offset: NDArray[np.int64]  # first bit of each unit
    source: NDArray[np.int64]  # unit that each bit leads from, -1 for a bias
    target: NDArray[np.int64]  # unit that each bit leads to
    value: NDArray[np.float32]  # parameter of each bit
    free: NDArray[np.bool_]  # whether a bit may be kept
    always: NDArray[np.bool_]  # whether a unit has a bias that is no bit
    kept: NDArray[np.int64]  # the kept bits come first, in any order
    place: NDArray[np.int64]  # position of each bit in `kept`, -1 for pruned bits
    size: NDArray[np.int64]  # number of kept bits, of logged flips, of the move; side of losses
    log: NDArray[np.int64]  # bits that the move flipped
    n_in: NDArray[np.int64]
    inputs: NDArray[np.int64]  # sources of each unit
    weights: NDArray[np.float32]  # weights from these sources
    n_out: NDArray[np.int64]
    outputs: NDArray[np.int64]  # targets of each unit
    bias: NDArray[np.float32]
    live: NDArray[np.bool_]
    has_bias: NDArray[np.bool_]  # whether the bit of the bias is kept
    values: NDArray[np.float32]  # (unit, side, row): one side is current, one on trial
    side: NDArray[np.int64]  # side of the current values of each unit
    stamp: NDArray[np.int64]  # last move that changed the values of each unit
    todo: NDArray[np.int64]  # units that the move changes, in order
    log_scale: NDArray[np.float64]  # logarithm of the factor of each output
    targets: NDArray[np.float32]  # (output, row): indicators of classes, or targets
    row_weight: NDArray[np.float32]
    losses: NDArray[np.float32]  # (side, row)
    scratch: NDArray[np.float32]  # (output and three more, row)
    power: NDArray[np.int32]  # (row,)
    is_classifier: bool


def make_state(
    weights: Sequence[NDArray],
    biases: Sequence[NDArray],
    free: NDArray[np.bool_],
    always: NDArray[np.bool_],
    n_rows: int,
    is_classifier: bool,
) -> State:
    """Make a state that keeps nothing.

    Parameters
    ----------
    weights, biases : sequence of ndarray of shapes (n_units, n_inputs) and (n_units,)
        The layers.
    free : bool ndarray of shape (n_bits,)
        Which bits may be kept: per unit its inputs and its bias.
    always : bool ndarray of shape (n_units,)
        Units of all layers, inputs included, with a bias that is there whatever is kept.
    n_rows : int
        Largest number of rows.
    is_classifier : bool
        Whether the energy is that of classes.

    Returns
    -------
    state : State
    """
    sizes = [weights[0].shape[1], *map(len, weights)]
    first = np.concatenate([[0], np.cumsum(sizes)])
    n_units, width, n_outputs = first[-1], max(sizes), sizes[-1]
    fan_in = np.repeat([0, *(size + 1 for size in sizes[:-1])], sizes)
    source = np.concatenate(
        [
            np.tile(np.append(np.arange(first[i], first[i + 1]), -1), sizes[i + 1])
            for i in range(len(weights))
        ]
    )
    value = [np.hstack([w, b[:, None]]).ravel() for w, b in zip(weights, biases, strict=True)]
    bias = np.concatenate([np.zeros(sizes[0]), *biases]) * always
    n_bits = len(source)

    def counters(*shape: int) -> NDArray[np.int64]:
        return np.zeros(shape, dtype=np.int64)

    def numbers(*shape: int) -> NDArray[np.float32]:
        return np.zeros(shape, dtype=np.float32)

    return State(
        first=first,
        layer=np.repeat(np.arange(len(sizes)), sizes),
        offset=np.cumsum(fan_in) - fan_in,
        source=source,
        target=np.repeat(np.arange(n_units), fan_in),
        value=np.concatenate(value).astype(np.float32),
        free=free,
        always=always,
        kept=counters(n_bits),
        place=counters(n_bits) - 1,
        size=counters(4),
        # Handing a unit's connections over flips each twice, and the sweep all that is left.
        log=counters(4 * n_bits + 8),
        n_in=counters(n_units),
        inputs=counters(n_units, width),
        weights=numbers(n_units, width),
        n_out=counters(n_units),
        outputs=counters(n_units, width),
        bias=bias.astype(np.float32),
        live=(np.arange(n_units) < first[1]) | (np.arange(n_units) >= first[-2]),
        has_bias=np.zeros(n_units, dtype=bool),
        values=numbers(n_units, 2, n_rows),
        side=counters(n_units),
        stamp=counters(n_units),
        todo=counters(n_units),
        log_scale=np.zeros(n_outputs),
        targets=numbers(n_outputs, n_rows),
        row_weight=numbers(n_rows),
        losses=numbers(2, n_rows),
        scratch=numbers(n_outputs + 3, n_rows),
        power=np.zeros(n_rows, dtype=np.int32),
        is_classifier=is_classifier,
    )


@inlined
def bit_of(s: State, v: int, u: int) -> int:
    """Return the bit of the edge from v to u, or of the bias of u if v is -1."""
    start = s.first[s.layer[u] - 1]
    return s.offset[u] + (s.first[s.layer[u]] - start if v < 0 else v - start)


@inlined
def note(s: State, u: int) -> None:
    """Note whether a unit is connected now; inputs and outputs always are."""
    is_hidden = s.first[1] <= u < s.first[-2]
    s.live[u] = not is_hidden or (s.n_out[u] > 0 and (s.n_in[u] > 0 or s.always[u]))


@compiled
def flip(s: State, bit: int) -> None:
    """Keep a pruned bit or prune a kept one, note it, and mark the unit that changes."""
    v, u, move = s.source[bit], s.target[bit], s.size[2]
    s.log[s.size[1]] = bit
    s.size[1] += 1
    s.stamp[u] = move
    at = s.place[bit]
    if at < 0:
        s.place[bit] = s.size[0]
        s.kept[s.size[0]] = bit
        s.size[0] += 1
        if v < 0:
            s.has_bias[u] = True
            s.bias[u] = s.value[bit]
            return
        s.inputs[u, s.n_in[u]] = v
        s.weights[u, s.n_in[u]] = s.value[bit]
        s.n_in[u] += 1
        if s.n_out[v] == 0:
            # The values of a unit without outputs are not kept up to date.
            s.stamp[v] = move
        s.outputs[v, s.n_out[v]] = u
        s.n_out[v] += 1
        note(s, u)
        note(s, v)
        return
    s.size[0] -= 1
    last = s.kept[s.size[0]]
    s.kept[at] = last
    s.place[last] = at
    s.place[bit] = -1
    if v < 0:
        s.has_bias[u] = False
        s.bias[u] = 0
        return
    s.n_in[u] -= 1
    k = 0
    while s.inputs[u, k] != v:
        k += 1
    s.inputs[u, k] = s.inputs[u, s.n_in[u]]
    s.weights[u, k] = s.weights[u, s.n_in[u]]
    s.n_out[v] -= 1
    k = 0
    while s.outputs[v, k] != u:
        k += 1
    s.outputs[v, k] = s.outputs[v, s.n_out[v]]
    note(s, u)
    note(s, v)


@inlined
def begin_move(s: State) -> None:
    """Forget the flips of the last move."""
    s.size[1] = 0
    s.size[2] += 1


@compiled
def undo(s: State) -> None:
    """Take back the flips of the move, the last one first."""
    for k in range(s.size[1] - 1, -1, -1):
        flip(s, s.log[k])
    s.size[1] = 0


@compiled
def sweep(s: State) -> None:
    """Prune what is left of units that the flips of the move left dead, and so on."""
    k = 0
    while k < s.size[1]:
        bit = s.log[k]
        k += 1
        for w in (s.target[bit], s.source[bit]):
            if w < 0 or s.live[w]:
                continue
            if s.has_bias[w]:
                flip(s, bit_of(s, -1, w))
            while s.n_in[w] > 0:
                flip(s, bit_of(s, s.inputs[w, s.n_in[w] - 1], w))
            while s.n_out[w] > 0:
                flip(s, bit_of(s, w, s.outputs[w, s.n_out[w] - 1]))


@compiled
def keep_only(s: State, bits: NDArray[np.int64]) -> None:
    """Keep some bits of an empty state, less those on no path."""
    begin_move(s)
    for bit in bits:
        flip(s, bit)
    sweep(s)
    begin_move(s)
