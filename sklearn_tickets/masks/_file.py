"""Mask files: safetensors with eight entries per byte and the shapes in the header."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from sklearn_tickets._files import atomic_write

_FORMAT = "sklearn_tickets.TicketMask/1"
# What reading a file raises that is no mask file.
_DAMAGE = (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def write_bits(
    path: str | os.PathLike[str],
    bits: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Write packed bits. An existing file is replaced atomically.

    Parameters
    ----------
    path : path-like
        The file.
    bits : mapping of str to uint8 ndarray
        The output of ``numpy.packbits`` for each parameter.
    shapes : mapping of str to tuple of int
        The shapes before packing.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If a name is one that a safetensors file cannot hold.
    """
    if "__metadata__" in bits:
        raise ValueError("A safetensors file cannot hold a parameter named '__metadata__'.")
    shapes_text = json.dumps({name: list(shape) for name, shape in shapes.items()})
    with atomic_write(path) as partial:
        partial.write_bytes(save(dict(bits), {"format": _FORMAT, "shapes": shapes_text}))


def read_bits(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read a file written by `write_bits`.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    kept : dict of str to bool ndarray
        The unpacked bits, in the order in which they were written.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is truncated or of another kind.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path={str(path)!r} does not exist or is not a file.")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError(f"its format is {metadata.get('format')!r}")
            shapes = json.loads(metadata["shapes"])
            if set(file.keys()) != shapes.keys():
                raise ValueError(f"it holds {sorted(file.keys())}, and has shapes of {[*shapes]}")
            return {name: _unpacked(file, name, shape) for name, shape in shapes.items()}
    except _DAMAGE as error:
        raise ValueError(
            f"path={str(path)!r} is not a complete file written by TicketMask.save: {error}."
        ) from error


def _unpacked(file: Any, name: str, shape: list[int]) -> np.ndarray:
    """Unpack a tensor of a safetensors file, after a check that it is what the shape says."""
    if not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(f"{name!r} has the shape {shape}")
    packed, n_bytes = file.get_slice(name), -(-math.prod(shape) // 8)
    if packed.get_dtype() != "U8" or packed.get_shape() != [n_bytes]:
        raise ValueError(
            f"{name!r} of shape {shape} takes {n_bytes} bytes, not {packed.get_shape()} of type "
            f"{packed.get_dtype()}"
        )
    bits = np.unpackbits(file.get_tensor(name), count=math.prod(shape))
    return bits.view(bool).reshape(shape)
