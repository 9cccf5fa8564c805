"""Continuous sparsification: train weights together with a soft mask that hardens."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Annotated

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from sklearn_tickets.pruners.base import JointGatesPruner
from sklearn_tickets.training import Gates, Gating, Layout, PenalizedGates


class ContinuousSparsificationPruner(JointGatesPruner):
    r"""Train the weights together with a soft mask that hardens (continuous sparsification).

    Every parameter w has a score s, and the network runs with

    .. math:: \theta = w \odot \frac{\sigma(\beta s)}{\sigma(s_0)}, \qquad
              \min_{w, s} L(\theta) + \lambda \, \mathrm{mean}(\sigma(\beta s)),

    without noise and without thresholds. In a round of T epochs the temperature rises,
    :math:`\beta = \beta_T^{(t - 1) / (T - 1)}` in epoch t, and the soft mask approaches
    :math:`1[s > 0]`, which is kept. The next round starts at
    :math:`s \leftarrow \min(\beta_T s, s_0)`: suppressed parameters stay suppressed, the
    scores of the others restart, and the weights are not rewound.

    With ``rewind_epoch=k`` the ticket is then trained from the weights after k epochs of
    the first round; with ``rewind_epoch=None`` the trained weights are fine-tuned. With
    ``sparsity=None`` the initial scores and the penalty determine how much is kept;
    otherwise the highest scores are kept. Parameters pruned after a round stay pruned.

    Parameters
    ----------
    <parameters>
    final_temperature : float > 1, default=200
        The temperature in the last epoch of a round.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    StochasticSparsificationPruner : Sample the mask instead.

    Notes
    -----
    The optimizer restarts between rounds. Scores are trained by Adam, where the paper uses
    SGD: within a few hundred steps, SGD hardly moves them.

    References
    ----------
    .. [1] Savarese, Silva and Maire, "Winning the lottery with continuous sparsification",
       NeurIPS 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import ContinuousSparsificationPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = ContinuousSparsificationPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    mask_lr = 0.003
    final_temperature: Annotated[float, Interval(Real, 1, None, closed="neither")] = 200.0

    def _gates(self, weights: Tensor, layout: Layout, density: float | None) -> Gates:
        return self._begin(SoftGates, weights, density, **self._soft())

    def _soft(self) -> dict[str, float]:
        """Return the settings of soft gates."""
        return {"initial": self.mask_init, "final_temperature": self.final_temperature}


@dataclass(eq=False, kw_only=True)
class SoftGates(PenalizedGates):
    """Sigmoids of the scores at a rising temperature, scaled to be 1 at the beginning."""

    initial: float
    final_temperature: float

    @property
    def scale(self) -> float:
        """What makes the initial gates 1."""
        return 1 + math.exp(-self.initial)

    def begin_round(self, density: float | None) -> None:
        self.scores.mul_(self.final_temperature).clamp_(max=self.initial)
        super().begin_round(density)

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        share = (epoch - 1) / (n_epochs - 1) if n_epochs > 1 else 1.0
        self.temperature = self.final_temperature**share

    def soft(self) -> Tensor:
        """Compute the soft mask."""
        return (self.temperature * self.scores).sigmoid_()

    def slope(self, soft: Tensor) -> Tensor:
        """Compute the derivative of the scaled soft mask, beta soft (1 - soft) times the scale."""
        return torch.addcmul(soft, soft, soft, value=-1).mul_(self.temperature * self.scale)

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        soft = self.soft()
        slope = self.slope(soft)
        return Gating(soft * self.scale, slope, self.pull(soft, slope, self.scale))
