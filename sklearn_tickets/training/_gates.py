"""`Gates`: differentiable masks with learned scores, and penalties on open gates."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor

from sklearn_tickets.training._fused_optimizers import FusedAdam, FusedOptimizer

# A criterion, or a function (output, target) -> loss.
Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]

# A score at which every gate is closed and has no gradient.
_CLOSED = -1e3


class Gating(NamedTuple):
    """The gates of one training step, and what their scores learn from.

    Parameters
    ----------
    gate : Tensor of shape (n_parameters,)
        The factors on the parameters.
    slope : Tensor of shape (n_parameters,) or None, default=None
        The derivative of each gate by its score. None passes gradients straight through, as 1
        would.
    pull : Tensor of shape (n_parameters,) or None, default=None
        The gradient of the penalty; None if nothing is penalized.
    """

    gate: Tensor
    slope: Tensor | None = None
    pull: Tensor | None = None


@dataclass(eq=False, kw_only=True)
class Gates:
    """Factors on the parameters of a network, each a function of a learned score.

    Calling an instance returns the gates of one training step. `MaskLearner` trains them.

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
    # Whether the targets are the outputs of the network without gates, in evaluation mode.
    imitates: ClassVar[bool] = False

    scores: Tensor = field(kw_only=False)
    log_scale: Tensor | None = field(default=None, init=False)
    closed: Tensor | None = field(default=None, init=False)

    def optimizer(self) -> FusedOptimizer:
        """Make the optimizer of the scores and the output factors.

        Returns
        -------
        optimizer : FusedOptimizer
            It trains the scores, and `log_scale` unless it is None.
        """
        return FusedAdam(self.learned)

    @property
    def learned(self) -> list[Tensor]:
        """The scores, and the logarithms of the output factors if there are any."""
        return [self.scores] if self.log_scale is None else [self.scores, self.log_scale]

    def begin_round(self, density: float | None) -> None:
        """Prepare for another round.

        Parameters
        ----------
        density : float or None
            The target density of the round.
        """

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

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        """Open the gates for a training step.

        Parameters
        ----------
        generator : torch.Generator or None, default=None
            The source of random gates; None for torch's own.

        Returns
        -------
        gating : Gating
            The gates, their slopes, and the gradient of the penalty.
        """
        raise NotImplementedError

    def uniform(self, generator: torch.Generator | None) -> Tensor:
        """Draw a number from 0 to 1 for each score.

        Parameters
        ----------
        generator : torch.Generator or None
            As given to the call.

        Returns
        -------
        numbers : Tensor of shape (n_parameters,)
            A new tensor.
        """
        return torch.empty_like(self.scores).uniform_(generator=generator)

    def expected(self) -> Tensor:
        """Compute the gates without randomness.

        Returns
        -------
        gates : Tensor of shape (n_parameters,)
            Those of evaluation.
        """
        return self().gate

    def loss(self, criterion: Loss, output: Tensor, target: Tensor) -> Tensor:
        """Compute the loss without penalties.

        Parameters
        ----------
        criterion : callable (output, target) -> Tensor
            The net's criterion.
        output : Tensor
            Output of the gated module, times the learned factors.
        target : Tensor
            The labels or, if the class `imitates`, the output of the module without gates.

        Returns
        -------
        loss : Tensor of shape ()
            The criterion by default.
        """
        return criterion(output, target)

    def balance(self, task: Tensor, pull: Tensor) -> Tensor:
        """Join the gradients of the loss and of the penalty.

        Parameters
        ----------
        task : Tensor of shape (n_parameters,)
            The gradient of the loss with respect to the scores.
        pull : Tensor of shape (n_parameters,)
            That of the penalty.

        Returns
        -------
        gradient : Tensor of shape (n_parameters,)
            Their sum by default.
        """
        return task + pull

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

    def begin_round(self, density: float | None) -> None:
        """Prepare for another round, with a new density."""
        self.density = density

    def is_penalized(self, openness: float) -> bool:
        """Whether the gates are more open than is free.

        Parameters
        ----------
        openness : float
            The mean openness.

        Returns
        -------
        is_penalized : bool
            False without a penalty.
        """
        return self.penalty > 0 and openness > (self.density or 0.0)

    def pull(self, openness: Tensor, slope: Tensor, scale: float = 1.0) -> Tensor | None:
        """Compute the gradient of the penalty.

        Parameters
        ----------
        openness : Tensor of shape (n_parameters,)
            How open each gate is, or the probability that it is open.
        slope : Tensor of shape (n_parameters,)
            The derivative of each gate by its score.
        scale : float, default=1.0
            How many times that of the openness this is.

        Returns
        -------
        pull : Tensor of shape (n_parameters,) or None
            None if nothing is penalized.
        """
        if not self.is_penalized(openness.mean().item()):
            return None
        return slope * (self.penalty / len(slope) / scale)
