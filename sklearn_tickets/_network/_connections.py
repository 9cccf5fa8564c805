"""`Connections`: the flow that shows what may influence what."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from sklearn_tickets._network._linear_flow import LinearFlow
from sklearn_tickets._network._traced import Call, Traced, replaced


class Connections(LinearFlow):
    """A flow that is not 0 wherever the input may influence a value: it misses no path.

    What is added flows only into units that the input reaches. Averages take the place of
    whatever mixes entries, so that gradients reach all of them.
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

    def divide(self, call: Call) -> Any:
        """Depend on both."""
        return self.multiply(call)

    def mix(self, call: Call) -> Any:
        """Average along an axis; what is 0 in a constant stays 0, unless it does not in torch."""
        at, default = {"normalize": (2, 1)}.get(call.name, (1, None))
        axis = call.kwargs.get("dim", call.args[at] if len(call.args) > at else default)
        flow = call.args[0].flow
        average = flow.mean() if axis is None else flow.mean(axis, keepdim=True)
        return average if call.reached else self.constant(call, flow + average * (flow != 0))

    def reduce(self, call: Call) -> Any:
        """Average along axes."""
        return self.maximum_along(call, axis_at=2 if call.name == "norm" else 1)

    def embed(self, call: Call) -> Any:
        """Depend on the position in the table, and on all entries of its columns."""
        if not call.reached:
            return self.move(call)
        positions, table = call.args[:2]
        return self.weight(positions).unsqueeze(-1) * self.weight(table).mean(dim=0)

    def normalized(self, name: str, given: dict[str, Any]) -> Tensor:
        """Average over the entries that are normalized together, with axes of length 1 or all."""
        flow = given["input"].flow
        if name == "group_norm":
            groups = flow.reshape(len(flow), given["num_groups"], -1)
            return groups.mean(-1).repeat_interleave(groups.shape[-1]).reshape(flow.shape)
        if "normalized_shape" in given:
            axes = tuple(range(-len(given["normalized_shape"]), 0))
        elif given.get("use_input_stats", given.get("training", name == "instance_norm")):
            axes = (
                tuple(range(2, flow.ndim)) if name == "instance_norm" else (0, *range(2, flow.ndim))
            )
        else:
            return flow
        return flow.mean(axes, keepdim=True)
