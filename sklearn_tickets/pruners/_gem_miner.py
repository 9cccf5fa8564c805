"""Gem-Miner: find a ticket that is good before training by freezing low scores."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import Count, FrozenGatesPruner, NonNegative
from sklearn_tickets.training import Gates, Gating, Layout, geometric_density


class GemMinerPruner(FrozenGatesPruner):
    r"""Find a ticket that is good before it is trained (Gem-Miner).

    Scores :math:`p \in [0, 1]` start uniform at random. The network runs with the frozen
    weights whose score is at least 1/2, and gradients pass straight through the rounding,

    .. math:: \theta = w \odot q \odot 1[p \ge 1/2], \qquad
              \min_p L(\theta) + \lambda \, \mathrm{mean}(p^2).

    Scores are clipped to [0, 1] after each step. Every `freeze_every` epochs, and in the last
    one, the lowest scores are permanently frozen at 0 (q = 0), so that in epoch i of E at most
    the fraction :math:`\rho^{i/E}` can be open. The remaining weights are kept.

    Parameters
    ----------
    <parameters>
    penalty : float >= 0, default=0.5
        Weight of the mean squared score. If it is too low, more gates are open than may be
        kept; if it is too high, closed gates are kept to meet the sparsity.
    freeze_every : int, default=1
        Number of epochs between freezes.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    EdgePopupPruner : Keep the best scores, whatever their values.

    Notes
    -----
    Unlike in the paper, scores are trained by Adam and for fewer epochs, and output factors
    are learned.

    References
    ----------
    .. [1] Sreenivasan et al., "Rare gems: finding lottery tickets at initialization",
       NeurIPS 2022.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import GemMinerPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = GemMinerPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    penalty: NonNegative = 0.5
    freeze_every: Count = 1

    def _gates(self, weights: Tensor, layout: Layout, density: float) -> Gates:
        return _Rounded(
            torch.rand_like(weights),
            layout=layout,
            density=density,
            penalty=self.penalty,
            freeze_every=self.freeze_every,
        )


@dataclass(eq=False, kw_only=True)
class _Rounded(Gates):
    """Open where the score is at least 1/2, until it is frozen at 0."""

    layout: Layout
    density: float
    penalty: float
    freeze_every: int

    def __post_init__(self) -> None:
        self.active = torch.ones_like(self.scores)

    def close_(self, pruned: Tensor) -> None:
        self.active.masked_fill_(pruned, 0)
        self.project_()

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        if epoch % self.freeze_every and epoch < n_epochs:
            return
        density = geometric_density(self.layout.density, self.density, epoch / n_epochs)
        left = self.layout.best(self.scores, self.layout.counts(density))
        # Scores that fell to 0 in training tie with the frozen ones.
        self.active = self.active * left

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        rounded = (self.scores >= 0.5) * self.active
        return Gating(rounded, self.active, 2 * self.penalty / len(self.scores) * self.scores)

    def project_(self) -> None:
        self.scores.clamp_(0, 1).mul_(self.active)
