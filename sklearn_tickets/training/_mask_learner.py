"""`MaskLearner`: the training of a network's gates, whoever computes the network's gradients."""

import math
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from sklearn_tickets.training._fused_optimizers import FusedOptimizer
from sklearn_tickets.training._gates import Gates, Gating
from sklearn_tickets.training._layout import Layout


@dataclass(eq=False)
class MaskLearner:
    r"""Train the gates of one network, step by step.

    The network runs with the products :math:`\theta = w \odot z(s)` of weights and gates. By the
    chain rule, the gradient by the products gives those of the scores and of the weights,

    .. math:: \frac{\partial L}{\partial s} = \frac{\partial L}{\partial \theta} \odot w \odot z',
              \qquad
              \frac{\partial L}{\partial w} = \frac{\partial L}{\partial \theta} \odot z.

    `LearnMask` does so in the training of a skorch net.

    Parameters
    ----------
    gates : Gates
        The gates, trained in place. Those of parameters that the layout's mask prunes stay closed.
    layout : Layout
        Maps gates to parameters.
    lr : float
        Learning rate of the scores, with cosine annealing.
    n_epochs : int
        Number of epochs of the training.
    frozen : bool
        Whether the network's parameters are frozen.

    Attributes
    ----------
    epoch : int
        The current epoch, from 1; 0 before the training.
    """

    gates: Gates
    layout: Layout
    lr: float
    n_epochs: int
    frozen: bool
    epoch: int = field(default=0, init=False)
    _step: int = field(default=0, init=False)
    _n_steps: int = field(default=0, init=False)
    _optimizer: FusedOptimizer = field(init=False)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Equal for learners whose networks can be computed together."""
        has_scale = self.gates.log_scale is not None
        return type(self.gates), tuple(self.layout.names), has_scale, self.frozen

    def begin(self, n_batches: int) -> None:
        """Begin the training, unless it has begun.

        Parameters
        ----------
        n_batches : int
            Number of steps in an epoch.
        """
        if self.epoch:
            return
        if self.layout.pruned.any():
            self.gates.close_(self.layout.pruned.to(self.gates.scores.device))
        self._n_steps = self.n_epochs * n_batches
        self._optimizer = self.gates.optimizer()

    def begin_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch += 1
        self.gates.begin_epoch(self.epoch, self.n_epochs)

    def learn(self, by_gate: Tensor, gating: Gating, by_scale: Tensor | None = None) -> bool:
        """Take a step of the scores and of the output factors.

        Parameters
        ----------
        by_gate : Tensor of shape (n_parameters,)
            The gradient of the loss with respect to the gates; it is overwritten.
        gating : Gating
            The gates of this step.
        by_scale : Tensor of shape (n_outputs,) or None, default=None
            The gradient of the loss with respect to the logarithms of the output factors; None
            if there are none.

        Returns
        -------
        has_learned : bool
            False if the gradient is not finite, and nothing was learned.
        """
        task = by_gate if gating.slope is None else by_gate.mul_(gating.slope)
        gradient = task if gating.pull is None else self.gates.balance(task, gating.pull)
        if not math.isfinite(gradient.sum().item()):
            return False
        rate = self.lr * (1 + math.cos(math.pi * self._step / self._n_steps)) / 2
        self._optimizer.step([gradient] if by_scale is None else [gradient, by_scale], rate)
        self._step += 1
        self.gates.project_()
        return True
