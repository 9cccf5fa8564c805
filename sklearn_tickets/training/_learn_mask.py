"""`LearnMask`: a skorch callback that trains gates, with or without the weights."""

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_tickets._network import evaluating, plain_module
from sklearn_tickets.training._batches import n_batches
from sklearn_tickets.training._gates import Gates, Gating
from sklearn_tickets.training._mask_learner import MaskLearner


class GatedLoss(nn.Module):
    """The criterion as computed by the gates.

    Parameters
    ----------
    gates : Gates
        The gates, or any with the same `Gates.loss`.
    criterion : torch.nn.Module
        The net's criterion.
    dense : Tensor of shape (n_samples, ...) or None, default=None
        Targets in place of the labels.
    """

    criterion: Any

    def __init__(
        self,
        gates: Gates,
        criterion: nn.Module,
        dense: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.gates, self.criterion, self.dense = gates, criterion, dense

    @property
    def _orig_mod(self) -> nn.Module:
        """The criterion, by the name under which skorch finds what it implies for predictions."""
        return plain_module(self.criterion)

    @property
    def reduction(self) -> str:
        """What the criterion does with the losses of rows; it is set where rows have weights."""
        return self.criterion.reduction

    @reduction.setter
    def reduction(self, reduction: str) -> None:
        self.criterion.reduction = reduction

    def forward(self, output: Tensor, y: Tensor) -> Tensor:
        """Compute the loss."""
        return self.gates.loss(self.criterion, output, y if self.dense is None else self.dense)


class LearnMask(Callback):
    """Multiply the parameters of a skorch net by gates, and train the gates.

    During a batch the module's parameters are multiplied by their gates in place, so parameter
    names and the net's optimizer, callbacks and schedules do not change. Whatever a callback makes
    the net predict meanwhile, such as ``EpochScoring``, is predicted with the gates of evaluation.

    Parameters
    ----------
    learner : MaskLearner
        Trains the gates.
    """

    def __init__(self, learner: MaskLearner) -> None:
        self.learner = learner

    def on_train_begin(self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any) -> None:
        """Wrap the criterion and the inference, and begin to learn."""
        parameters = dict(plain_module(net.module_).named_parameters())
        layout = self.learner.layout
        self.gated_: list[Tensor] = [parameters[name] for name in layout.names]
        # As vectors, all parameters are one operation, and views of them are made once.
        vectors = layout.join(parameters).detach().expand(3, -1).clone()
        self.weights_, self.products_, self.by_product_ = vectors
        self.each_weight_, self.each_product_, self.each_gradient_ = (
            [*layout.split(vector).values()] for vector in vectors
        )
        self.frozen_ = [*net.module_.parameters()] if self.learner.frozen else []
        self.is_gated_ = False
        self.learner.begin(n_batches(net, X, y))
        gates = self.learner.gates
        self.criterion_ = net.criterion_
        if gates.imitates or type(gates).loss is not Gates.loss:
            net.criterion_ = GatedLoss(gates, self.criterion_)
        self.infer_ = net.infer
        net.infer = self._infer

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Update the schedules of the gates."""
        self.learner.begin_epoch()

    @torch.no_grad()
    def on_batch_begin(
        self, net: NeuralNet, batch: Any = None, training: bool = False, **kwargs: Any
    ) -> None:
        """Multiply the parameters by their gates."""
        gates = self.learner.gates
        if gates.imitates:
            with evaluating(net.module_):
                net.criterion_.dense = self.infer_(batch[0])
        self.gating_ = gates() if training else Gating(gates.expected())
        self._multiply(self.gating_.gate)

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Pass the gradients on to the scores and the weights."""
        if not self.is_gated_:
            raise ValueError(
                f"The mask learns once in a step, but optimizer={type(net.optimizer_).__name__} of "
                "estimator evaluates the loss several times. Use another, such as Adam."
            )
        learner, log_scale = self.learner, self.learner.gates.log_scale
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.gated_]
        torch._foreach_copy_(self.each_gradient_, gradients)
        by_scale = None if log_scale is None else log_scale.grad
        if not learner.learn(self.by_product_ * self.weights_, self.gating_, by_scale):
            raise ValueError(
                f"The gradient of the mask's scores is not finite in epoch {learner.epoch}: "
                f"training diverges. Lower mask_lr={learner.lr!r} or estimator's learning rate "
                f"(lr={net.lr!r}), or scale X."
            )
        if log_scale is not None:
            log_scale.grad = None
        for parameter in self.frozen_:
            parameter.grad = None
        if not learner.frozen:
            self.by_product_ *= self.gating_.gate
            torch._foreach_copy_(gradients, self.each_gradient_)
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
        """Restore the net's criterion, inference and weights."""
        self._put_back()
        net.criterion_ = self.criterion_
        del net.infer
        if net.infer != self.infer_:  # It takes weights from the inputs.
            net.infer = self.infer_

    def _infer(self, X: Any, **fit_params: Any) -> Tensor:
        """Compute the outputs of the network with gates, times the learned factors."""
        # Other than a step, a prediction takes no gradients.
        is_prediction = not (self.is_gated_ or torch.is_grad_enabled())
        if is_prediction:
            self._multiply(self.learner.gates.expected())
        try:
            output: Tensor = self.infer_(X, **fit_params)
        finally:
            if is_prediction:
                self._put_back()
        log_scale = self.learner.gates.log_scale
        return output if log_scale is None else output * log_scale.exp()

    def _multiply(self, gate: Tensor) -> None:
        if not self.learner.frozen:  # Frozen ones are as they were when training began.
            torch._foreach_copy_(self.each_weight_, self.gated_)
        torch.mul(self.weights_, gate, out=self.products_)
        torch._foreach_copy_(self.gated_, self.each_product_)
        self.is_gated_ = True

    @torch.no_grad()
    def _put_back(self) -> None:
        if self.is_gated_:
            torch._foreach_copy_(self.gated_, self.each_weight_)
            self.is_gated_ = False
