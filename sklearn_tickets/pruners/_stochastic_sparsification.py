"""Stochastic sparsification: continuous sparsification with sampled masks."""

import torch
from torch import Tensor

from sklearn_tickets.pruners._continuous_sparsification import (
    ContinuousSparsificationPruner,
    SoftGates,
)
from sklearn_tickets.training import Gates, Gating, Layout


class StochasticSparsificationPruner(ContinuousSparsificationPruner):
    r"""Train the weights together with a mask that is sampled in each step.

    `ContinuousSparsificationPruner` with Bernoulli masks: the network runs with

    .. math:: \theta = w \odot \frac{m}{\sigma(s_0)}, \qquad
              m \sim \mathrm{Bernoulli}(\sigma(\beta s)),

    and gradients pass straight through the sampling. It is the paper's control for the
    effect of deterministic soft masks.

    Parameters
    ----------
    <parameters>
    final_temperature : float > 1, default=200
        The temperature in the last epoch of a round, when the mask is almost deterministic.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    HardConcretePruner : Random gates that need no straight-through gradient.

    References
    ----------
    .. [1] Savarese, Silva and Maire, "Winning the lottery with continuous sparsification",
       NeurIPS 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import StochasticSparsificationPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = StochasticSparsificationPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    def _gates(self, weights: Tensor, layout: Layout, density: float | None) -> Gates:
        return self._begin(_DrawnGates, weights, density, **self._soft())


class _DrawnGates(SoftGates):
    """Open with the probability of the soft mask, with straight-through gradients."""

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        soft = self.soft()
        drawn, slope = self.uniform(generator).lt_(soft), self.slope(soft)
        return Gating(drawn.mul_(self.scale), slope, self.pull(soft, slope, self.scale))

    def expected(self) -> Tensor:
        return super().__call__().gate
