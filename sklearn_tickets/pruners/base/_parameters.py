"""`ParameterFields`: constructors, constraints and docs from annotated attributes."""

import inspect
import re
import sys
from collections.abc import Iterator
from copy import copy
from dataclasses import MISSING, dataclass, field
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    ClassVar,
    Literal,
    TypeAlias,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

Count: TypeAlias = Annotated[int, Interval(Integral, 1, None, closed="left")]
DensitySchedule: TypeAlias = Literal["geometric", "one-shot", "alternating"]
Epochs: TypeAlias = Annotated[int, Interval(Integral, 0, None, closed="left")] | None
FreeSparsity: TypeAlias = Annotated[float | None, Interval(Real, 0, 1, closed="left"), None]
NonNegative: TypeAlias = Annotated[float, Interval(Real, 0, None, closed="left")]
Positive: TypeAlias = Annotated[float, Interval(Real, 0, None, closed="neither")]
RandomState: TypeAlias = Annotated[int | np.random.RandomState | None, "random_state"]
Schedule: TypeAlias = Literal["one-cycle"] | None

_PLAIN = (str, Real, tuple, list, NoneType)
# A section of a docstring, and the line break before each of its entries.
_SECTION = re.compile(r"(Parameters|Attributes)\n-{10}\n(.+?)(?=\n\n[A-Z][\w ]+\n---|\n\Z)", re.S)
_BETWEEN = re.compile(r"\n(?=\w[\w, ]* : |<)")


@dataclass_transform(kw_only_default=True, field_specifiers=(field,))
class ParameterFields:
    """Base of classes whose annotated attributes are their parameters.

    Each subclass becomes a dataclass whose constructor takes keywords and assigns them. The
    type of a field is also its constraint: ``Annotated[float, Interval(...)]``,
    ``Literal["a", "b"]``, ``bool``, a class, or a union of these. A new default for an
    inherited parameter needs no type. In the docstring of a subclass, ``<parameters>`` and
    ``<attributes>`` are replaced by the documentation of its bases.

    Examples
    --------
    >>> from sklearn_tickets.pruners.base import Count, ParameterFields
    >>> class Loop(ParameterFields):
    ...     n_turns: Count = 3
    >>> Loop(n_turns=5).n_turns
    5
    >>> print(*Loop._parameter_constraints["n_turns"])
    an int in the range [1, inf)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {}
    _declared: ClassVar[dict[str, tuple[Any, Any]]] = {}
    _documented: ClassVar[dict[str, dict[str, str]]] = {}
    # Parameters that come last, in this order.
    _trailing: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # In the method resolution order; in a dataclass, the last base would win.
        declared: dict[str, tuple[Any, Any]] = {}
        for base in cls.__mro__[:0:-1]:
            declared |= vars(base).get("_declared", {})
        own = type("Own", (), {"__annotations__": vars(cls).get("__annotations__", {})})
        hints = get_type_hints(own, vars(sys.modules[cls.__module__]), include_extras=True)
        for name in vars(cls).keys() - declared.keys() - hints.keys():
            if name == "__init__" or (name[0] != "_" and isinstance(vars(cls)[name], _PLAIN)):
                raise TypeError(f"{cls.__name__}.{name}: parameters are annotated attributes.")
        cls._declared = {
            name: (hint, vars(cls).get(name, MISSING))
            for name, hint in hints.items()
            if ClassVar not in (hint, get_origin(hint))
        } | {
            name: (hint, field(default=vars(cls)[name], kw_only=getattr(old, "kw_only", True)))
            for name, (hint, old) in declared.items()
            if name in vars(cls) and name not in hints
        }
        declared |= cls._declared
        cls.__annotations__ = {name: hint for name, (hint, _) in declared.items()}
        for name, (_, default) in declared.items():
            if default is not MISSING:
                setattr(cls, name, copy(default))
        dataclass(kw_only=True, eq=False, repr=False, match_args=False)(cls)
        for name in declared.keys() & vars(cls).keys():
            delattr(cls, name)  # defaults belong to the constructor
        cls._parameter_constraints = {
            name: list(_constraints(hint)) for name, (hint, _) in declared.items()
        }
        cls.__init__.__signature__ = _signature(cls)  # type: ignore[attr-defined]
        cls._documented = {}
        if cls.__doc__:
            doc = inspect.cleandoc(cls.__doc__) + "\n"
            cls.__doc__ = _SECTION.sub(lambda match: _completed(cls, *match.groups()), doc)


def _constraints(hint: Any) -> Iterator[Any]:
    """Yield the constraints of a type as scikit-learn's parameter validation takes them."""
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _constraints(part)
    elif get_origin(hint) is Annotated:
        yield from hint.__metadata__
    elif get_origin(hint) is Literal:
        options = set(get_args(hint))
        if texts := {option for option in options if isinstance(option, str)}:
            yield StrOptions(texts)
        if numbers := options - texts:
            yield Options(Integral if all(isinstance(n, int) for n in numbers) else Real, numbers)
    elif hint is bool:
        yield "boolean"
    elif hint in (int, float):
        yield Interval({int: Integral, float: Real}[hint], None, None, closed="neither")
    else:
        yield {NoneType: None, Any: object}.get(hint, get_origin(hint) or hint)


def _signature(cls: type[ParameterFields]) -> inspect.Signature:
    """Return the constructor's signature without types, as if written by hand."""
    given = inspect.signature(cls.__init__)
    parameters = [each.replace(annotation=each.empty) for each in given.parameters.values()]
    position = {name: i for i, name in enumerate(cls._trailing, 1)}
    parameters.sort(key=lambda each: position.get(each.name, 0))
    return given.replace(parameters=parameters, return_annotation=given.empty)


def _completed(cls: type[ParameterFields], title: str, text: str) -> str:
    """Add the entries of the bases to a section of a docstring, in the signature's order."""
    inherited: dict[str, str] = {}
    for base in cls.__mro__[:0:-1]:
        inherited |= vars(base).get("_documented", {}).get(title, {})
    entries = {entry.partition(" : ")[0]: entry for entry in _BETWEEN.split(text)}
    parameters = inspect.signature(cls).parameters
    if entries.pop(f"<{title.lower()}>", None):
        for name in inherited.keys() & parameters.keys():
            default = parameters[name].default
            shown = f'"{default}"' if isinstance(default, str) else repr(default)
            head, line, text = inherited[name].partition("\n")
            before, default_is, _ = head.partition("default=")
            inherited[name] = before + default_is + (shown if default_is else "") + line + text
        entries = inherited | entries
    cls._documented[title] = entries
    order = [name for name in parameters if name in entries and title == "Parameters"]
    order += [name for name in entries if name not in order]
    return "\n".join([title, "-" * 10, *(entries[name] for name in order)])
