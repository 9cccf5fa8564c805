"""`labeled`: what displays of one or several things accept, as a dictionary."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def labeled(given: Any, kind: type[T], parameter: str, *, label: str | None = None) -> dict[str, T]:
    """Return one or several objects by label.

    Parameters
    ----------
    given : object of `kind`, sequence or mapping of str to such objects
        What the user passed.
    kind : type
        The class of the objects.
    parameter : str
        The name of the parameter, for error messages.
    label : str or None, default=None
        The label of an object without one; None for the name of its class. Further objects
        of the same label are numbered from 2.

    Returns
    -------
    objects : dict of str to object
        The objects by label, in their order.

    Raises
    ------
    TypeError
        If one of them is not of this kind.
    ValueError
        If there are none.
    """
    objects: dict[str, Any] = {}
    # A TicketMask is a mapping, too.
    if isinstance(given, Mapping) and not isinstance(given, kind):
        objects |= given
    else:
        counts: Counter[str] = Counter()
        for each in given if isinstance(given, Sequence) else [given]:
            name = label or type(each).__name__
            counts[name] += 1
            objects[f"{name} {counts[name]}" if counts[name] > 1 else name] = each
    if not objects:
        raise ValueError(f"{parameter} is empty; pass at least one {kind.__name__}.")
    for name, each in objects.items():
        if not isinstance(each, kind):
            raise TypeError(
                f"{parameter} must be a {kind.__name__}, a list of them, or a mapping of labels to "
                f"them; got {each!r} as {name!r}."
            )
    return objects
