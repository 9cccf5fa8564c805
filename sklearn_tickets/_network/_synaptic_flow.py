"""`SynapticFlow`: the flow of a network of non-negative weights without activations.

Each method is the rule of a kind of operations, as listed in `KINDS`. An operation without a
rule is not understood: each of its results then depends on each of its arguments, so that
nothing is called disconnected that may be connected.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from sklearn_tickets._network._operations import KINDS
from sklearn_tickets._network._traced import Call, Traced, replaced, tensors

Function = Callable[..., Any]


class SynapticFlow:
    r"""The flow of a network without activations: a sum over paths of products of weights.

    Normalization multiplies by :math:`|\gamma|`. What is added to values that come from the
    input flows only if it is among the parameters in question.

    Attributes
    ----------
    unknown : dict of str to None
        The names of operations that are not understood, in the order of their use.
    lost : bool
        Whether one of them took values to where they cannot be followed.
    """

    def __init__(self) -> None:
        self.unknown: dict[str, None] = {}
        self.lost = False

    def lose(self, name: str) -> None:
        """Take note that an operation took values to where they cannot be followed."""
        self.unknown[name] = None
        self.lost = True

    def flows(self, call: Call) -> Any:
        """Return the flow of each result of a call; None if it depends on no tensor."""
        return getattr(self, KINDS.get(call.name, ""), self.not_understood)(call)

    # What constants amount to, and how flows meet -------------------------------------

    def weight(self, value: Tensor) -> Tensor:
        """Return the flow of a factor."""
        return value.flow if isinstance(value, Traced) else value.abs().double()

    def constant(self, call: Call, flow: Tensor) -> Any:
        """Return the flow of what is computed from parameters, of which `flow` is the sum."""
        return replaced(call.on(self.weight), Tensor.abs)

    def add(self, reached: Sequence[Tensor], constants: Sequence[Tensor]) -> Tensor:
        """Add up flows from the input, and those of what is added to it."""
        return reduce(torch.add, [*reached, *(c for c in constants if c.requires_grad)])

    # Rules by kind --------------------------------------------------------------------

    def not_understood(self, call: Call) -> Any:
        """Let each result depend on each argument."""
        flow = torch.stack([operand.flow.mean() for operand in call.operands]).sum()
        if not call.reached:
            return self.constant(call, flow)
        self.unknown[call.name] = None
        return [flow] * len(call.results)

    def create(self, call: Call) -> None:
        """Depend on no tensor."""

    def elementwise(self, call: Call) -> Any:
        """Add up what comes from the input."""
        constants = [t.flow for t in call.constants]
        if not call.reached:
            return self.constant(call, reduce(torch.add, constants))
        if call.kwargs.get("alpha", 1) != 1:
            return self.not_understood(call)
        return self.add([t.flow for t in call.reached], constants)

    def prelu(self, call: Call) -> Tensor:
        """Let the slopes count as biases."""
        x, slopes = call.args
        return self.add([self.weight(x)], [_per_channel(self.weight(slopes), x.ndim - 2)])

    def move(self, call: Call) -> Any:
        """Do with the flow what is done with the values."""

        def of_tensor(value: Tensor) -> Tensor:
            if isinstance(value, Traced):
                return value.flow
            if call.reached and value.is_floating_point():
                return torch.zeros_like(value)  # it does not come from the input
            return self.weight(value) if value.is_floating_point() else value

        return replaced(call.on(of_tensor), Tensor.double)

    def pick(self, call: Call) -> Any:
        """Move entries, unless their positions are computed."""
        if any(isinstance(t, Traced) for t in tensors((call.args[1:], call.kwargs))):
            return self.not_understood(call)
        return self.move(call)

    def choose(self, call: Call) -> Any:
        """Move entries that pass a mask, unless it is computed."""
        if any(t.dtype == torch.bool for t in call.operands) or not call.reached:
            return self.elementwise(call)
        func: Function = torch.where if call.name == "where" else torch.masked_fill
        args = tuple(0.0 if isinstance(a, Real) else a for a in call.args)
        return self.move(replace(call, func=func, args=args))

    def assign(self, call: Call) -> Tensor:
        """Replace entries of the flow."""
        target, positions, value = call.args
        if any(isinstance(t, Traced) for t in tensors(positions)):
            return self.not_understood(call)
        if isinstance(target, Traced):
            flow = target.flow.clone()
        else:
            flow = torch.zeros_like(target, dtype=torch.float64)
        flow[positions] = value.flow if isinstance(value, Traced) else 0.0
        return flow

    def pad(self, call: Call) -> Any:
        """Pad with zeros where the values are padded with a constant."""
        kwargs = {name: value for name, value in call.kwargs.items() if name != "value"}
        return self.move(replace(call, args=call.args[:3], kwargs=kwargs))

    def interpolate(self, call: Call) -> Any:
        """Move entries, unless with coefficients of both signs."""
        if "bicubic" in [*call.args[1:], *call.kwargs.values()]:
            return self.not_understood(call)
        return self.move(call)

    def contract(self, call: Call) -> Any:
        """Multiply flows as values are multiplied."""
        return call.on(self.weight)

    def multiply(self, call: Call) -> Any:
        """Multiply by the size of a factor."""
        factors = tuple(abs(a) if isinstance(a, Real) else a for a in call.args[:2])
        return self.contract(replace(call, func=torch.mul, args=factors, kwargs={}))

    def divide(self, call: Call) -> Any:
        """Divide by the size of a constant."""
        value, divisor = call.args[:2]
        if isinstance(divisor, Traced) and divisor.reached:
            return self.not_understood(call)
        return self.weight(value) / (
            self.weight(divisor) if isinstance(divisor, Tensor) else abs(divisor)
        )

    def affine(self, call: Call) -> Any:
        """Multiply by weights, then add biases."""
        at = 3 if call.name == "bilinear" else 2
        kwargs = {name: value for name, value in call.kwargs.items() if name != "bias"}
        args = (*call.args[:at], None, *call.args[at + 1 :])
        flow = self.contract(replace(call, args=args, kwargs=kwargs))
        bias = call.kwargs.get("bias") if len(call.args) <= at else call.args[at]
        if bias is None:
            return flow
        added = self.weight(bias)
        if call.name.startswith("conv"):
            added = _per_channel(added, call.args[1].ndim - 2)
        return self.add([flow], [added]) if call.reached else flow + added

    def gate(self, call: Call) -> Tensor:
        """Multiply one half of the entries by the other."""
        return torch.mul(*halves(call))

    def pool(self, call: Call) -> Any:
        """Take the largest flow."""
        return self.move(call)

    def maximum_along(self, call: Call) -> Any:
        """Take the largest flow along an axis."""
        return self.move(call)

    def embed(self, call: Call) -> Any:
        """Look up constants, unless the input says which."""
        return self.not_understood(call) if call.reached else self.move(call)

    def normalize_units(self, call: Call) -> Any:
        r"""Multiply by :math:`|\gamma|`, then add biases."""
        if not inspect.isfunction(call.func):  # others order their arguments differently
            return self.not_understood(call)
        given = inspect.signature(call.func).bind(*call.args, **call.kwargs).arguments
        flow = self.normalized(call.name, given)
        # Normalization per channel has one factor and one bias for each.
        n_axes = 0 if "normalized_shape" in given else flow.ndim - 2
        if given.get("weight") is not None:
            flow = flow * _per_channel(self.weight(given["weight"]), n_axes)
        if given.get("bias") is not None:
            flow = self.add([flow], [_per_channel(self.weight(given["bias"]), n_axes)])
        return flow

    def normalized(self, name: str, given: dict[str, Any]) -> Tensor:
        """Return the flow before it is scaled."""
        return given["input"].flow


def _per_channel(values: Tensor, n_axes: int) -> Tensor:
    """Align one value per channel with the channels' axis, which `n_axes` follow."""
    return values.reshape(-1, *[1] * n_axes) if n_axes > 0 else values


def halves(call: Call) -> tuple[Tensor, Tensor]:
    """Split the flow of a gated linear unit's argument."""
    axis = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    return call.args[0].flow.chunk(2, axis)
