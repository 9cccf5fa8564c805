"""`Gates`: masks that are learned. Parameters pass through gates, whose scores are trained.

An algorithm is a `Gates`: scores, what they let through, and what they pay for it.
"""

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

    Calling it gives the gates of one training step.

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

    def loss(self, criterion: Loss, output: Tensor, y: Tensor) -> Tensor:
        """What is minimized, apart from penalties."""
        return criterion(output if self.log_scale is None else output * self.log_scale.exp(), y)

    def gradient(self, task: Tensor) -> Tensor:
        """The gradient by the scores: of the loss, which is given, and of penalties."""
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
        """How open each gate is, or how probably so, differentiable by the scores."""
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
