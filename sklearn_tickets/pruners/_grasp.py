"""GraSP: gradient signal preservation."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from sklearn_tickets.pruners.base import GradientPruner, Positive, Scores, gradient, total_gradient


class GraSPPruner(GradientPruner):
    r"""Prune what hinders training: gradient signal preservation (GraSP).

    Removing a parameter changes the gradient norm :math:`g^\top g` by about
    :math:`-\theta \, (H g)`, where H is the Hessian of the loss. The parameters whose removal
    would lower it most are kept:

    .. math:: s = \theta \odot (H g).

    Parameters
    ----------
    <parameters>
    temperature : float > 0, default=200.0
        Divisor of the outputs. A large value keeps the cross entropy from saturating; in
        regression it makes the scores depend on y rather than on the residuals, which
        found better tickets in our measurements than 1.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    SNIPPruner : Keep what the loss depends on.

    Notes
    -----
    Scores are computed in evaluation mode: without dropout, and with the running statistics
    of normalization layers, which are 0 and 1 before any training.

    References
    ----------
    .. [1] Wang, Zhang and Grosse, "Picking winning tickets before training by preserving
       gradient flow", ICLR 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import GraSPPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = GraSPPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    temperature: Positive = 200.0

    def _saliency(
        self, weights: Scores, theta: Scores, losses: Callable[..., Iterable[Tensor]]
    ) -> Scores:
        g = total_gradient(theta, losses(self.temperature))
        # The gradient of g'g with one factor constant, batch by batch.
        slopes = (gradient(loss, theta, create_graph=True) for loss in losses(self.temperature))
        Hg = total_gradient(theta, (_inner(slope, g) for slope in slopes))
        return {name: (weights[name] * Hg[name]).detach() for name in theta}


def _inner(a: Scores, b: Scores) -> Tensor:
    return sum(((a[name] * b[name]).sum() for name in a), start=torch.zeros(()))
