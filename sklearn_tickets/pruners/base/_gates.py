"""Masks that are learned: parameters pass through gates, and the gates' scores are trained.

An algorithm is a `Gates`: scores, what they let through, and what they pay for it.
`LearnMask` trains them beside a net, or instead of it.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask

# A score with which no gate is open, and to which no gradient passes.
_CLOSED = -1e3


class Layout:
    """All parameters that a mask covers as one vector, those that compete side by side.

    Parameters
    ----------
    mask : TicketMask
        Gives names and shapes.
    scope : {"global", "layer"}
        Which parameters compete.

    Attributes
    ----------
    names : list of str
        The parameters in the vector's order.
    groups : list of slice
        Where those that compete with each other lie.
    weights : list of slice
        Where each parameter with two or more axes lies.
    """

    def __init__(self, mask: TicketMask, scope: Literal["global", "layer"]) -> None:
        layers = mask.layers(scope)
        self.names = [name for names in layers for name in names]
        self._shapes = [mask[name].shape for name in self.names]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self.groups = _consecutive(
            sum(math.prod(mask[name].shape) for name in names) for names in layers
        )
        self.weights = [
            part
            for part, shape in zip(_consecutive(self._sizes), self._shapes, strict=True)
            if len(shape) > 1
        ]

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenate tensors into one vector."""
        return torch.cat([tensors[name].flatten() for name in self.names])

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Cut a vector into tensors, which are views."""
        parts = vector.split(self._sizes)
        return {n: part.view(s) for n, part, s in zip(self.names, parts, self._shapes, strict=True)}


def _consecutive(sizes: Iterable[int]) -> list[slice]:
    """Slices of these sizes, one after the other."""
    slices, start = [], 0
    for size in sizes:
        slices.append(slice(start, start + size))
        start += size
    return slices


class Gates:
    """How much of each parameter passes, as a differentiable function of learned scores.

    Calling it gives the gates of one training step.

    Parameters
    ----------
    scores : Tensor of shape (n_parameters,)
        Initial scores; the higher, the more likely kept.
    log_scale : Tensor of shape (n_outputs,) or None, default=None
        Logarithms of factors on the outputs, learned with the scores; None learns none.
    """

    # What scores above it belong to is kept, where no number of parameters is given.
    threshold = 0.0

    def __init__(self, scores: Tensor, log_scale: Tensor | None = None) -> None:
        self.scores = scores.requires_grad_()
        self.log_scale = None if log_scale is None else log_scale.requires_grad_()

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """What the scores, and the factors, are trained by."""
        learned = [self.scores] if self.log_scale is None else [self.scores, self.log_scale]
        return torch.optim.Adam(learned, lr=lr, fused=True)

    def begin_round(self, pruned: Tensor, density: float | None) -> None:
        """Go on after a round that has pruned these parameters, to this density."""
        with torch.no_grad():
            self.scores.masked_fill_(pruned, _CLOSED)

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        """Move schedules on; epochs count from 1."""

    def begin_batch(self, net: NeuralNet, X: Any) -> None:
        """Look at the net, its weights not yet gated."""

    def __call__(self) -> Tensor:
        """The gates of a training step, differentiable by the scores."""
        raise NotImplementedError

    def expected(self) -> Tensor:
        """The gates without chance."""
        return self().detach()

    def loss(self, criterion: nn.Module, output: Tensor, y: Tensor) -> Tensor:
        """What is minimized, apart from penalties."""
        return criterion(output if self.log_scale is None else output * self.log_scale.exp(), y)

    def gradient(self, task: Tensor) -> Tensor:
        """The gradient by the scores: of the loss, which is given, and of penalties."""
        return task

    def project_(self) -> None:
        """Return the scores to where they may be, after a step."""


class PenalizedGates(Gates):
    r"""Gates that pay for being open: :math:`\lambda \max(\mathrm{mean}(o) - \rho, 0)`.

    Parameters
    ----------
    scores : Tensor of shape (n_parameters,)
        Initial scores.
    penalty : float
        The penalty's weight.
    density : float or None
        What may be open for free; None is 0.
    log_scale : Tensor of shape (n_outputs,) or None, default=None
        As for `Gates`.
    """

    def __init__(
        self,
        scores: Tensor,
        penalty: float,
        density: float | None,
        log_scale: Tensor | None = None,
    ) -> None:
        super().__init__(scores, log_scale)
        self.penalty = penalty
        self.density = density or 0.0

    def openness(self) -> Tensor:
        """How open each gate is, or how probably so, differentiable by the scores."""
        raise NotImplementedError

    def begin_round(self, pruned: Tensor, density: float | None) -> None:
        """Go on, and pay for what is above the new density."""
        super().begin_round(pruned, density)
        self.density = density or 0.0

    def gradient(self, task: Tensor) -> Tensor:
        """Add the gradient of the penalty."""
        openness = self.openness().mean()
        if not self.penalty or openness <= self.density:
            return task
        (pull,) = torch.autograd.grad(openness, self.scores)
        return task.add(pull, alpha=self.penalty)


class _GatedLoss(nn.Module):
    """The criterion as the gates see it."""

    def __init__(self, gates: Gates, criterion: nn.Module) -> None:
        super().__init__()
        self.gates, self.criterion = gates, criterion

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        return self.gates.loss(self.criterion, output, y)


class LearnMask(Callback):
    """Run a skorch net through gates while it trains, and train the gates.

    In a batch the module's parameters are multiplied by their gates in place; the gradient
    by the products gives that by the scores and that by the weights (chain rule). The
    names of parameters, the net's optimizer, callbacks and schedules stay as they are.

    Parameters
    ----------
    gates : Gates
        Trained in place.
    layout : Layout
        Says which parameter each gate is for.
    lr : float
        Learning rate of the scores, annealed along a cosine.
    n_epochs : int
        Length of the training.
    frozen : bool
        Whether the net's own parameters stay as they are.
    """

    def __init__(
        self, gates: Gates, layout: Layout, *, lr: float, n_epochs: int, frozen: bool
    ) -> None:
        self.gates = gates
        self.layout = layout
        self.lr = lr
        self.n_epochs = n_epochs
        self.frozen = frozen

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Put the gates between outputs and criterion, and make their optimizer."""
        parameters = dict(plain_module(net.module_).named_parameters())
        self.gated_ = {name: parameters[name] for name in self.layout.names}
        self.is_gated_ = False
        self.buffer_ = self.layout.join(self.gated_).detach()
        self.views_ = list(self.layout.split(self.buffer_).values())
        self.criterion_ = net.criterion_
        net.criterion_ = _GatedLoss(self.gates, self.criterion_)
        dataset, _ = net.get_split_datasets(X, y)
        n_batches = len(net.get_iterator(dataset, training=True))
        self.optimizer_ = self.gates.optimizer(self.lr)
        self.schedule_ = CosineAnnealingLR(self.optimizer_, self.n_epochs * n_batches)
        self.epoch_ = 0

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Move on in the gates' schedules."""
        self.epoch_ += 1
        self.gates.begin_epoch(self.epoch_, self.n_epochs)

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Multiply the parameters by their gates."""
        self.gates.begin_batch(net, batch[0])
        self.weights_ = self.layout.join(self.gated_).detach()
        self.gate_ = self.gates() if training else self.gates.expected()
        self._set(self.weights_ * self.gate_.detach())
        self.is_gated_ = True

    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Hand the gradients on, to the scores and to the weights."""
        by_product = self.layout.join(
            {
                name: torch.zeros_like(p) if p.grad is None else p.grad
                for name, p in self.gated_.items()
            }
        )
        by_gate = by_product * self.weights_
        (task,) = torch.autograd.grad(self.gate_, self.gates.scores, by_gate)
        if not math.isfinite(task.sum()):
            raise ValueError(
                f"The gradient by the mask's scores is not finite in epoch {self.epoch_}: training "
                f"diverges. Lower mask_lr={self.lr!r} or estimator's learning rate (lr="
                f"{net.lr!r}), or scale X."
            )
        self.gates.scores.grad = self.gates.gradient(task)
        self.optimizer_.step()
        self.optimizer_.zero_grad()
        self.schedule_.step()
        with torch.no_grad():
            self.gates.project_()
        if self.frozen:
            for parameter in net.module_.parameters():
                parameter.grad = None
        else:
            by_weight = self.layout.split(by_product * self.gate_.detach())
            for name, parameter in self.gated_.items():
                parameter.grad = by_weight[name]
        self._put_back()

    def on_batch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Return the weights after a batch of validation."""
        self._put_back()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Leave the net with its own criterion and weights."""
        self._put_back()
        net.criterion_ = self.criterion_

    def _put_back(self) -> None:
        if self.is_gated_:
            self._set(self.weights_)
            self.is_gated_ = False

    @torch.no_grad()
    def _set(self, vector: Tensor) -> None:
        self.buffer_.copy_(vector)
        torch._foreach_copy_(list(self.gated_.values()), self.views_)


def with_a_foothold(scores: Tensor, weights: list[slice], above: float = 0.0) -> Tensor:
    """Put the best entry of each weight above all others, so that no layer is emptied."""
    tops = torch.stack([part.start + scores[part].argmax() for part in weights])
    return scores.index_fill(0, tops, scores.max().clamp(min=above) + 1)


def best(scores: Tensor, density: float) -> Tensor:
    """Mark the best-scored fraction, without sorting."""
    n_kept = max(1, round(density * scores.numel()))
    return scores >= scores.topk(n_kept, sorted=False).values.min()
