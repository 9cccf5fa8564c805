"""`load_grid`: a grid from a TOML file."""

import os
import tomllib
from pathlib import Path
from typing import Any

# Grids that come with the package, by the names of their files.
GRIDS = {path.name: path for path in sorted(Path(__file__).with_name("grids").glob("*.toml"))}


def load_grid(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read a grid for `run_grid` from a TOML file.

    Each ``[[grid]]`` of the file is a product of axes. Keys above the first are shared by all of
    them, unless they have their own. A file without ``[[grid]]`` is one product. Since TOML has no
    such value, parameters of pruners that are the string "None" are None.

    Parameters
    ----------
    path : path-like
        The file. If there is none, it may be the name of a grid that comes with the package, one of
        `GRIDS`: ``"example.toml"`` has comments to start from, the others are experiments of
        papers and on real data.

    Returns
    -------
    grid : list of dict
        The products. Names and values are checked by `run_grid`, before it runs anything.

    Raises
    ------
    ValueError
        If the file cannot be read, or is not TOML.

    See Also
    --------
    run_grid : Run a grid, and store its rows.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn_tickets.benchmark import load_grid
    >>> text = '''
    ... seeds = [0, 1]
    ...
    ... [[grid]]
    ... pruners = ["imp", {pruner = "snip", scope = ["global", "layer"]}]
    ...
    ... [[grid]]
    ... tasks = ["relu", "helix"]
    ... pruners = "synflow"
    ... '''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     n_characters = Path(folder, "grid.toml").write_text(text)
    ...     first, second = load_grid(Path(folder, "grid.toml"))
    >>> second
    {'seeds': [0, 1], 'tasks': ['relu', 'helix'], 'pruners': 'synflow'}
    >>> len(load_grid("plant-n-seek.toml"))
    6
    """
    file = Path(path)
    if not file.exists():
        file = GRIDS.get(str(path), file)
    try:
        shared = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"path={str(path)!r} cannot be read as TOML ({error}). Grids that come with the "
            f"package are {', '.join(GRIDS)}."
        ) from error
    blocks = shared.pop("grid", {})
    blocks = blocks if isinstance(blocks, list) else [blocks]
    if not all(isinstance(block, dict) for block in blocks):
        raise ValueError(
            f"path={str(path)!r} has a value named 'grid'; begin products by [[grid]]."
        )
    return [shared | block for block in blocks]
