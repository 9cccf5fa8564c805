"""`StackedOptimizer`: the optimisers of all networks in a stack, as one."""

import copy
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW
from torch.optim.lr_scheduler import OneCycleLR

from sklearn_tickets.model_selection._member import Member

# Numbers that a processor's widest registers hold.
_VECTOR = 16
_FUSED = {Adam: torch._fused_adam_, AdamW: torch._fused_adamw_}


class StackedOptimizer:
    """An optimiser of views into stacked weights, with a group for each of its settings.

    Fused optimisers round the last numbers of a tensor, which fill no register, in another
    way. Where there are such, every network's are a tensor of their own.

    Parameters
    ----------
    members : sequence of Member
        Fewest groups if those of the same settings are side by side.
    weights, gradients : dict of int to Tensor of shape (n_members, ...)
        By the parameters' indices in the optimisers.
    """

    def __init__(
        self,
        members: Sequence[Member],
        weights: dict[int, Tensor],
        gradients: dict[int, Tensor],
    ) -> None:
        # Of each view: which parameter, and of which networks.
        self.places: list[tuple[int, range, Tensor]] = []
        groups, start = [], 0
        for settings, alike in groupby(member.settings for member in members):
            stop = start + len([*alike])
            first = len(self.places)
            for index, weight in weights.items():
                has_rest = settings.get("fused") and weight[0].numel() % _VECTOR
                step = 1 if has_rest and weight.device.type == "cpu" else stop - start
                for i in range(start, stop, step):
                    view = weight.detach()[i : i + step]
                    view.grad = gradients[index][i : i + step]
                    self.places.append((index, range(i, i + step), view))
            groups.append({"params": [view for *_, view in self.places[first:]]} | settings)
            start = stop
        net, training = members[0].net, members[0].training
        self.optimizer = type(net.optimizer_)(groups)
        for index, rows, view in self.places:
            states = [members[i].state.get(index, {}) for i in rows]
            self.optimizer.state[view] = {
                name: torch.stack([state[name] for state in states])
                if _is_of_weights(value)
                else copy.deepcopy(value)
                for name, value in states[0].items()
            }
        self.schedule = training.schedule and OneCycleLR(
            self.optimizer,
            max_lr=[group["lr"] for group in self.optimizer.param_groups],
            total_steps=training.n_epochs * len(members[0].batches),
            cycle_momentum=False,
        )
        self.fused: list[tuple[dict[str, Any], list]] = []

    def step(self) -> None:
        """Move all weights, and the schedule on."""
        if self.fused:
            kernel = _FUSED[type(self.optimizer)]
            for group, tensors in self.fused:
                tensors[-1][0].add_(1)
                beta1, beta2 = group["betas"]
                names = ("lr", "weight_decay", "eps", "amsgrad", "maximize")
                settings = {name: group[name] for name in names}
                kernel(*tensors, beta1=beta1, beta2=beta2, **settings)
        else:
            self.optimizer.step()
            if type(self.optimizer) in _FUSED:
                self._fuse()
        if self.schedule:
            self.schedule.step()

    def _fuse(self) -> None:
        """Call torch's kernels without its loop over tensors, which counts each one's steps."""
        groups = self.optimizer.param_groups
        if not all(group["fused"] for group in groups):
            return
        for group in groups:
            views = group["params"]
            states = [self.optimizer.state[view] for view in views]
            n_steps = states[0]["step"].clone()
            for state in states:
                state["step"] = n_steps
            moments = [
                [state[name] for state in states if name in state]
                for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
            ]
            gradients = [view.grad for view in views]
            self.fused.append((group, [views, gradients, *moments, [n_steps] * len(views)]))

    def state(self, i: int) -> dict[int, dict[str, Any]]:
        """What the optimiser of network i is left with."""
        state: dict[int, dict[str, Any]] = {}
        for index, rows, view in self.places:
            if i in rows:
                state[index] = {
                    name: copy.deepcopy(value[i - rows.start] if _is_of_weights(value) else value)
                    for name, value in self.optimizer.state[view].items()
                }
        return state


def _is_of_weights(value: Any) -> bool:
    """Whether a part of an optimiser's state has a number for each weight."""
    return isinstance(value, Tensor) and value.ndim > 0
