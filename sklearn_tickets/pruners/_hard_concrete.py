"""Hard concrete gates: train weights together with gates that can be exactly 0 or 1."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import JointGatesPruner, Positive
from sklearn_tickets.training import Gates, Gating, Layout, PenalizedGates

# Ends of the interval that a concrete variable is stretched to before it is clipped.
GAMMA, ZETA = -0.1, 1.1


class HardConcretePruner(JointGatesPruner):
    r"""Train the weights together with random gates that can be exactly 0 (hard concrete).

    The gate of a parameter with score s is a concrete variable, stretched to
    :math:`(\gamma, \zeta) = (-0.1, 1.1)` and clipped,

    .. math:: z = \mathrm{clip}\Big(\sigma\Big(\frac{\mathrm{logit}(u) + s}{\tau}\Big)
              (\zeta - \gamma) + \gamma, 0, 1\Big), \qquad u \sim U(0, 1),

    so that the penalty, the expected fraction of open gates, has a gradient:

    .. math:: \min_{w, s} L(w \odot z) + \lambda \, \mathrm{mean} \,
              \sigma\Big(s - \tau \log\frac{-\gamma}{\zeta}\Big).

    Parameters whose gate is open without noise are kept.

    Parameters
    ----------
    <parameters>
    temperature : float > 0, default=2/3
        Temperature of the concrete variables; the lower, the closer they are to 0 or 1.

    Attributes
    ----------
    <attributes>

    References
    ----------
    .. [1] Louizos, Welling and Kingma, "Learning sparse neural networks through L0
       regularization", ICLR 2018.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import HardConcretePruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = HardConcretePruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    mask_lr = 0.1
    mask_init = 2.0
    temperature: Positive = 2 / 3

    def _gates(self, weights: Tensor, layout: Layout, density: float | None) -> Gates:
        return self._begin(_HardConcrete, weights, density, temperature=self.temperature)


@dataclass(eq=False, kw_only=True)
class _HardConcrete(PenalizedGates):
    """Stretched and clipped binary concrete variables."""

    # Above this score, a gate is open without noise.
    threshold = math.log(-GAMMA / ZETA)

    temperature: float

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        noise = self.uniform(generator).logit_(eps=1e-6)
        concrete = torch.sigmoid((noise + self.scores) / self.temperature)
        stretched = _stretched(concrete)
        gate = stretched.clamp(0, 1)
        slope = (1 - concrete).mul_(concrete).mul_((ZETA - GAMMA) / self.temperature)
        openness = torch.sigmoid(self.scores - self.temperature * self.threshold)
        # The slope is 0 where the gate was clipped.
        return Gating(
            gate,
            slope.mul_(stretched.eq_(gate)),
            self.pull(openness, openness * (1 - openness)),
        )

    def expected(self) -> Tensor:
        return _stretched(torch.sigmoid(self.scores)).clamp(0, 1)


def _stretched(concrete: Tensor) -> Tensor:
    return concrete * (ZETA - GAMMA) + GAMMA
