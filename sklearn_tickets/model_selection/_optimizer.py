"""`StackedOptimizer`: one optimizer for all networks in a stack."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW
from torch.optim.lr_scheduler import OneCycleLR

from sklearn_tickets.model_selection._member import Member

# How many numbers the widest registers of a processor hold.
_VECTOR = 16
_FUSED_OPTIONS = ("lr", "weight_decay", "eps", "amsgrad", "maximize")
_FUSED = {Adam: torch._fused_adam_, AdamW: torch._fused_adamw_}


@dataclass(frozen=True, eq=False)
class _View:
    """A parameter of some of the networks."""

    index: int
    rows: slice
    weight: Tensor
    # Where the gradient is copied to; None uses it where it is.
    gradient: Tensor | None


class StackedOptimizer:
    """An optimizer of views into stacked weights, with one group for each choice of settings.

    Fused optimizers round the last numbers of a tensor, which do not fill a register, in a
    different way. If a parameter has such numbers, each network's parameter is a tensor of its
    own.

    Parameters
    ----------
    members : sequence of Member
        The trainings. There are fewest groups if equal settings are side by side.
    weights : dict of int to Tensor of shape (n_members, ...)
        The weights, by the indices of the parameters in the optimizers.
    """

    def __init__(self, members: Sequence[Member], weights: dict[int, Tensor]) -> None:
        self.copies: dict[int, Tensor] = {}
        self.groups: list[list[_View]] = []
        groups, start = [], 0
        for settings, alike in groupby(member.settings for member in members):
            stop = start + len([*alike])
            views = []
            for index, weight in weights.items():
                has_rest = settings.get("fused") and weight[0].numel() % _VECTOR
                step = stop - start
                if has_rest and weight.device.type == "cpu":
                    self.copies.setdefault(index, torch.empty_like(weight))
                    step = 1
                for i in range(start, stop, step):
                    rows = slice(i, i + step)
                    copied = self.copies[index][rows] if index in self.copies else None
                    views.append(_View(index, rows, weight.detach()[rows], copied))
            self.groups.append(views)
            groups.append({"params": [view.weight for view in views]} | settings)
            start = stop
        training = members[0].training
        self.optimizer = type(training.net.optimizer_)(groups)
        for view in chain(*self.groups):
            states = [member.state.get(view.index, {}) for member in members[view.rows]]
            self.optimizer.state[view.weight] = {
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
        self.moments: list[list[list[Tensor]]] = []

    def step(self, gradients: dict[int, Tensor]) -> None:
        """Update all weights, and advance the schedule."""
        for index, gradient in self.copies.items():
            gradient.copy_(gradients[index])
        slopes = [
            [
                gradients[view.index][view.rows] if view.gradient is None else view.gradient
                for view in views
            ]
            for views in self.groups
        ]
        if self.moments:
            self._fused_step(slopes)
        else:
            for view, slope in zip(chain(*self.groups), chain(*slopes), strict=True):
                view.weight.grad = slope
            self.optimizer.step()
            if type(self.optimizer) in _FUSED:
                self._fuse()
        if self.schedule:
            self.schedule.step()

    def _fuse(self) -> None:
        """Call torch's kernels directly from now on.

        This skips torch's loops, which count the steps of each tensor.
        """
        groups = self.optimizer.param_groups
        if not all(group["fused"] for group in groups):
            return
        for group in groups:
            states = [self.optimizer.state[weight] for weight in group["params"]]
            n_steps = states[0]["step"].clone()
            for state in states:
                state["step"] = n_steps
            names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step")
            self.moments.append(
                [[state[name] for state in states if name in state] for name in names]
            )

    def _fused_step(self, slopes: list[list[Tensor]]) -> None:
        """Update all weights by torch's kernels."""
        kernel = _FUSED[type(self.optimizer)]
        groups = self.optimizer.param_groups
        for group, own, moments in zip(groups, slopes, self.moments, strict=True):
            moments[-1][0].add_(1)
            beta1, beta2 = group["betas"]
            options = {name: group[name] for name in _FUSED_OPTIONS}
            kernel(group["params"], own, *moments, beta1=beta1, beta2=beta2, **options)

    def state(self, i: int) -> dict[int, dict[str, Any]]:
        """Return the state of the optimizer of network i, in views of the stack's."""
        state: dict[int, dict[str, Any]] = {}
        for view in chain(*self.groups):
            if view.rows.start <= i < view.rows.stop:
                state[view.index] = {
                    name: value[i - view.rows.start] if _is_of_weights(value) else value
                    for name, value in self.optimizer.state[view.weight].items()
                }
        return state

    def settings(self, i: int) -> dict[str, Any]:
        """Return the settings of the optimizer of network i, such as the last learning rate."""
        [group] = [
            group
            for views, group in zip(self.groups, self.optimizer.param_groups, strict=True)
            if any(view.rows.start <= i < view.rows.stop for view in views)
        ]
        return {name: value for name, value in group.items() if name != "params"}


def _is_of_weights(value: Any) -> bool:
    """Whether an entry of an optimizer's state has one number per weight."""
    return isinstance(value, Tensor) and value.ndim > 0
