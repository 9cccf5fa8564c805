"""Continuously relaxed Bernoulli gates: find a strong ticket with frozen weights."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import FrozenGatesPruner, PenalizedGatesPruner, Positive
from sklearn_tickets.training import Gates, Gating, Layout, PenalizedGates, geometric_density

# What penalty="auto" allows: frozen weights cannot make up for gates that close too soon.
CEILING = 0.5
TINY = torch.finfo(torch.float32).tiny


class BernoulliGatePruner(PenalizedGatesPruner, FrozenGatesPruner):
    r"""Learn which frozen weights to keep with relaxed Bernoulli gates.

    The gate of a weight with score :math:`\mu` is a clipped Gaussian variable,

    .. math:: \theta = w \odot z, \qquad z = \mathrm{clip}(\mu + \epsilon, 0, 1), \qquad
              \epsilon \sim N(0, \sigma^2),

    so that the penalty, the probability that a gate is open, has a gradient, and no
    straight-through gradient is needed:

    .. math:: \min_\mu L(\theta) + \lambda \, \mathrm{mean} \, \Phi(\mu / \sigma).

    Two steps share the noise, with opposite signs, and the gradient of the penalty. Weights whose
    gate without noise exceeds 1/2 are kept. The density that is free of penalty falls to its target
    as :math:`\rho^{2i/E}` in epoch i of E, and stays there for the second half. From the start, the
    penalty would close all gates alike before the loss tells them apart.

    Parameters
    ----------
    <parameters>
    penalty : float >= 0 or "auto", default="auto"
        Weight :math:`\lambda` of the penalty, which is the mean openness of the gates of all
        prunable parameters in excess of the target density. With ``sparsity=None`` the whole
        mean is penalized, and a higher weight gives a sparser mask. "auto" uses 10 for
        classifiers and 1 for regressors, or less where the gradient of the penalty would
        otherwise exceed half of the loss's (by their norms).
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
        ceiling = CEILING if self.penalty == "auto" else None
        settings = {"initial": layout.density, "noise": self.noise, "ceiling": ceiling}
        return self._begin(_ClippedNormal, weights, density, **settings)


@dataclass(eq=False, kw_only=True)
class _ClippedNormal(PenalizedGates):
    """Scores with Gaussian noise, clipped to the unit interval."""

    threshold = 0.5

    # Density that is free of penalty at the beginning.
    initial: float = 1.0
    noise: float
    # The penalty's gradient, at most, in units of the loss's; None for no limit.
    ceiling: float | None = None
    # The noise and the penalty's gradient of the last step, until the next one has used them, too.
    drawn: tuple[Tensor, Tensor | None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.target = self.density

    def begin_epoch(self, epoch: int, n_epochs: int) -> None:
        if self.target is not None:
            share = min(1.0, 2 * epoch / n_epochs)
            self.density = geometric_density(self.initial, self.target, share)

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        if self.drawn is None:
            noise = torch.empty_like(self.scores).normal_(std=self.noise, generator=generator)
            self.drawn = noise, self._pull()
            noisy, pull = self.scores + noise, self.drawn[1]
        else:
            noise, pull = self.drawn
            noisy, self.drawn = self.scores - noise, None
        gate = noisy.clamp(0, 1)
        # The slope is 1 where nothing was clipped.
        return Gating(gate, noisy.eq_(gate), pull)

    def _pull(self) -> Tensor | None:
        """Compute the gradient of the penalty."""
        scaled = self.scores * (math.sqrt(0.5) / self.noise)
        if not self.is_penalized((1 + torch.erf(scaled).mean().item()) / 2):
            return None
        bell = scaled.square_().neg_().exp_()
        return bell.mul_(self.penalty / len(bell) / self.noise / math.sqrt(2 * math.pi))

    def expected(self) -> Tensor:
        return self.scores.clamp(0, 1)

    def balance(self, task: Tensor, pull: Tensor) -> Tensor:
        if self.ceiling is not None:
            share = self.ceiling * task.norm() / pull.norm().clamp(min=TINY)
            return torch.addcmul(task, pull, share.clamp(max=1))
        return task + pull
