"""Mask files: safetensors with eight entries per byte and the shapes in the header."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from sklearn_tickets._files import atomic_write

_FORMAT = "sklearn_tickets.TicketMask/1"


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
    """
    shapes_text = json.dumps({name: list(shape) for name, shape in shapes.items()})
    with atomic_write(path) as partial:
        save_file(dict(bits), partial, metadata={"format": _FORMAT, "shapes": shapes_text})


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
            return {
                name: np.unpackbits(file.get_tensor(name), count=math.prod(shape))
                .astype(bool)
                .reshape(shape)
                for name, shape in json.loads(metadata["shapes"]).items()
            }
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"path={str(path)!r} is not a complete file written by TicketMask.save: {error}."
        ) from error
