"""`atomic_write`: write a file so that no reader ever finds half of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Let a block write a temporary file beside `path`, which then takes its place.

    If the block fails, an existing file stays as it is, and the temporary one is removed.

    Parameters
    ----------
    path : path-like
        The file.

    Yields
    ------
    partial : Path
        The temporary file, not yet created.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path={str(path)!r} is in a folder that does not exist; create the folder first."
        )
    partial = target.with_name(f".{uuid4().hex}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
