"""Random numbers for a fit that does not change the global random streams."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_random_state

# The global random streams are shared by all threads of a process, which take turns at them.
STREAMS = threading.RLock()


def independent_rng(random_state: int | np.random.RandomState | None) -> np.random.RandomState:
    """Make a random generator; None gives a freshly seeded one instead of NumPy's global one."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def random_streams() -> tuple[Any, ...]:
    """Return the states of the global random streams of torch, of its GPUs, and of NumPy."""
    gpus = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    return torch.get_rng_state(), gpus, np.random.get_state()


def set_random_streams(streams: tuple[Any, ...]) -> None:
    """Set the global random streams to states from `random_streams`."""
    cpu, gpus, numpy_state = streams
    torch.set_rng_state(cpu)
    if gpus:
        torch.cuda.set_rng_state_all(gpus)
    np.random.set_state(numpy_state)


@contextmanager
def seeded(seed: int, device: str | torch.device) -> Iterator[None]:
    """Seed the global random streams for a block, and restore them afterwards.

    The streams are shared by all threads of a process, so concurrent threads take turns.
    """
    device = torch.device(device)
    if device.type == "cuda":
        torch.cuda.init()
    with STREAMS:
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
