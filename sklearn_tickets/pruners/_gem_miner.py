"""Gem-Miner: find a ticket that is good before training, by freezing what scores low."""

from numbers import Integral, Real

import torch
from sklearn.utils._param_validation import Interval

from sklearn_tickets.pruners.base import Gates, LearnedMaskPruner, best


class GemMinerPruner(LearnedMaskPruner):
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
    <parameters: estimator, sparsity, scope, prune_bias, exclude, mask_epochs, mask_lr>
    penalty : float >= 0, default=0.5
        Weight of the mean squared score. Too low, and more is open than may stay; too
        high, and closed gates are kept to meet the sparsity.
    freeze_every : int, default=1
        Epochs between freezes.
    <parameters: learn_scale, final_epochs, train_ticket, random_state>

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

    _parameter_constraints = LearnedMaskPruner._parameter_constraints | {
        "penalty": [Interval(Real, 0, None, closed="left")],
        "freeze_every": [Interval(Integral, 1, None, closed="left")],
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
        penalty=0.5,
        freeze_every=1,
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
        self.penalty = penalty
        self.freeze_every = freeze_every
        self.learn_scale = learn_scale
        self.final_epochs = final_epochs
        self.train_ticket = train_ticket
        self.random_state = random_state

    def _gates(self, parameters, layout, density, log_scale):
        scores = torch.rand_like(layout.join(parameters))
        return _Rounded(layout, scores, log_scale, density, self.penalty, self.freeze_every)


class _Rounded(Gates):
    """Open where the score is nearer to 1 than to 0, until it is frozen at 0."""

    def __init__(self, layout, scores, log_scale, density, penalty, freeze_every):
        super().__init__(scores, log_scale)
        self.layout, self.density = layout, density
        self.penalty, self.freeze_every = penalty, freeze_every
        self.active = torch.ones_like(scores)

    def begin_epoch(self, epoch, n_epochs):
        if epoch % self.freeze_every and epoch < n_epochs:
            return
        density = self.density ** (epoch / n_epochs)
        scores = self.scores.detach()
        left = torch.cat([best(scores[group], density) for group in self.layout.groups])
        # Those that have fallen to 0 by themselves score as low as the frozen ones.
        self.active = self.active * left

    def __call__(self):
        rounded = (self.scores.detach() >= 0.5) * self.active
        return rounded + (self.scores - self.scores.detach()) * self.active

    def gradient(self, task):
        return task + 2 * self.penalty / task.numel() * self.scores.detach()

    def project_(self):
        self.scores.clamp_(0, 1).mul_(self.active)
