"""Bernoulli gates, continuously relaxed: search for a strong ticket, the weights frozen."""

from numbers import Real

import torch
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_tickets.pruners.base import LearnedMaskPruner, PenalizedGates


class BernoulliGatePruner(LearnedMaskPruner):
    r"""Learn which frozen weights to keep by relaxed Bernoulli gates.

    The gate of a weight with score :math:`\mu` is a Gaussian variable that is clipped,

    .. math:: \theta = w \odot z, \qquad z = \mathrm{clip}(\mu + \epsilon, 0, 1), \qquad
              \epsilon \sim N(0, \sigma^2),

    so that the probability to be open, the penalty, has a gradient, and no gradient has to
    be passed straight through:

    .. math:: \min_\mu L(\theta) + \lambda \, \mathrm{mean} \, \Phi(\mu / \sigma).

    What is nearer to open than to closed without noise is kept.

    Parameters
    ----------
    <parameters: estimator, sparsity, scope, prune_bias, exclude>
    <parameters: mask_epochs, mask_lr, mask_init, penalty>
    noise : float > 0, default=0.5
        Standard deviation of the noise.
    <parameters: learn_scale, final_epochs, train_ticket, random_state>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    HardConcretePruner : Trains the weights, too.

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

    _parameter_constraints = LearnedMaskPruner._parameter_constraints | {
        "sparsity": [Interval(Real, 0, 1, closed="left"), None],
        "mask_init": [Interval(Real, None, None, closed="neither")],
        "penalty": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "noise": [Interval(Real, 0, None, closed="neither")],
        "learn_scale": ["boolean"],
    }

    def __init__(
        self,
        estimator,
        *,
        sparsity=0.9,
        scope="global",
        prune_bias=False,
        exclude=(),
        mask_epochs=None,
        mask_lr=0.01,
        mask_init=0.5,
        penalty="auto",
        noise=0.5,
        learn_scale=True,
        final_epochs=None,
        train_ticket=False,
        random_state=None,
    ):
        self.estimator = estimator
        self.sparsity = sparsity
        self.scope = scope
        self.prune_bias = prune_bias
        self.exclude = exclude
        self.mask_epochs = mask_epochs
        self.mask_lr = mask_lr
        self.mask_init = mask_init
        self.penalty = penalty
        self.noise = noise
        self.learn_scale = learn_scale
        self.final_epochs = final_epochs
        self.train_ticket = train_ticket
        self.random_state = random_state

    def _gates(self, parameters, layout, density, log_scale):
        scores = torch.full_like(layout.join(parameters), self.mask_init)
        return _ClippedNormal(scores, self._penalty(), density, log_scale, self.noise)


class _ClippedNormal(PenalizedGates):
    """Scores with Gaussian noise, clipped to the unit interval."""

    threshold = 0.5

    def __init__(self, scores, penalty, density, log_scale, noise):
        super().__init__(scores, penalty, density, log_scale)
        self.noise = noise

    def __call__(self):
        return (self.scores + self.noise * torch.randn_like(self.scores)).clamp(0, 1)

    def expected(self):
        return self.scores.detach().clamp(0, 1)

    def openness(self):
        return torch.special.ndtr(self.scores / self.noise)
