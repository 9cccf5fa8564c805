"""Exact selection: the largest of very many numbers, without sorting or copying them."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_BITS = 16
# Numbers per chunk: small enough for the cache.
_CHUNK = 2**18
_UNSIGNED = {2: np.uint16, 4: np.uint32, 8: np.uint64}


def kth_largest(chunks: Callable[[], Iterable[NDArray]], dtype: np.dtype, k: int) -> np.floating:
    """Find the k-th largest number by radix selection on the bits of floats.

    The bits of a float are a sign and a magnitude that is ordered like integers. A histogram
    of the leading 16 bits tells in which of 65,536 bins the number lies; the next 16 bits of
    the numbers in that bin narrow it down, and so on: two passes for single precision, four
    for double, each linear in time.

    Parameters
    ----------
    chunks : callable
        Returns the numbers, in finite arrays of any size; called once per pass.
    dtype : dtype
        Type of the numbers: float16, float32 or float64.
    k : int
        The rank, from 1 to the number of numbers.

    Returns
    -------
    number : floating
        The k-th largest number, of type `dtype`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_tickets.masks._top_k import kth_largest
    >>> numbers = np.array([0.5, -2.0, 3.0, 0.5], dtype=np.float32)
    >>> [float(kth_largest(lambda: [numbers], numbers.dtype, k)) for k in (1, 2, 3, 4)]
    [3.0, 0.5, 0.5, -2.0]
    """
    unsigned = _UNSIGNED[dtype.itemsize]
    bins = np.arange(2**_BITS)
    # From the largest number to the smallest; among negative ones, small magnitudes come first.
    order = np.concatenate([bins[: bins.size // 2][::-1], bins[bins.size // 2 :]])
    prefix = 0
    for shift in range(8 * dtype.itemsize - _BITS, -1, -_BITS):
        counts = np.zeros(bins.size, dtype=np.int64)
        for chunk in chunks():
            # Negative zero comes next to zero; comparisons do not tell them apart.
            bits = chunk.astype(dtype, copy=False).view(unsigned)
            if prefix or shift + _BITS < 8 * dtype.itemsize:
                bits = bits[bits >> unsigned(shift + _BITS) == prefix]
            digits = (bits >> unsigned(shift)).astype(np.uint16)
            counts += np.bincount(digits, minlength=bins.size)
        running = np.cumsum(counts[order])
        place = int(np.searchsorted(running, k))
        k -= int(running[place] - counts[order[place]])
        prefix = prefix << _BITS | int(order[place])
        if shift + _BITS == 8 * dtype.itemsize:
            is_negative = order[place] >= bins.size // 2
            order = bins if is_negative else bins[::-1]
    return dtype.type(np.array(prefix, dtype=unsigned).view(dtype))


def top_k(
    scores: Sequence[np.ndarray], alive: Sequence[np.ndarray], k: int, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Mark exactly the `k` largest scores, with ties at the border broken at random.

    Parameters
    ----------
    scores : sequence of float ndarray of shape (n_i,)
        The competing scores, in parts.
    alive : sequence of bool ndarray of shape (n_i,)
        Which scores may be marked; the others are ignored.
    k : int
        Number of scores to mark, at most the number of those that may be.
    rng : RandomState
        Breaks ties.

    Returns
    -------
    marked : list of bool ndarray of shape (n_i,)
        The parts, in order.
    """
    if k == sum(map(np.count_nonzero, alive)):
        return list(alive)
    if k == 0:
        return [np.zeros_like(is_alive) for is_alive in alive]
    dtype = np.result_type(*scores)

    def candidates() -> Iterator[np.ndarray]:
        for values, is_alive in zip(scores, alive, strict=True):
            for start in range(0, len(values), _CHUNK):
                part = slice(start, start + _CHUNK)
                # Usually all are alive, and nothing needs to be copied.
                own = is_alive[part]
                yield values[part] if own.all() else values[part][own]

    threshold = kth_largest(candidates, dtype, k)
    keep = [is_alive & (values > threshold) for values, is_alive in zip(scores, alive, strict=True)]
    ties = [
        np.flatnonzero(is_alive & (values == threshold))
        for values, is_alive in zip(scores, alive, strict=True)
    ]
    n_missing = k - sum(map(np.count_nonzero, keep))
    drawn = rng.choice(sum(map(len, ties)), size=n_missing, replace=False)
    ends = np.cumsum([len(positions) for positions in ties])
    for i, (kept, positions) in enumerate(zip(keep, ties, strict=True)):
        own = drawn[(drawn < ends[i]) & (drawn >= ends[i] - len(positions))]
        kept[positions[own - (ends[i] - len(positions))]] = True
    return keep
