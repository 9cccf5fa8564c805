"""Edge-popup: search for a strong ticket, the weights frozen."""

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import Gates, LearnedMaskPruner, best, with_a_foothold


class EdgePopupPruner(LearnedMaskPruner):
    r"""Learn which random weights to keep, and leave them as they are (edge-popup).

    Every parameter has a score s. The network runs with the best-scored fraction of its
    frozen initial weights, and gradients pass straight through the selection,

    .. math:: \theta = w \odot \mathrm{top}_\rho(s), \qquad
              \frac{\partial L}{\partial s} := w \odot \frac{\partial L}{\partial \theta},

    so that what would lower the loss pops up. With `anneal`, the density falls to its
    target as :math:`\rho^{i/E}` in epoch i of E; with `learn_scale`, a positive factor per
    output is learned besides, because the outputs of a pruned random network are in
    arbitrary units. The best entry of each weight is always kept: no layer is emptied.

    Parameters
    ----------
    <parameters: estimator, sparsity, scope, prune_bias, exclude, mask_epochs>
    mask_lr : float > 0, default=0.1
        Learning rate of the scores: SGD with momentum 0.9 and weight decay 5e-4, annealed
        along a cosine.
    anneal : bool, default=True
        Whether the density falls to its target, or is the target from the start.
    <parameters: learn_scale, final_epochs, train_ticket, random_state>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    strong_accuracy : Scores the strong ticket.

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

    _parameter_constraints = LearnedMaskPruner._parameter_constraints | {
        "anneal": ["boolean"],
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
        mask_lr=0.1,
        anneal=True,
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
        self.anneal = anneal
        self.learn_scale = learn_scale
        self.final_epochs = final_epochs
        self.train_ticket = train_ticket
        self.random_state = random_state

    def _gates(self, parameters, layout, density, log_scale):
        scores = {name: _initial_scores(parameters[name]) for name in layout.names}
        return _BestScored(layout, layout.join(scores), log_scale, density, self.anneal)


class _BestScored(Gates):
    """Open for the best-scored; gradients pass straight through the selection."""

    def __init__(self, layout, scores, log_scale, density, anneal):
        super().__init__(scores, log_scale)
        self.layout, self.density, self.anneal = layout, density, anneal

    def optimizer(self, lr):
        groups = [{"params": [self.scores], "weight_decay": 5e-4}]
        if self.log_scale is not None:
            groups.append({"params": [self.log_scale]})
        return torch.optim.SGD(groups, lr=lr, momentum=0.9, fused=True)

    def begin_epoch(self, epoch, n_epochs):
        self.now = self.density ** (epoch / n_epochs) if self.anneal else self.density

    def __call__(self):
        scores = with_a_foothold(self.scores.detach(), self.layout.weights)
        kept = [best(scores[group], self.now) for group in self.layout.groups]
        return torch.cat(kept) + self.scores - self.scores.detach()


def _initial_scores(weight: Tensor) -> Tensor:
    """Uniform scores, smaller for units that read more inputs."""
    fan_in = weight[0].numel() if weight.ndim > 1 else weight.numel()
    return torch.rand_like(weight) * fan_in**-0.5
