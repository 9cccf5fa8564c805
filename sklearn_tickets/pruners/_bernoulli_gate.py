"""Continuously relaxed Bernoulli gates: find a strong ticket with frozen weights."""

from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import FrozenGatesPruner, PenalizedGatesPruner, Positive
from sklearn_tickets.training import Gates, Layout, PenalizedGates


class BernoulliGatePruner(PenalizedGatesPruner, FrozenGatesPruner):
    r"""Learn which frozen weights to keep with relaxed Bernoulli gates.

    The gate of a weight with score :math:`\mu` is a clipped Gaussian variable,

    .. math:: \theta = w \odot z, \qquad z = \mathrm{clip}(\mu + \epsilon, 0, 1), \qquad
              \epsilon \sim N(0, \sigma^2),

    so that the penalty, the probability that a gate is open, has a gradient, and no
    straight-through gradient is needed:

    .. math:: \min_\mu L(\theta) + \lambda \, \mathrm{mean} \, \Phi(\mu / \sigma).

    Weights whose gate without noise exceeds 1/2 are kept.

    Parameters
    ----------
    <parameters>
    noise : float > 0, default=0.5
        Standard deviation of the noise.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    HardConcretePruner : Train the weights, too.

    References
    ----------
    .. [1] Tsayag and Lindenbaum, "Continuously relaxed Bernoulli gates for strong lottery
       tickets", 2026, arXiv:2603.08914.
    .. [2] Yamada, Lindenbaum, Negahban and Kluger, "Feature selection using stochastic
       gates", ICML 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import BernoulliGatePruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = BernoulliGatePruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    mask_init = 0.5
    noise: Positive = 0.5

    def _gates(self, weights: Tensor, layout: Layout, density: float | None) -> Gates:
        return self._begin(_ClippedNormal, weights, density, noise=self.noise)


@dataclass(eq=False, kw_only=True)
class _ClippedNormal(PenalizedGates):
    """Scores with Gaussian noise, clipped to the unit interval."""

    threshold = 0.5

    noise: float

    def __call__(self) -> Tensor:
        return (self.scores + self.noise * torch.randn_like(self.scores)).clamp(0, 1)

    def expected(self) -> Tensor:
        return self.scores.detach().clamp(0, 1)

    def openness(self) -> Tensor:
        return torch.special.ndtr(self.scores / self.noise)
