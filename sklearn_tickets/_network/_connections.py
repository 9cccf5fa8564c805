"""`Connections`: the flow that shows what may influence what."""

import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sklearn_tickets._network._synaptic_flow import SynapticFlow, halves
from sklearn_tickets._network._traced import Call, Traced, replaced

Function = Callable[..., Any]


class Connections(SynapticFlow):
    """A flow that is not 0 wherever the input may influence a value: it misses no path.

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
        return torch.add(*halves(call))

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
