"""Checks of names and numbers, whose errors say what is expected."""

from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral
from typing import Any


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


def check_integer(name: str, value: object, minimum: int) -> None:
    """Raise a ValueError unless a value is an integer that is not below a minimum."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name} must be an integer of at least {minimum}; got {value!r}.")
