"""`GatedStack`: train many networks as one while each learns its own mask."""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from sklearn_tickets._network import functional_call
from sklearn_tickets.model_selection._member import Member
from sklearn_tickets.model_selection._stack import Stack, Trained
from sklearn_tickets.model_selection._stacked_linear import StackedLinears
from sklearn_tickets.training import GatedLoss, Gating, MaskLearner

# The place of the output factors among the weights; no parameter has an empty name.
_LOG_SCALE = ""


class GatedStack(Stack):
    """Networks with gates in front of their weights.

    The stack computes the losses of the products of weights and gates, and their gradients. The
    rest is up to the `MaskLearner` of each network, which does what it does alone: it has its own
    scores, noise, schedules, penalty and learning rate.

    Parameters
    ----------
    members : sequence of Member
        Trainings with the same `key`, and with learners, which are not changed.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__(members)
        self.learners = [_copy(member.training.learner) for member in members]
        for member, learner in zip(members, self.learners, strict=True):
            learner.begin(len(member.batches))
        self.ends: list[list[MaskLearner]] = []
        self.has_diverged = [False] * len(members)
        self.layout = self.learners[0].layout
        self.gates = torch.stack([learner.gates.scores for learner in self.learners])
        self.factors = self.layout.split(self.gates)
        kind = self.learners[0].gates
        self.criterion = GatedLoss(kind, self.criterion)
        self.dense = copy.deepcopy(self.skeleton).eval() if kind.imitates else None
        self.has_scale = kind.log_scale is not None
        if self.has_scale:
            self.weights[_LOG_SCALE] = self._log_scales()

    def train(self) -> list[Trained | None]:
        """Train all networks; None for those that diverged."""
        found = super().train()
        learners = zip(*self.ends[:-1], self.learners, strict=True)
        results = zip(found, learners, self.has_diverged, strict=True)
        return [
            None if trained is None or has_diverged else replace(trained, learners=[*own])
            for trained, own, has_diverged in results
        ]

    def _batches(self) -> Iterator[tuple[Tensor, ...]]:
        """Begin an epoch, and yield its batches; keep the gates at its end if they are watched."""
        for learner in self.learners:
            learner.begin_epoch()
        yield from super()._batches()
        if self.is_watched:
            self.ends.append([*map(_keep, self.learners)])

    @torch.no_grad()
    def with_targets(self, batch: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Put the outputs without gates, in evaluation mode, in the place of the labels."""
        if self.dense is None:
            return tuple(batch)
        X, _, *sample_weight = batch
        infer = vmap(partial(functional_call, self.dense))
        with StackedLinears():
            return X, infer(self.weights | self.buffers, X), *sample_weight

    def _outputs(self, state: dict[str, Tensor], X: Tensor) -> Tensor:
        """Compute the outputs of one network, times its learned factors."""
        outputs = super()._outputs(state, X)
        return outputs * state[_LOG_SCALE].exp() if self.has_scale else outputs

    def _log_scales(self) -> Tensor:
        """Collect the logarithms of the factors of all outputs."""
        logs = [log for learner in self.learners for log in learner.gates.learned[1:]]
        return torch.stack(logs).detach().requires_grad_()

    def _gradients(
        self, compute: Callable[..., list[Tensor]], batch: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, dict[int, Tensor]]:
        """Compute losses, outputs and the gradients of the weights, and let the masks learn."""
        batch = self.with_targets(batch)
        pairs = zip(self.learners, self.streams, strict=True)
        gatings = [learner.gates(stream) for learner, stream in pairs]
        torch.stack([gating.gate for gating in gatings], out=self.gates)
        inputs = dict(self.weights)
        for name, factor in self.factors.items():
            product = self.weights[name].detach() * factor
            inputs[name] = product.requires_grad_(self.weights[name].requires_grad)
        if self.has_scale:
            inputs[_LOG_SCALE] = self._log_scales()
        loss, outputs, *found = compute(batch, inputs.values())
        slopes = dict(
            zip([n for n, each in inputs.items() if each.requires_grad], found, strict=True)
        )
        with torch.no_grad():
            self._learn(slopes, gatings)
            if self.learners[0].frozen:
                return loss, outputs, {}
            for name in self.factors.keys() & slopes:
                slopes[name] = slopes[name] * self.factors[name]
            names = [*self.weights]
            own = {index: slopes[names[index]].contiguous() for index in self.trained}
            return loss, outputs, own

    def _learn(self, slopes: dict[str, Tensor], gatings: Sequence[Gating]) -> None:
        """Pass the gradients of the products on to the learners."""
        by_gate = torch.cat(
            [
                (slopes[name] * self.weights[name] if name in slopes else 0 * factor).flatten(1)
                for name, factor in self.factors.items()
            ],
            dim=1,
        )
        by_scale = slopes.get(_LOG_SCALE, [None] * len(gatings))
        for i, own in enumerate(zip(by_gate, gatings, by_scale, strict=True)):
            self.has_diverged[i] |= not self.learners[i].learn(*own)


def _copy(learner: Any) -> MaskLearner:
    """Copy a learner, whose layout never changes."""
    copied: MaskLearner = copy.deepcopy(learner, {id(learner.layout): learner.layout})
    return copied


def _keep(learner: MaskLearner) -> MaskLearner:
    """Copy the gates of a learner, to evaluate them later."""
    kept = copy.copy(learner)
    kept.gates = copy.deepcopy(learner.gates, {id(learner.layout): learner.layout})
    return kept
