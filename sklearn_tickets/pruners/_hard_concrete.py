"""Hard concrete gates: weights and random gates that can be exactly 0 or 1, trained together."""

import math
from numbers import Real

import torch
from sklearn.utils._param_validation import Interval

from sklearn_tickets.pruners.base import PenalizedGates, TrainedMaskPruner

# Ends of the interval that a concrete variable is stretched to before it is clipped.
GAMMA, ZETA = -0.1, 1.1


class HardConcretePruner(TrainedMaskPruner):
    r"""Train the weights together with random gates that can be exactly 0 (hard concrete).

    The gate of a parameter with score s is a concrete variable, stretched to
    :math:`(\gamma, \zeta) = (-0.1, 1.1)` and clipped,

    .. math:: z = \mathrm{clip}\Big(\sigma\Big(\frac{\mathrm{logit}(u) + s}{\tau}\Big)
              (\zeta - \gamma) + \gamma, 0, 1\Big), \qquad u \sim U(0, 1),

    so that the expected number of open gates, the penalty, has a gradient:

    .. math:: \min_{w, s} L(w \odot z) + \lambda \, \mathrm{mean} \,
              \sigma\Big(s - \tau \log\frac{-\gamma}{\zeta}\Big).

    What is open without noise is kept.

    Parameters
    ----------
    <parameters: estimator, sparsity, scope, prune_bias, exclude, n_rounds, round_epochs>
    <parameters: mask_lr, mask_init, penalty>
    temperature : float > 0, default=2/3
        Temperature of the concrete variables; the lower, the nearer to 0 or 1.
    <parameters: rewind_epoch, final_epochs, train_ticket, schedule, store_rounds, random_state>

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

    _parameter_constraints = TrainedMaskPruner._parameter_constraints | {
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        estimator,
        *,
        sparsity=0.9,
        scope="global",
        prune_bias=False,
        exclude=(),
        n_rounds=1,
        round_epochs=None,
        mask_lr=0.1,
        mask_init=2.0,
        penalty="auto",
        temperature=2 / 3,
        rewind_epoch=0,
        final_epochs=None,
        train_ticket=True,
        schedule=None,
        store_rounds=False,
        random_state=None,
    ):
        self.estimator = estimator
        self.sparsity = sparsity
        self.scope = scope
        self.prune_bias = prune_bias
        self.exclude = exclude
        self.n_rounds = n_rounds
        self.round_epochs = round_epochs
        self.mask_lr = mask_lr
        self.mask_init = mask_init
        self.penalty = penalty
        self.temperature = temperature
        self.rewind_epoch = rewind_epoch
        self.final_epochs = final_epochs
        self.train_ticket = train_ticket
        self.schedule = schedule
        self.store_rounds = store_rounds
        self.random_state = random_state

    def _gates(self, parameters, layout, density, log_scale):
        scores = torch.full_like(layout.join(parameters), self.mask_init)
        return _HardConcrete(scores, self._penalty(), density, self.temperature)


class _HardConcrete(PenalizedGates):
    """A binary concrete variable for each score, stretched and clipped."""

    # Above it a gate is open without noise.
    threshold = math.log(-GAMMA / ZETA)

    def __init__(self, scores, penalty, density, temperature):
        super().__init__(scores, penalty, density)
        self.temperature = temperature

    def __call__(self):
        noise = torch.rand_like(self.scores).logit(eps=1e-6)
        return _stretched(torch.sigmoid((noise + self.scores) / self.temperature))

    def expected(self):
        return _stretched(torch.sigmoid(self.scores.detach()))

    def openness(self):
        return torch.sigmoid(self.scores - self.temperature * self.threshold)


def _stretched(concrete):
    return (concrete * (ZETA - GAMMA) + GAMMA).clamp(0, 1)
