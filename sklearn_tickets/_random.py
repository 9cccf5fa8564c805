"""Seeding and random streams: what a fit draws, and what it must leave alone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

_STREAMS = threading.RLock()


def independent_rng(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """A generator of its own: None seeds it afresh and leaves NumPy's global one alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def random_streams() -> tuple[Any, ...]:
    """The states of the global random streams of torch, of its GPUs, and of NumPy."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), gpus, np.random.get_state()


def set_random_streams(streams: tuple[Any, ...]) -> None:
    """Return the global random streams to earlier states."""
    cpu, gpus, numpy_state = streams
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)
    np.random.set_state(numpy_state)


@contextmanager
def seeded(seed: int, device: str | torch.device) -> Iterator[None]:
    """Run a block on random streams of its own, and put the global ones back.

    Streams are global to a process, so concurrent threads take turns.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.init()
    with _STREAMS:
        others = random_streams()
        np.random.seed(seed)
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        try:
            yield
        finally:
            set_random_streams(others)
