"""How flows pass torch's operations: `SynapticFlow`, and `Connections`, which misses no path.

Each method is the rule of a kind of operations, as listed in `KINDS`. An operation without a
rule is not understood: each of its results then depends on each of its arguments, so that
nothing is called disconnected that may be connected.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

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
        return torch.mul(*_halves(call))

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


class Connections(SynapticFlow):
    """The flow that shows what may influence what: not 0 wherever it does.

    What is added flows only into units that the input reaches. Averages take the place of
    maxima, and of whatever else mixes entries, so that gradients reach all of them.
    """

    def weight(self, value: Tensor) -> Tensor:
        """Return the flow of a factor; those outside the network's parameters cut only as 0."""
        return value.flow if isinstance(value, Traced) else (value != 0).double()

    def constant(self, call: Call, flow: Tensor) -> Any:
        """Keep what is not 0 though the parameters are."""
        of_zeros = call.on(lambda t: torch.zeros_like(t) if isinstance(t, Traced) else t)
        return replaced(of_zeros, lambda value: flow + (value != 0))

    def add(self, reached: Sequence[Tensor], constants: Sequence[Tensor]) -> Tensor:
        """Add constants only where the input reaches."""
        is_reached = reduce(torch.add, reached).detach() != 0
        return super().add(reached, [constant * is_reached for constant in constants])

    def contract(self, call: Call) -> Any:
        """Let the result depend on each factor that the input reaches, whatever the others are."""
        if len(call.reached) < 2:
            return super().contract(call)

        def through(factor: Traced) -> Any:
            others = {id(t) for t in call.reached if t is not factor}

            def of_tensor(value: Tensor) -> Tensor:
                own = self.weight(value)
                return torch.ones_like(own) if id(value) in others else own

            return call.on(of_tensor)

        return reduce(torch.add, [through(factor) for factor in call.reached])

    def divide(self, call: Call) -> Any:
        """Depend on both."""
        return self.multiply(call)

    def gate(self, call: Call) -> Tensor:
        """Depend on both halves."""
        return torch.add(*_halves(call))

    def pool(self, call: Call) -> Any:
        """Average over each window."""
        x, *args = call.args
        average = getattr(functional, re.sub("max|lp", "avg", call.name))
        if call.name.startswith("adaptive"):
            return average(x.flow, args[0])
        windows = _average_windows if call.name.startswith("max") else _average_lp_windows
        return windows(average, x.flow, *args, **call.kwargs)

    def mix(self, call: Call) -> Any:
        """Average along an axis; what is 0 in a constant stays 0, unless it does not in torch."""
        at, default = {"normalize": (2, 1)}.get(call.name, (1, None))
        axis = call.kwargs.get("dim", call.args[at] if len(call.args) > at else default)
        flow = call.args[0].flow
        average = flow.mean() if axis is None else flow.mean(axis, keepdim=True)
        return average if call.reached else self.constant(call, flow + average * (flow != 0))

    def maximum_along(self, call: Call) -> Any:
        """Average along an axis."""
        return self.reduce(call)

    def reduce(self, call: Call) -> Any:
        """Average along axes."""
        if len(call.args) > 1 and isinstance(call.args[1], Tensor):
            return self.elementwise(call)
        at = 2 if call.name == "norm" else 1
        axis = call.kwargs.get("dim", call.args[at] if len(call.args) > at else None)
        x, shape = call.args[0], call.results[0].shape
        flow = x.flow.mean() if axis is None else x.flow.mean(axis, keepdim=len(shape) == x.ndim)
        return [flow] * len(call.results)

    def embed(self, call: Call) -> Any:
        """Depend on the position in the table, and on all entries of its columns."""
        if not call.reached:
            return self.move(call)
        positions, table = call.args[:2]
        return self.weight(positions).unsqueeze(-1) * self.weight(table).mean(dim=0)

    def normalized(self, name: str, given: dict[str, Any]) -> Tensor:
        """Average over the entries that are normalized together."""
        flow = given["input"].flow
        if name == "group_norm":
            groups = flow.reshape(len(flow), given["num_groups"], -1)
            return groups.mean(-1, keepdim=True).expand_as(groups).reshape(flow.shape)
        if "normalized_shape" in given:
            axes = tuple(range(-len(given["normalized_shape"]), 0))
        elif given.get("use_input_stats", given.get("training", name == "instance_norm")):
            axes = (
                tuple(range(2, flow.ndim)) if name == "instance_norm" else (0, *range(2, flow.ndim))
            )
        else:
            return flow
        return flow.mean(axes, keepdim=True).expand_as(flow)


def _per_channel(values: Tensor, n_axes: int) -> Tensor:
    """Align one value per channel with the channels' axis, which `n_axes` follow."""
    return values.reshape(-1, *[1] * n_axes) if n_axes > 0 else values


def _halves(call: Call) -> tuple[Tensor, Tensor]:
    axis = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
    return call.args[0].flow.chunk(2, axis)


def _average_windows(
    average: Function,
    x: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """Average over each window of max pooling, including the holes of a dilated one."""
    window = (np.asarray(dilation) * (np.asarray(kernel_size) - 1) + 1).tolist()
    return average(x, window, stride or kernel_size, padding, ceil_mode)


def _average_lp_windows(
    average: Function,
    x: Tensor,
    norm_type: float,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Average over each window of power-average pooling."""
    return average(x, kernel_size, stride or kernel_size, ceil_mode=ceil_mode)
