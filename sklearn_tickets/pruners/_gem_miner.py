"""Gem-Miner: find a ticket that is good before training, by freezing what scores low."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import Count, FrozenGatesPruner, NonNegative
from sklearn_tickets.training import Gates, Layout


class GemMinerPruner(FrozenGatesPruner):
    r"""Find a ticket that is good before it is trained (Gem-Miner).

    Scores :math:`p \in [0, 1]` begin uniform at random. The network runs with the frozen
    weights whose score is nearer to 1 than to 0, and gradients pass straight through the
    rounding,

    .. math:: \theta = w \odot q \odot 1[p \ge 1/2], \qquad
              \min_p L(\theta) + \lambda \, \mathrm{mean}(p^2).

    Scores return to [0, 1] after each step. Every `freeze_every` epochs, and in the last,
    the lowest scores are frozen at 0 for good (q = 0), so that in epoch i of E at most the
    fraction :math:`\rho^{i/E}` can be open; what is left in the end is kept.

    Parameters
    ----------
    <parameters>
    penalty : float >= 0, default=0.5
        Weight of the mean squared score. Too low, and more is open than may stay; too
        high, and closed gates are kept to meet the sparsity.
    freeze_every : int, default=1
        Epochs between freezes.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    EdgePopupPruner : Keeps the best-scored at any score.

    Notes
    -----
    The paper's SGD is Adam here, its many epochs are few, and output factors are learned.

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
    """Open where the score is nearer to 1 than to 0, until it is frozen at 0."""

    layout: Layout
    density: float
    penalty: float
    freeze_every: int

    def __post_init__(self) -> None:
        super().__post_init__()
        self.active = torch.ones_like(self.scores.detach())

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        if epoch % self.freeze_every and epoch < n_epochs:
            return
        counts = self.layout.counts(self.density ** (epoch / n_epochs))
        left = self.layout.best(self.scores.detach(), counts)
        # Those that have fallen to 0 by themselves score as low as the frozen ones.
        self.active = self.active * left

    def __call__(self) -> Tensor:
        rounded = (self.scores.detach() >= 0.5) * self.active
        return rounded + (self.scores - self.scores.detach()) * self.active

    def gradient(self, task: Tensor) -> Tensor:
        return task + 2 * self.penalty / task.numel() * self.scores.detach()

    def project_(self) -> None:
        self.scores.clamp_(0, 1).mul_(self.active)
