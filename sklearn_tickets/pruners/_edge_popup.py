"""Edge-popup: find a strong ticket with frozen weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import FrozenGatesPruner
from sklearn_tickets.training import Border, FusedSGD, Gates, Gating, Layout, geometric_density

WEIGHT_DECAY = 5e-4


class EdgePopupPruner(FrozenGatesPruner):
    r"""Learn which random weights to keep without training them (edge-popup).

    Every parameter has a score s. The network runs with the best-scored fraction of its
    frozen initial weights, and gradients pass straight through the selection,

    .. math:: \theta = w \odot \mathrm{top}_\rho(s), \qquad
              \frac{\partial L}{\partial s} := w \odot \frac{\partial L}{\partial \theta},

    so that weights that would lower the loss pop up. With `anneal`, the density falls to its
    target as :math:`\rho^{i/E}` in epoch i of E. With `learn_scale`, a positive factor per
    output is learned, too, because the outputs of a pruned random network are in arbitrary
    units. The best entry of each weight is always kept, so that no layer is emptied.

    Parameters
    ----------
    <parameters>
    mask_lr : float > 0, default=0.1
        Learning rate of the scores, with cosine annealing, for SGD with momentum 0.9 and
        weight decay 5e-4.
    anneal : bool, default=True
        Whether the density falls to its target instead of starting there.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    sklearn_tickets.metrics.strong_accuracy : Score the strong ticket.

    References
    ----------
    .. [1] Ramanujan, Wortsman, Kembhavi, Farhadi and Rastegari, "What's hidden in a randomly
       weighted neural network?", CVPR 2020.
    .. [2] Fischer and Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?", ICLR 2022.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import EdgePopupPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = EdgePopupPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    mask_lr = 0.1
    anneal: bool = True

    def _gates(self, weights: Tensor, layout: Layout, density: float) -> Gates:
        scores = {name: initial_scores(w) for name, w in layout.split(weights).items()}
        return BestScored(layout.join(scores), layout=layout, density=density, anneal=self.anneal)


@dataclass(eq=False, kw_only=True)
class BestScored(Gates):
    """Open for the best scores; gradients pass straight through the selection."""

    layout: Layout
    density: float
    anneal: bool

    def __post_init__(self) -> None:
        self.borders = [Border() for _ in self.layout.groups]
        self.tops = self.layout.tops(self.scores)

    def optimizer(self) -> FusedSGD:
        return FusedSGD(self.learned, momentum=0.9)

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        share = epoch / n_epochs if self.anneal else 1.0
        density = geometric_density(self.layout.density, self.density, share)
        self.counts = self.layout.counts(density)

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        kept = torch.zeros_like(self.scores)
        for group, k, border in zip(self.layout.groups, self.counts, self.borders, strict=True):
            if k:
                part = self.scores[group]
                torch.ge(part, border.find(part, k), out=kept[group])
        # Usually these are the best, with one of each weight among them.
        if kept.sum().item() != sum(self.counts) or not kept[self.tops].all():
            self.tops = self.layout.tops(self.scores)
            scores = self.layout.with_footholds(self.scores)
            kept = self.layout.best(scores, self.counts).to(scores)
        return Gating(kept, pull=WEIGHT_DECAY * self.scores)


def initial_scores(weight: Tensor) -> Tensor:
    """Draw uniform scores, smaller for units with more inputs."""
    fan_in = weight[0].numel() if weight.ndim > 1 else weight.numel()
    return torch.rand_like(weight) * fan_in**-0.5
