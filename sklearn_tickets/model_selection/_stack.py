"""`Stack`: train many networks of the same architecture as one.

Weights are stacked along a new first axis. A step of the whole stack changes each network as a
step of its own would, bit for bit where possible: rounding errors grow in training, and would
change some predictions in the end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx

from sklearn_tickets._network import TRACING, functional_call
from sklearn_tickets.model_selection._member import Member, is_scored, is_watched, skeleton
from sklearn_tickets.model_selection._optimizer import StackedOptimizer
from sklearn_tickets.model_selection._stacked_linear import StackedLinears
from sklearn_tickets.training import MaskLearner, weighted_loss

# A recorded step runs faster, but recording takes as long as many steps.
_RECORD_FROM = 150


@dataclass(frozen=True)
class Trained:
    """The result of a training in a stack.

    Attributes
    ----------
    states : list of dict of str to Tensor
        The weights and buffers by name: at the end of each epoch if the network is watched,
        otherwise only at the end of the last one.
    state : dict of int to dict
        The state of the optimizer.
    settings : dict
        Its settings at the end, such as the learning rate that a schedule has left.
    stream : Tensor
        The state of the random stream.
    losses : list of float
        The losses of all batches, in order.
    scored : list of (Tensor, Tensor)
        The targets and outputs of all batches, in order, if training rows are scored.
    learners : list of MaskLearner, default=[]
        The gates of the network, if there are any, when it had each of the states.
    """

    states: list[dict[str, Tensor]]
    state: dict[int, dict[str, Any]]
    settings: dict[str, Any]
    stream: Tensor
    losses: list[float]
    scored: list[tuple[Tensor, Tensor]]
    learners: list[MaskLearner] = field(default_factory=list)


class Stack:
    """Networks that differ only in weights, masks, data, seeds and optimizer settings.

    Parameters
    ----------
    members : sequence of Member
        Trainings with the same `key`. Training is fastest if equal `settings` are side by side.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = members
        self.first = members[0]
        self.skeleton = skeleton(self.first.net.module_)
        self.criterion = self.first.net.criterion_
        modules = [member.net.module_ for member in members]
        parameters = [dict(module.named_parameters()) for module in modules]
        self.weights = {
            name: torch.stack([own[name].detach() for own in parameters]).requires_grad_(
                parameter.requires_grad
            )
            for name, parameter in parameters[0].items()
        }
        self.trained = {
            index: weight
            for index, weight in enumerate(self.weights.values())
            if weight.requires_grad
        }
        buffers = [dict(module.named_buffers()) for module in modules]
        self.buffers = {name: torch.stack([own[name] for own in buffers]) for name in buffers[0]}
        self.streams = [torch.Generator().set_state(member.stream) for member in members]
        n_rows = [len(member.batches.X) for member in members]
        changes = [i for i, pair in enumerate(pairwise(n_rows), 1) if len({*pair}) > 1]
        # The networks whose last batches have the same number of rows.
        self.parts = [slice(*ends) for ends in pairwise([0, *changes, len(members)])]
        self.is_watched = any(is_watched(member.training) for member in members)

    def step(self, *tensors: Tensor) -> list[Tensor]:
        """Compute the loss of each network on its own batch, the outputs and the gradients.

        The tensors are those of the batch (X, y and sample weights, if any), then the networks'
        weights and buffers. Buffers are changed in place, as by batch normalization.
        """
        n_batch = len(tensors) - len(self.weights) - len(self.buffers)
        batch, states = tensors[:n_batch], tensors[n_batch:]
        named = dict(zip([*self.weights, *self.buffers], states, strict=True))
        with StackedLinears():
            losses, outputs = vmap(self._loss)(named, *batch)
        weights = states[: len(self.weights)]
        trained = [weight for weight in weights if weight.requires_grad]
        slopes = torch.autograd.grad(losses.sum(), trained)
        return [losses.detach(), outputs.detach(), *slopes]

    def _loss(
        self, state: dict[str, Tensor], X: Tensor, y: Tensor, *sample_weight: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss of one network, and its outputs."""
        outputs, criterion = self._outputs(state, X), self.criterion
        if not sample_weight:
            return criterion(outputs, y), outputs
        return weighted_loss(criterion, outputs, y, *sample_weight), outputs

    def _outputs(self, state: dict[str, Tensor], X: Tensor) -> Tensor:
        """Compute the outputs of one network."""
        return functional_call(self.skeleton, state, X)

    def train(self) -> list[Trained | None]:
        """Train all networks. The nets of the members are not changed.

        Returns
        -------
        trained : list of (Trained or None)
            The results; None for a network that diverged, which is to be trained alone.
        """
        optimizer = StackedOptimizer(self.members, self.trained)
        held, factors = self._masks()
        penalized = self._penalties()
        losses, ends, scored = [], [], []
        compute = self._compute()
        named = self.weights | self.buffers
        for _ in range(self.first.training.n_epochs):
            for batch in self._batches():
                loss, outputs, gradients = self._gradients(compute, batch)
                with torch.no_grad():
                    for index, weight, strength in penalized:
                        gradients[index] = gradients[index].addcmul(weight.sign(), strength)
                    if gradients:
                        optimizer.step(gradients)
                    torch._foreach_mul_(held, factors)
                losses.append(loss)
                if is_scored(self.first.training):
                    parts = batch if isinstance(batch, list) else [batch]
                    scored.append(([*chain(*(targets for _, targets in parts))], outputs))
            if self.is_watched:
                ends.append({name: value.detach().clone() for name, value in named.items()})
        return [
            Trained(
                [
                    {name: value[i].detach() for name, value in end.items()}
                    for end in ends or [named]
                ],
                optimizer.state(i),
                optimizer.settings(i),
                self.streams[i].get_state(),
                row,
                [(targets[i], outputs[i]) for targets, outputs in scored],
            )
            for i, row in enumerate(torch.stack(losses, dim=1).tolist())
        ]

    def _gradients(
        self, compute: Callable[..., list[Any]], batch: Sequence[Any]
    ) -> tuple[Tensor, Any, dict[int, Tensor]]:
        """Compute losses, outputs, and the gradients of the weights to train by their indices."""
        loss, outputs, *slopes = compute(batch, self.weights.values())
        # Fused optimizers need contiguous memory.
        contiguous = (slope.contiguous() for slope in slopes)
        return loss, outputs, dict(zip(self.trained, contiguous, strict=True))

    def _masks(self) -> tuple[list[Tensor], list[Tensor]]:
        """Collect the weights that a mask covers, and the factors that hold the masks."""
        held, factors = [], []
        for name, weight in self.weights.items():
            if any(name in member.mask for member in self.members):
                all_kept = torch.ones(weight.shape[1:], dtype=torch.bool)
                masks = [member.mask.get(name, all_kept) for member in self.members]
                held.append(weight)
                factors.append(torch.stack(masks).to(weight))
        return held, factors

    def _penalties(self) -> list[tuple[int, Tensor, Tensor]]:
        """Collect the weights with a penalty, their indices, and the strength per network."""
        penalized = []
        penalties = [member.training.penalty for member in self.members]
        for index, (name, weight) in enumerate(self.weights.items()):
            strengths = [p.l1 if p is not None and name in p.names else 0.0 for p in penalties]
            if any(strengths) and weight.requires_grad:
                strength = torch.tensor(strengths).to(weight).view(-1, *[1] * (weight.ndim - 1))
                penalized.append((index, weight.detach(), strength))
        return penalized

    def with_targets(self, batch: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return a batch with the targets that the loss compares outputs with."""
        return tuple(batch)

    def _batches(self) -> Iterator[Any]:
        """Yield the batches of an epoch, with a separate order for each network.

        If the last has several parts, with numbers of rows of their own, these are a list.
        """
        first, device = self.first.batches, self.first.net.device
        ordered = []
        for member, stream in zip(self.members, self.streams, strict=True):
            tensors = member.batches.tensors
            if first.shuffle:
                order = torch.randperm(len(tensors[0]), generator=stream)
                tensors = tuple(own[order] for own in tensors)
            ordered.append(tensors)

        def stack(part: slice, rows: slice) -> tuple[Tensor, ...]:
            kinds = zip(*ordered[part], strict=True)
            return tuple(torch.stack([own[rows] for own in kind]).to(device) for kind in kinds)

        last = (len(first) - 1) * first.batch_size
        before = stack(slice(None), slice(last))
        for start in range(0, last, first.batch_size):
            yield tuple(tensor[:, start : start + first.batch_size] for tensor in before)
        parts = [stack(part, slice(last, None)) for part in self.parts]
        yield parts if len(parts) > 1 else parts[0]

    def _compute(self) -> Callable[..., list[Any]]:
        """Return a version of `step` that is recorded for frequent batch sizes."""
        batches, n_epochs = self.first.batches, self.first.training.n_epochs
        n_full, n_rest = divmod(len(batches.X), batches.batch_size)
        n_steps = {batches.batch_size: n_full * n_epochs, n_rest: n_epochs}
        recorded: dict[int, GraphModule] = {}

        buffers = [*self.buffers.values()]

        def compute(batch: Sequence[Any], weights: Iterable[Tensor]) -> list[Any]:
            if isinstance(batch, list):
                states = *weights, *buffers
                pairs = zip(self.parts, batch, strict=True)
                found = [self.step(*own, *(s[part] for s in states)) for part, own in pairs]
                losses, outputs, *slopes = zip(*found, strict=True)
                return [torch.cat(losses), [*chain(*outputs)], *map(torch.cat, slopes)]
            n_rows = batch[0].shape[1]
            if n_steps[n_rows] < _RECORD_FROM:
                return self.step(*batch, *weights, *buffers)
            if n_rows not in recorded:
                # Fake tensors have no numbers, so that recording leaves the buffers alone.
                record = make_fx(self.step, tracing_mode="fake", _allow_non_fake_inputs=True)
                with TRACING:
                    traced = record(*batch, *weights, *buffers)
                recorded[n_rows] = _without_aliases(traced)
            with torch.no_grad():
                return recorded[n_rows](*batch, *weights, *buffers)

        return compute


def _without_aliases(recorded: GraphModule) -> GraphModule:
    """Remove the `detach` calls from a recorded step, which contains its gradients already."""
    for node in recorded.graph.nodes:
        if node.target is torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
    recorded.graph.eliminate_dead_code()
    recorded.recompile()
    return recorded
