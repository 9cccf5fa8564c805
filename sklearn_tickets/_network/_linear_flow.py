"""`LinearFlow`: a synaptic flow that is linear in the input."""

import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sklearn_tickets._network._synaptic_flow import SynapticFlow, halves
from sklearn_tickets._network._traced import Call, Traced

Function = Callable[..., Any]


class LinearFlow(SynapticFlow):
    """A synaptic flow with averages in place of maxima, and sums in place of products of values.

    Any entry of a window may turn out to be the largest, and a factor without flow may still have
    a bias. The shares of the inputs add up to the whole.
    """

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

    def maximum_along(self, call: Call, axis_at: int = 1) -> Any:
        """Average along axes, which are at a position among the arguments."""
        if len(call.args) > 1 and isinstance(call.args[1], Tensor):
            return self.elementwise(call)
        axis = call.kwargs.get("dim", call.args[axis_at] if len(call.args) > axis_at else None)
        x, shape = call.args[0], call.results[0].shape
        flow = x.flow.mean() if axis is None else x.flow.mean(axis, keepdim=len(shape) == x.ndim)
        return [flow] * len(call.results)


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
    return average(x, window, stride or kernel_size, padding, ceil_mode, count_include_pad=False)


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
