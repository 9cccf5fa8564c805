"""`Stack`: train many tickets of the same architecture as one network.

Weights are stacked along a new first axis, and a step of the whole stack does to each network
what a step of its own would do: where it can be had, with the same bits. Rounding errors grow
in training, and in the end they would decide about some of the predictions.
"""

import copy
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from skorch import NeuralNet
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR
from torch.overrides import TorchFunctionMode

from sklearn_tickets._mask import TicketMask
from sklearn_tickets._train import _ArrayBatches

# Numbers that a processor's widest registers hold.
_VECTOR = 16
# A step runs faster when all its operations are known; to record them takes as long as many steps.
_TRACE_AFTER = 50
# torch changes its own classes while it records.
_TRACING = threading.Lock()


@dataclass(frozen=True)
class Trained:
    """What has become of one network of a stack.

    Attributes
    ----------
    weights : dict of str to Tensor
        By the parameters' names.
    losses : list of float
        Of every batch, in order.
    """

    weights: dict[str, Tensor]
    losses: list[float]


@dataclass(frozen=True)
class Training:
    """The training of one ticket, about to begin.

    Attributes
    ----------
    net : NeuralNet
        Initialised, at the weights to start from.
    mask : TicketMask
        What to keep of its module.
    batches : iterable
        The data.
    stream : Tensor
        The state of torch's random stream, from which the batches' order is drawn.
    epochs : int
        How many.
    settings : dict
        The optimiser's, learning rate included.
    schedule : {"one-cycle"} or None
        As of a pruner.
    key : bytes
        Equal for trainings that can be stacked.
    """

    net: NeuralNet
    mask: TicketMask
    batches: _ArrayBatches
    stream: Tensor
    epochs: int
    settings: dict[str, Any]
    schedule: str | None
    key: bytes

    @property
    def n_bytes(self) -> int:
        """Memory that a stack takes for it.

        Twice the data and five times the weights: with gradients, two moments, and the mask.
        """
        weights = sum(p.nbytes for p in self.net.module_.parameters())
        return 5 * weights + 2 * (self.batches.X.nbytes + self.batches.y.nbytes)


def skeleton(module: nn.Module) -> nn.Module:
    """A copy of a module in training mode, without the numbers in its parameters and buffers."""
    return copy.deepcopy(module).to("meta").train()


class Stack:
    """Networks that differ in nothing but weights, masks, data, seeds, and optimiser settings.

    Parameters
    ----------
    trainings : sequence of Training
        Of the same `key`; fastest if those of the same `settings` are side by side.
    """

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.trainings = trainings
        self.first = trainings[0]
        self.skeleton = skeleton(self.first.net.module_)
        modules = [t.net.module_ for t in trainings]
        parameters = [dict(module.named_parameters()) for module in modules]
        self.weights = {
            name: torch.stack([own[name].detach() for own in parameters]).requires_grad_(
                parameter.requires_grad
            )
            for name, parameter in parameters[0].items()
        }
        buffers = [dict(module.named_buffers()) for module in modules]
        self.buffers = {name: torch.stack([own[name] for own in buffers]) for name in buffers[0]}

    def step(self, weights: dict[str, Tensor], X: Tensor, y: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute the networks' losses on batches of their own, and the losses' gradients."""
        with _StackedLinears():
            losses = vmap(self._loss)(weights, self.buffers, X, y)
        trained = [weight for weight in weights.values() if weight.requires_grad]
        return losses.detach(), [*torch.autograd.grad(losses.sum(), trained)]

    def _loss(self, weights, buffers, X, y):
        outputs = functional_call(self.skeleton, weights | buffers, (X,))
        return self.first.net.criterion_(outputs, y)

    def train(self) -> list[Trained]:
        """Train all networks; the nets that they come from stay as they are."""
        first, batches = self.first, self.first.batches
        weights = [weight for weight in self.weights.values() if weight.requires_grad]
        gradients = [torch.empty_like(weight) for weight in weights]
        optimizer = self._optimizer(weights, gradients)
        schedule = first.schedule and OneCycleLR(
            optimizer,
            max_lr=[group["lr"] for group in optimizer.param_groups],
            total_steps=first.epochs * len(batches),
            cycle_momentum=False,
        )
        held, factors = [], []
        for name, weight in self.weights.items():
            if any(name in t.mask for t in self.trainings):
                all_kept = torch.ones(weight.shape[1:], dtype=torch.bool)
                masks = [t.mask.get(name, all_kept) for t in self.trainings]
                held.append(weight)
                factors.append(torch.stack(masks).to(weight))
        streams = [torch.Generator().set_state(t.stream) for t in self.trainings]
        in_order = torch.arange(len(batches.X))
        calls: Counter[int] = Counter()
        steps: dict[int, Callable] = {}
        losses = []
        for _ in range(first.epochs):
            orders = [
                torch.randperm(len(in_order), generator=stream) if batches.shuffle else in_order
                for stream in streams
            ]
            drawn = [*zip(self.trainings, orders, strict=True)]
            X = torch.stack([t.batches.X[order] for t, order in drawn]).to(first.net.device)
            y = torch.stack([t.batches.y[order] for t, order in drawn]).to(first.net.device)
            size = batches.batch_size
            for batch in zip(X.split(size, dim=1), y.split(size, dim=1), strict=True):
                n_rows = batch[0].shape[1]
                calls[n_rows] += 1
                if calls[n_rows] == _TRACE_AFTER:
                    with _TRACING:
                        steps[n_rows] = make_fx(lambda w, X, y: self.step(w, X, y))(
                            self.weights, *batch
                        )
                if n_rows in steps:
                    with torch.no_grad():
                        loss, gradient = steps[n_rows](self.weights, *batch)
                else:
                    loss, gradient = self.step(self.weights, *batch)
                torch._foreach_copy_(gradients, gradient)
                optimizer.step()
                with torch.no_grad():
                    torch._foreach_mul_(held, factors)
                if schedule:
                    schedule.step()
                losses.append(loss)
        return [
            Trained({name: weight[i].detach() for name, weight in self.weights.items()}, row)
            for i, row in enumerate(torch.stack(losses, dim=1).tolist())
        ]

    def _optimizer(self, weights: list[Tensor], gradients: list[Tensor]) -> Optimizer:
        """One optimiser of views into the stack, with a group for each of its settings.

        Fused optimisers round the last numbers of a tensor, which fill no register, in another
        way. Where there are such, every network's are a tensor of their own.
        """
        groups, start = [], 0
        for settings, alike in groupby(t.settings for t in self.trainings):
            stop = start + len([*alike])
            views = []
            for weight, gradient in zip(weights, gradients, strict=True):
                has_rest = settings.get("fused") and weight[0].numel() % _VECTOR
                step = 1 if has_rest else stop - start
                for i in range(start, stop, step):
                    view = weight.detach()[i : i + step]
                    view.grad = gradient[i : i + step]
                    views.append(view)
            groups.append({"params": views} | settings)
            start = stop
        return type(self.first.net.optimizer_)(groups)


class _StackedLinear(torch.autograd.Function):
    """A linear layer of each network, with the matrix products that it has on its own."""

    @staticmethod
    def forward(X, weight, bias):
        return torch.baddbmm(bias, X, weight.mT)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx, gradient):
        X, weight = ctx.saved_tensors
        needs_X, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            torch.bmm(gradient, weight) if needs_X else None,
            torch.bmm(gradient.mT, X) if needs_weight else None,
            gradient.sum(dim=1, keepdim=True) if needs_bias else None,
        )

    @staticmethod
    def vmap(info, in_dims, *layer):
        X, weight, bias = (
            values.expand(info.batch_size, *values.shape) if dim is None else values.movedim(dim, 0)
            for values, dim in zip(layer, in_dims, strict=True)
        )
        if 1 in X.shape[1:] or 1 in weight.shape[1:]:
            # Products with a vector have algorithms of their own.
            layers = zip(X, weight, bias, strict=True)
            return torch.stack([nn.functional.linear(*layer) for layer in layers]), 0
        return _StackedLinear.apply(X, weight, bias[:, None]), 0


class _StackedLinears(TorchFunctionMode):
    """Replace the linear layers that are called in a block."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is nn.functional.linear and [getattr(a, "ndim", 0) for a in args] == [2, 2, 1]:
            return _StackedLinear.apply(*args)
        return func(*args, **(kwargs or {}))
