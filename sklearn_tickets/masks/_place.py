"""`Place`: select entries where their scores are; from an accelerator, only bits are copied."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sklearn_tickets.masks._arrays import as_floats
from sklearn_tickets.masks._top_k import top_k

# What NumPy's packbits means by the eight bits of a byte.
_SHIFTS = range(7, -1, -1)


@dataclass(frozen=True)
class Place:
    """Where entries are selected, and with which functions.

    Parameters
    ----------
    read : callable
        Converts scores, with their name in messages, to floats.
    is_finite : callable
        Tells for each entry whether it is.
    unpack, pack : callable
        Convert packed bits, of a given number, to a mask, and a mask to bits.
    top_k : callable
        Marks the largest scores, as `top_k` does.
    """

    read: Callable[[Any, str], Any]
    is_finite: Callable[[Any], Any]
    unpack: Callable[[np.ndarray, int], Any]
    pack: Callable[[Any], np.ndarray]
    top_k: Callable[..., list[Any]]


def place_of(scores: Iterable[Any]) -> Place:
    """Choose where to select: where the scores are, if one accelerator has them all.

    Parameters
    ----------
    scores : iterable of Tensor or array-like
        The scores of each parameter.

    Returns
    -------
    place : Place
    """
    devices = {
        score.device
        if isinstance(score, Tensor) and score.is_floating_point() and score.layout == torch.strided
        else None
        for score in scores
    }
    device = devices.pop() if len(devices) == 1 else None
    return _CPU if device is None or device.type in ("cpu", "meta") else on_device(device)


def on_device(device: torch.device) -> Place:
    """Return the functions that select entries of tensors on a device."""
    return Place(_as_it_is, torch.isfinite, partial(unpack, device), pack, top_k_on_device)


def _as_it_is(score: Tensor, what: str) -> Tensor:
    return score.detach()


def _unpack_array(bits: np.ndarray, n_entries: int) -> np.ndarray:
    return np.unpackbits(bits, count=n_entries).view(bool)


_CPU = Place(as_floats, np.isfinite, _unpack_array, np.packbits, top_k)


def unpack(device: torch.device, bits: np.ndarray, n_entries: int) -> Tensor:
    """Unpack bits on a device.

    Parameters
    ----------
    device : torch.device
        Where to unpack them.
    bits : uint8 ndarray of shape (ceil(n_entries / 8),)
        As packed by ``numpy.packbits``.
    n_entries : int
        Number of bits.

    Returns
    -------
    kept : bool Tensor of shape (n_entries,)
    """
    shifts = torch.tensor(_SHIFTS, dtype=torch.uint8, device=device)
    digits = torch.from_numpy(bits).to(device)[:, None] >> shifts
    return (digits & 1).flatten()[:n_entries].bool()


def pack(kept: Tensor) -> np.ndarray:
    """Pack the entries of a mask, and copy only the bits to the CPU.

    Parameters
    ----------
    kept : bool Tensor of shape (n_entries,)
        The mask, on any device.

    Returns
    -------
    bits : uint8 ndarray of shape (ceil(n_entries / 8),)
        As packed by ``numpy.packbits``.
    """
    digits = functional.pad(kept.to(torch.uint8), (0, -len(kept) % 8)).view(-1, 8)
    shifts = torch.tensor(_SHIFTS, dtype=torch.uint8, device=kept.device)
    return (digits << shifts).sum(dim=1, dtype=torch.uint8).numpy(force=True)


def top_k_on_device(
    scores: Sequence[Tensor], alive: Sequence[Tensor], k: int, rng: np.random.RandomState
) -> list[Tensor]:
    """Mark exactly the `k` largest scores, as `top_k` does, and the same ones.

    Parameters
    ----------
    scores : sequence of float Tensor of shape (n_i,)
        The competing scores, in parts, on one device.
    alive : sequence of bool Tensor of shape (n_i,)
        Which scores may be marked; the others are ignored.
    k : int
        Number of scores to mark, at most the number of those that may be.
    rng : RandomState
        Breaks ties.

    Returns
    -------
    marked : list of bool Tensor of shape (n_i,)
        The parts, in order.
    """
    may, sizes = torch.cat(list(alive)), [len(part) for part in alive]
    n_alive = int(may.count_nonzero())
    if k == n_alive:
        return list(alive)
    if k == 0:
        return [torch.zeros_like(part) for part in alive]
    values = torch.cat(list(scores))
    candidates = values if n_alive == len(values) else values[may]
    # From the end that is closer, because all on the way there are copied.
    from_top = k <= n_alive - k
    rank = k if from_top else n_alive - k + 1
    ends = candidates.topk(rank, largest=from_top, sorted=False).values
    threshold = ends.min() if from_top else ends.max()
    keep = may & (values > threshold)
    ties = (may & (values == threshold)).nonzero()[:, 0]
    n_missing = k - int(keep.count_nonzero())
    drawn = rng.choice(len(ties), size=n_missing, replace=False)
    keep[ties[torch.from_numpy(drawn).to(ties.device)]] = True
    return list(keep.split(sizes))
