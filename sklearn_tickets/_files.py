"""`atomic_write`: write a file so that no reader ever finds half of it."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Let a block write a temporary file beside `path`, which then takes its place.

    If the block fails, an existing file stays as it is, and the temporary one is removed. An
    existing file keeps its mode, and a symbolic link stays one: the file it leads to is replaced.

    Parameters
    ----------
    path : path-like
        The file.

    Yields
    ------
    partial : Path
        The temporary file, still empty.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    FileExistsError
        If there is something else than a file: a folder, or a device.
    PermissionError
        If nothing can be written to the folder.
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path={str(path)!r} is in a folder that does not exist; create the folder first."
        )
    if target.exists() and not target.is_file():
        raise FileExistsError(f"path={str(path)!r} exists and is not a file; give another name.")
    partial = target.with_name(f".{uuid4().hex}.partial")
    try:
        partial.touch(exist_ok=False)
    except PermissionError as error:
        raise PermissionError(
            f"path={str(path)!r} is in a folder that you cannot write to; choose another folder."
        ) from error
    try:
        # Writers may make another file of it, with a mode of their own.
        mode = stat.S_IMODE((target if target.exists() else partial).stat().st_mode)
        yield partial
        partial.chmod(mode)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
