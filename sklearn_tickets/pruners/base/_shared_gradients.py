"""`shared_gradients`: compute a gradient once that several fits begin with.

Candidates of a search often differ in what matters only after their first scores, such as the
sparsity. They are recognized by all that a gradient depends on, rather than by their parameters.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeAlias

from torch import Tensor

from sklearn_tickets._fingerprint import fingerprint
from sklearn_tickets._random import random_streams

Gradient: TypeAlias = dict[str, Tensor]

# Gradients by what they depend on, and how many there may be.
_FOUND: ContextVar[tuple[dict[str, Gradient], int] | None] = ContextVar("_FOUND", default=None)


@contextmanager
def shared_gradients(found: dict[str, Gradient]) -> Iterator[None]:
    """Look gradients up in a block, and keep the first one that is computed.

    Parameters
    ----------
    found : dict of str to dict
        The gradients of earlier blocks, by fingerprints. It grows by one at most, and so holds no
        more than one for each fit.
    """
    token = _FOUND.set((found, len(found) + 1))
    try:
        yield
    finally:
        _FOUND.reset(token)


def look_up(content: Any, compute: Callable[[], Gradient]) -> Gradient:
    """Return a gradient that was computed before, or compute it.

    It is kept only if its computation changed nothing that it depends on, such as a random stream,
    or a counter in the module.

    Parameters
    ----------
    content : object
        All that the gradient depends on, besides the random streams; None if that is not known.
    compute : callable
        Computes the gradient.

    Returns
    -------
    gradient : dict of str to Tensor
        The gradient by name; the caller may change it.
    """
    shared = _FOUND.get()
    key = None if shared is None or content is None else _key(content)
    if shared is None or key is None:
        return compute()
    found, limit = shared
    if key not in found:
        gradient = compute()
        if len(found) >= limit or _key(content) != key:
            return gradient
        found[key] = gradient
    return {name: value.clone() for name, value in found[key].items()}


def _key(content: Any) -> str | None:
    """Identify what a gradient depends on; None if it cannot be pickled."""
    try:
        return fingerprint((content, random_streams()))
    except Exception:
        return None
