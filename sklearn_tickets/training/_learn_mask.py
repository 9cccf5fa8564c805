"""`LearnMask`: a skorch callback that trains gates, with or without the weights."""

import math
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_tickets._network import plain_module
from sklearn_tickets.training._batches import n_batches
from sklearn_tickets.training._gates import Gates
from sklearn_tickets.training._layout import Layout
from sklearn_tickets.training._weighted_loss import parts


class _GatedLoss(nn.Module):
    """The criterion as computed by the gates."""

    criterion: Any

    def __init__(self, gates: Gates, criterion: nn.Module) -> None:
        super().__init__()
        self.gates, self.criterion = gates, criterion

    @property
    def reduction(self) -> str:
        """What the criterion does with the losses of rows; it is set where rows have weights."""
        return self.criterion.reduction

    @reduction.setter
    def reduction(self, reduction: str) -> None:
        self.criterion.reduction = reduction

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        return self.gates.loss(self.criterion, output, y)


class LearnMask(Callback):
    """Multiply the parameters of a skorch net by gates, and train the gates.

    During a batch the module's parameters are multiplied by their gates in place. By the
    chain rule, the gradients of the products yield those of the scores and the weights.
    Parameter names and the net's optimizer, callbacks and schedules do not change. Gates of
    parameters that the layout's mask prunes stay closed.

    Parameters
    ----------
    gates : Gates
        The gates, trained in place.
    layout : Layout
        Maps gates to parameters.
    lr : float
        Learning rate of the scores, with cosine annealing.
    n_epochs : int
        Number of epochs of the training.
    frozen : bool
        Whether the net's parameters are frozen.
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
        """Wrap the criterion, and make the optimizer of the gates."""
        parameters = dict(plain_module(net.module_).named_parameters())
        self.gated_ = {name: parameters[name] for name in self.layout.names}
        self.is_gated_ = False
        self.buffer_ = self.layout.join(self.gated_).detach()
        self.views_ = list(self.layout.split(self.buffer_).values())
        if self.layout.pruned.any():
            self.gates.close_(self.layout.pruned.to(self.buffer_.device))
        self.criterion_ = net.criterion_
        net.criterion_ = _GatedLoss(self.gates, self.criterion_)
        n_steps = self.n_epochs * n_batches(net, X, y)
        self.optimizer_ = self.gates.optimizer(self.lr)
        self.schedule_ = CosineAnnealingLR(self.optimizer_, n_steps)
        self.epoch_ = 0

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Update the schedules of the gates."""
        self.epoch_ += 1
        self.gates.begin_epoch(self.epoch_, self.n_epochs)

    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Multiply the parameters by their gates."""
        self.gates.begin_batch(net, parts(batch[0])[0])
        self.weights_ = self.layout.join(self.gated_).detach()
        self.gate_ = self.gates() if training else self.gates.expected()
        self._set(self.weights_ * self.gate_.detach())
        self.is_gated_ = True

    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Pass the gradients on to the scores and the weights."""
        if not self.is_gated_:
            raise ValueError(
                f"The mask learns once in a step, but optimizer={type(net.optimizer_).__name__} of "
                "estimator evaluates the loss several times. Use another, such as Adam."
            )
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
                f"The gradient of the mask's scores is not finite in epoch {self.epoch_}: training "
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

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Restore the weights after a validation batch."""
        if training and self.is_gated_:
            raise ValueError(
                f"train_step of estimator={type(net).__name__} did not notify callbacks of the "
                "gradients of a batch (on_grad_computed), from which the mask learns. Accumulate "
                "no gradients; raise batch_size."
            )
        self._put_back()

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Restore the net's criterion and weights."""
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
