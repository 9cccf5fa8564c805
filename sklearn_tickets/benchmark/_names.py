"""Names: unknown ones are refused, and problems get theirs."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import pandas as pd


def check_names(where: str, names: Iterable[Any], known: Iterable[str]) -> None:
    """Raise a ValueError for the first name that is not known."""
    known = list(known)
    for name in names:
        if name not in known:
            (nearest,) = get_close_matches(str(name), known, n=1, cutoff=0)
            raise ValueError(
                f"{where} has the unknown name {name!r}; did you mean {nearest!r}? "
                f"Known are {', '.join(known)}."
            )


def name_problems(table: pd.DataFrame) -> pd.Series:
    """Name the problem of every row: data without a planted ticket have no depth and width."""
    sizes = [f", {name} " + table[name].map("{:.0f}".format) for name in ("depth", "width")]
    task = table["task"].map(str)
    return task.where(table["depth"].isna(), task + sizes[0] + sizes[1])
