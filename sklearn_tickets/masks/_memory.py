"""Memory that the tensors of a state dict share, as tied parameters do."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor


def memory_of(value: Any) -> Hashable:
    """Identify the memory that a tensor is in; None if it is in none, or not a tensor."""
    try:
        storage = value.untyped_storage()
    except (AttributeError, NotImplementedError):  # the latter if it is sparse or batched
        return None
    if not storage.data_ptr():  # it has no entries, or only a shape
        return None
    return value.device, storage.data_ptr(), storage.nbytes()


def shared_memory(tensors: Mapping[str, Any]) -> Iterator[dict[str, Tensor]]:
    """Find tensors that share memory, and lay out boolean tensors in the same way.

    Parameters
    ----------
    tensors : mapping of str to object
        Tensors by name; other objects are ignored.

    Yields
    ------
    views : dict of str to Tensor
        For tensors that share memory, all-false boolean tensors of the same shapes, whose entries
        share memory if and only if those of the tensors do.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks._memory import shared_memory
    >>> weight = torch.randn(2, 2)
    >>> (views,) = shared_memory({"a": weight, "b": weight.t(), "c": weight.clone()})
    >>> views["a"][0, 1] = True
    >>> views["b"]
    tensor([[False, False],
            [ True, False]])
    """
    groups: dict[Hashable, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if (memory := memory_of(value)) is not None:
            groups.setdefault((memory, value.dtype), {})[name] = value
    for group in groups.values():
        if len(group) > 1:
            first = next(iter(group.values()))
            n_entries = first.untyped_storage().nbytes() // first.itemsize
            entries = torch.zeros(n_entries, dtype=torch.bool, device=first.device)
            yield {
                name: entries.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
                for name, tensor in group.items()
            }


def with_ties(pruned: Mapping[str, Tensor], state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Mark what is pruned under every name that it has in a state dict.

    Parameters
    ----------
    pruned : mapping of str to bool Tensor
        The pruned entries by name.
    state : mapping of str to Tensor
        The state dict.

    Returns
    -------
    pruned : dict of str to bool Tensor
        The same, and those of names that share memory with them.
    """
    everywhere = dict(pruned)
    for views in shared_memory(state):
        for name in views.keys() & pruned.keys():
            views[name].logical_or_(pruned[name])
        everywhere |= {name: view for name, view in views.items() if view.any()}
    return everywhere


def equal_copies(
    state: Mapping[str, Any], masked: Mapping[str, Tensor]
) -> Iterator[tuple[str, str]]:
    """Find entries of a state dict that equal a masked one, but are not masked.

    Parameters
    ----------
    state : mapping of str to Tensor
        The state dict.
    masked : mapping of str to Tensor
        The masked entries.

    Yields
    ------
    copy, name : str
        The names of an entry that is not masked, and of a masked one that was equal to it.
    """
    for copy in (name for name in state if name not in masked):
        for name, changed in masked.items():
            if _are_equal(state[copy], state[name]) and not torch.equal(state[copy], changed):
                yield copy, name


def _are_equal(value: Any, other: Tensor) -> bool:
    """Compare shapes, types and entries; what has no memory is equal to nothing."""
    return (
        isinstance(value, Tensor)
        and (value.shape, value.dtype, value.device) == (other.shape, other.dtype, other.device)
        and None not in (memory_of(value), memory_of(other))
        and torch.equal(value, other)
    )
