"""`Traced`: a tensor that carries a flow through a module's own forward.

The module computes as always, with its own values, so that shapes, look-ups and branches are
real. Next to each value goes its flow, a float64 tensor of the same shape. How flows pass
torch's operations is the matter of a `FlowRules` object.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor

from sklearn_tickets._network._operations import operation_name

# Torch refuses to take values out of tensors with gradients, or warns.
_NEED_DETACHED = {
    Tensor.numpy,
    Tensor.__array__,
    Tensor.__float__,
    Tensor.__int__,
    Tensor.__index__,
} | {Tensor.__complex__, Tensor.item, Tensor.tolist}


@dataclass(frozen=True)
class Call:
    """A call of one of torch's functions.

    Parameters
    ----------
    func : callable
        The function.
    args : tuple
        Its positional arguments; the tensors of the network are `Traced`.
    kwargs : dict of str to object
        Its keyword arguments.
    results : list of Tensor
        The tensors that it returned or changed.
    """

    func: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Tensor]

    @cached_property
    def name(self) -> str:
        """The name of the operation, as listed by kind."""
        return operation_name(self.func)

    @cached_property
    def operands(self) -> list["Traced"]:
        """The arguments that have a flow."""
        return [t for t in tensors((self.args, self.kwargs)) if isinstance(t, Traced)]

    @cached_property
    def reached(self) -> list["Traced"]:
        """The arguments that are computed from the input."""
        return [t for t in self.operands if t.reached]

    @cached_property
    def constants(self) -> list["Traced"]:
        """The arguments that are computed from parameters alone."""
        return [t for t in self.operands if not t.reached]

    def on(self, replace: Callable[[Tensor], Any]) -> Any:
        """Call the function with other tensors in place of its arguments'."""
        return self.func(*replaced(self.args, replace), **replaced(self.kwargs, replace))


class FlowRules(Protocol):
    """How flows pass operations; told of everything they cannot follow."""

    def flows(self, call: Call) -> Any:
        """Return the flow of each result of a call; None if it depends on no tensor."""

    def lose(self, name: str) -> None:
        """Take note that an operation took values to where they cannot be followed."""


class Traced(Tensor):
    """A tensor with a flow. It is *reached* if it is computed from the input."""

    flow: Tensor
    reached: bool
    rules: FlowRules

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            operands = list(tensors((args, kwargs)))
            rules = next(t.rules for t in operands if isinstance(t, Traced))
            if any(t.requires_grad and not isinstance(t, Traced) for t in operands):
                rules.lose("an operation that torch does not dispatch")
            if func in _NEED_DETACHED:
                args = (args[0].detach(), *args[1:])
            result = func(*args, **kwargs)
            changed = [args[0]] if func is Tensor.__setitem__ else list(tensors(result))
            call = Call(func, args, kwargs, changed)
            if changed:
                _attach_flows(call, rules)
            elif call.name not in ("get", "set") and _reads_values(call):
                rules.lose(call.name)
        return result


def attach(value: Tensor, flow: Tensor, *, reached: bool, rules: FlowRules) -> None:
    """Give a tensor a flow, in place."""
    if isinstance(value, Traced) and flow is not value.flow:
        value.reached |= reached
        if isinstance(value._base, Traced):
            value._base.reached |= reached
        if value.flow.is_leaf:
            value.flow = flow
        else:  # views of the tensor have views of its flow
            value.flow.copy_(flow)
    elif not isinstance(value, Traced):
        value.__class__ = Traced
        vars(value).update(flow=flow, reached=reached, rules=rules)


def tensors(nested: Any) -> Iterator[Tensor]:
    """Iterate over the tensors in nested tuples, lists and dictionaries."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, tuple | list | dict):
        for item in nested.values() if isinstance(nested, dict) else nested:
            yield from tensors(item)


def replaced(nested: Any, replace: Callable[[Tensor], Any]) -> Any:
    """Copy nested tuples, lists and dictionaries with their tensors replaced."""
    if isinstance(nested, Tensor):
        return replace(nested)
    if isinstance(nested, dict):
        return {key: replaced(item, replace) for key, item in nested.items()}
    if isinstance(nested, tuple | list):
        items = [replaced(item, replace) for item in nested]
        return tuple(items) if isinstance(nested, tuple) else items
    return nested


@torch.enable_grad()
def _attach_flows(call: Call, rules: FlowRules) -> None:
    # Autograd keeps what a rule reads: a copy of each flow that will be overwritten.
    written = [(t, t.flow) for t in call.operands if any(t is value for value in call.results)]
    for operand, flow in written:
        operand.flow = flow.clone()
    flows = rules.flows(call)
    for operand, flow in written:
        operand.flow = flow
    if flows is None:
        return
    for value, flow in zip(call.results, tensors(flows), strict=True):
        flow = flow.double()
        if flow.shape != value.shape:
            flow = flow.expand(value.shape).clone()
        elif any(flow is operand.flow and value is not operand for operand in call.operands):
            flow = flow.clone()
        attach(value, flow, reached=bool(call.reached), rules=rules)


def _reads_values(call: Call) -> bool:
    """Whether a function needs more of its tensors than their shapes and types."""
    try:
        call.on(lambda value: value.detach().to("meta"))
    except Exception:  # whatever torch raises for tensors without values
        return True
    return False
