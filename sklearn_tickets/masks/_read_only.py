"""`ReadOnlyTensor`: a tensor that refuses to be written to."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_tickets.masks._memory import memory_of

# Functions that change their first argument, besides those whose name ends in an underscore.
_WRITING = {"__setitem__", "__set__", "__delete__"} | {
    f"__i{operation}__" for operation in ("and", "or", "xor", "lshift", "rshift")
}


class ReadOnlyTensor(Tensor):
    """A tensor that refuses to be written to; views of it refuse as well.

    In all else it is like a plain tensor, and copies of it, results of operations and what is
    read from a pickle are plain tensors.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks._read_only import ReadOnlyTensor
    >>> kept = torch.tensor([True, False]).as_subclass(ReadOnlyTensor)
    >>> kept[1] = True
    Traceback (most recent call last):
    ...
    ValueError: mask[name] is a read-only copy: writing to it would not change the mask. ...
    >>> ~kept
    tensor([False,  True])
    """

    @classmethod
    def __torch_function__(
        cls,
        func: Callable,
        types: Iterable[type],
        args: tuple = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling():  # can trace operations on tensors only, no checks
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        written = (args[:1] if _writes(func.__name__) else (), kwargs.get("out"))
        if any(isinstance(tensor, cls) for tensor in _flat(written)):
            raise ValueError(
                "mask[name] is a read-only copy: writing to it would not change the mask. Write to "
                "values = mask[name].clone() instead, and make a mask of the result: "
                "TicketMask({**mask, name: values})."
            )
        with torch._C.DisableTorchFunctionSubclass():
            return cls._protected(func(*args, **kwargs), args)

    @classmethod
    def _protected(cls, result: Any, args: tuple) -> Any:
        """Make results read-only that are views of read-only arguments."""
        if isinstance(result, tuple | list):
            return type(result)(cls._protected(part, args) for part in result)
        own = (memory_of(tensor) for tensor in _flat(args) if isinstance(tensor, cls))
        is_view = memory_of(result) in {*own} - {None}
        return Tensor._make_subclass(cls, result) if is_view else result

    def _plain(self) -> Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(Tensor)

    def numpy(self, **kwargs: Any) -> np.ndarray:
        """Return a read-only array."""
        array = self._plain().numpy(**kwargs)
        array.flags.writeable = False
        return array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __deepcopy__(self, memo: dict) -> Tensor:
        return self._plain().clone()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._plain().__reduce_ex__(protocol)

    def __repr__(self, **kwargs: Any) -> str:  # type: ignore[override]
        return self._plain().__repr__(**kwargs)


def _writes(name: str) -> bool:
    """Tell from a function's name whether it changes its first argument."""
    name = name.partition(".")[0]
    return name in _WRITING or (name.endswith("_") and not name.endswith("__"))


def _flat(values: Any) -> Iterator[Any]:
    """Iterate over what nested tuples and lists hold."""
    if isinstance(values, tuple | list):
        for value in values:
            yield from _flat(value)
    else:
        yield values
