"""`Gates`: differentiable masks with learned scores, and penalties on open gates."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import torch
from skorch import NeuralNet
from torch import Tensor

# A criterion, or a function (output, target) -> loss.
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

# A score at which every gate is closed and has no gradient.
_CLOSED = -1e3


@dataclass(eq=False, kw_only=True)
class Gates:
    """Factors on the parameters that are a differentiable function of learned scores.

    Calling an instance returns the gates of one training step. `LearnMask` trains them.

    Parameters
    ----------
    scores : Tensor of shape (n_parameters,)
        Initial scores; parameters with higher scores are preferred.

    Attributes
    ----------
    log_scale : Tensor of shape (n_outputs,) or None
        Logarithms of factors on the outputs, learned with the scores; None for no factors.
    closed : bool Tensor of shape (n_parameters,) or None
        True for the gates that stay closed; None if there are none.
    """

    # If no density is given, parameters with higher scores are kept.
    threshold: ClassVar[float] = 0.0

    scores: Tensor = field(kw_only=False)
    log_scale: Tensor | None = field(default=None, init=False)
    closed: Tensor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.scores.requires_grad_()

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """Make the optimizer of the scores and the output factors.

        Parameters
        ----------
        lr : float
            The learning rate.

        Returns
        -------
        optimizer : Optimizer
            It trains the scores, and `log_scale` unless it is None.
        """
        learned = [self.scores] if self.log_scale is None else [self.scores, self.log_scale]
        return torch.optim.Adam(learned, lr=lr, fused=True)

    def begin_round(self, density: float | None) -> None:
        """Prepare for another round.

        Parameters
        ----------
        density : float or None
            The target density of the round.
        """

    @torch.no_grad()
    def close_(self, pruned: Tensor) -> None:
        """Close gates for a whole training, at its beginning.

        Parameters
        ----------
        pruned : bool Tensor of shape (n_parameters,)
            True for the parameters that are pruned already.
        """
        self.closed = pruned
        self.project_()

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        """Update schedules at the beginning of an epoch.

        Parameters
        ----------
        epoch : int
            The epoch, from 1.
        n_epochs : int
            The total number of epochs.
        """

    def begin_batch(self, net: NeuralNet, X: Any) -> None:
        """Inspect the net before its weights are gated.

        Parameters
        ----------
        net : NeuralNet
            The net in training.
        X : Tensor
            The inputs of the batch.
        """

    def __call__(self) -> Tensor:
        """Return the gates of a training step, differentiable with respect to the scores."""
        raise NotImplementedError

    def expected(self) -> Tensor:
        """Compute the gates without randomness.

        Returns
        -------
        gates : Tensor of shape (n_parameters,)
            Detached from the graph.
        """
        return self().detach()

    def loss(self, criterion: Loss, output: Tensor, y: Tensor) -> Tensor:
        """Compute the loss without penalties.

        Parameters
        ----------
        criterion : callable (output, target) -> Tensor
            The net's criterion.
        output : Tensor
            Output of the gated module.
        y : Tensor
            The targets.

        Returns
        -------
        loss : Tensor of shape ()
            By default, the criterion of the outputs times the learned factors.
        """
        return criterion(output if self.log_scale is None else output * self.log_scale.exp(), y)

    def gradient(self, task: Tensor) -> Tensor:
        """Compute the gradient with respect to the scores.

        Parameters
        ----------
        task : Tensor of shape (n_parameters,)
            The gradient of the loss.

        Returns
        -------
        gradient : Tensor of shape (n_parameters,)
            The gradient of the loss and the penalties.
        """
        return task

    def project_(self) -> None:
        """Project the scores onto their feasible set after a step, in place."""
        if self.closed is not None:
            self.scores.masked_fill_(self.closed, _CLOSED)


@dataclass(eq=False, kw_only=True)
class PenalizedGates(Gates):
    r"""Gates with a penalty on openness, :math:`\lambda \max(\mathrm{mean}(o) - \rho, 0)`.

    Parameters
    ----------
    scores : Tensor of shape (n_parameters,)
        Initial scores.
    penalty : float
        The weight of the penalty.
    density : float or None
        The mean openness that is not penalized; None for 0.
    """

    penalty: float
    density: float | None

    def openness(self) -> Tensor:
        """Compute how open each gate is, or the probability that it is open.

        Returns
        -------
        openness : Tensor of shape (n_parameters,)
            Differentiable with respect to the scores.
        """
        raise NotImplementedError

    def begin_round(self, density: float | None) -> None:
        """Prepare for another round, with a new density."""
        self.density = density

    def gradient(self, task: Tensor) -> Tensor:
        """Add the gradient of the penalty."""
        openness = self.openness().mean()
        if not self.penalty or openness <= (self.density or 0.0):
            return task
        (pull,) = torch.autograd.grad(openness, self.scores)
        return task.add(pull, alpha=self.penalty)
