"""Masks in files: safetensors, eight entries to a byte, the shapes in the header."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

_FORMAT = "sklearn_tickets.TicketMask/1"


def write_bits(
    path: str | os.PathLike[str],
    bits: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
) -> None:
    """Write packed bits; an existing file is replaced at once or not at all.

    Parameters
    ----------
    path : path-like
        The file.
    bits : mapping of str to uint8 ndarray
        As ``numpy.packbits`` makes them.
    shapes : mapping of str to tuple of int
        The shapes before packing.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    shapes_text = json.dumps({name: list(shape) for name, shape in shapes.items()})
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} is in no existing folder; make it first.")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        save_file(dict(bits), partial, metadata={"format": _FORMAT, "shapes": shapes_text})
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def read_bits(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read what `write_bits` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    kept : dict of str to bool ndarray
        Unpacked, in the order written.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is truncated or another kind of file.
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
