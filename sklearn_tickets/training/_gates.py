"""`Gates`: how much of each parameter passes, and what it pays for that."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import torch
from skorch import NeuralNet
from torch import Tensor

# A criterion, or a function (output, target) -> loss.
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

# A score with which no gate is open, and to which no gradient passes.
_CLOSED = -1e3


@dataclass(eq=False, kw_only=True)
class Gates:
    """How much of each parameter passes, as a differentiable function of learned scores.

    Calling it gives the gates of one training step. `LearnMask` trains them.

    Parameters
    ----------
    scores : Tensor of shape (n_parameters,)
        Initial scores; the higher, the more likely kept.

    Attributes
    ----------
    log_scale : Tensor of shape (n_outputs,) or None
        Logarithms of factors on the outputs, learned with the scores; None learns none.
    """

    # What scores above it belong to is kept, where no number of parameters is given.
    threshold: ClassVar[float] = 0.0

    scores: Tensor = field(kw_only=False)
    log_scale: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.scores.requires_grad_()

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """Make what the scores, and the factors, are trained by.

        Parameters
        ----------
        lr : float
            The learning rate.

        Returns
        -------
        optimizer : Optimizer
            Of the scores, and of `log_scale` unless it is None.
        """
        learned = [self.scores] if self.log_scale is None else [self.scores, self.log_scale]
        return torch.optim.Adam(learned, lr=lr, fused=True)

    def begin_round(self, pruned: Tensor, density: float | None) -> None:
        """Go on after a round.

        Parameters
        ----------
        pruned : bool Tensor of shape (n_parameters,)
            What the rounds so far have pruned.
        density : float or None
            The density that the next round aims at.
        """
        with torch.no_grad():
            self.scores.masked_fill_(pruned, _CLOSED)

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        """Move schedules on.

        Parameters
        ----------
        epoch : int
            The epoch that begins, from 1.
        n_epochs : int
            The number of epochs.
        """

    def begin_batch(self, net: NeuralNet, X: Any) -> None:
        """Look at the net, its weights not yet gated.

        Parameters
        ----------
        net : NeuralNet
            What is trained.
        X : Tensor
            The batch's inputs.
        """

    def __call__(self) -> Tensor:
        """The gates of a training step, differentiable by the scores."""
        raise NotImplementedError

    def expected(self) -> Tensor:
        """Compute the gates without chance.

        Returns
        -------
        gates : Tensor of shape (n_parameters,)
            Without a gradient.
        """
        return self().detach()

    def loss(self, criterion: Loss, output: Tensor, y: Tensor) -> Tensor:
        """Compute what is minimized, apart from penalties.

        Parameters
        ----------
        criterion : callable (output, target) -> Tensor
            The net's own.
        output : Tensor
            Of the gated module.
        y : Tensor
            The targets.

        Returns
        -------
        loss : Tensor of shape ()
            By default the criterion of the outputs times the learned factors.
        """
        return criterion(output if self.log_scale is None else output * self.log_scale.exp(), y)

    def gradient(self, task: Tensor) -> Tensor:
        """Compute the gradient by the scores.

        Parameters
        ----------
        task : Tensor of shape (n_parameters,)
            That of the loss.

        Returns
        -------
        gradient : Tensor of shape (n_parameters,)
            Of the loss and of penalties.
        """
        return task

    def project_(self) -> None:
        """Return the scores to where they may be, after a step."""


@dataclass(eq=False, kw_only=True)
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
    """

    penalty: float
    density: float | None

    def openness(self) -> Tensor:
        """Compute how open each gate is, or how probably so.

        Returns
        -------
        openness : Tensor of shape (n_parameters,)
            Differentiable by the scores.
        """
        raise NotImplementedError

    def begin_round(self, pruned: Tensor, density: float | None) -> None:
        """Go on, and pay for what is above the new density."""
        super().begin_round(pruned, density)
        self.density = density

    def gradient(self, task: Tensor) -> Tensor:
        """Add the gradient of the penalty."""
        openness = self.openness().mean()
        if not self.penalty or openness <= (self.density or 0.0):
            return task
        (pull,) = torch.autograd.grad(openness, self.scores)
        return task.add(pull, alpha=self.penalty)
