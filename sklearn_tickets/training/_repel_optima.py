"""`RepelOptima`: keep a training away from the optima that earlier trainings found."""

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_tickets._network import plain_module, prunable_parameters
from sklearn_tickets.training._l1_penalty import check_no_line_search


class RepelOptima(Callback):
    r"""Add the similarity with earlier optima to the loss of a skorch net.

    Does a ticket win because it finds the same solution again that it was pruned from? To
    test this causally [1]_, this callback prevents it: in the rounds of a pruner, the loss
    repels the weights from the directions in which earlier rounds ended. A negative strength
    attracts them.

    Parameters
    ----------
    strength : float, default=2.0
        Strength of a penalty that is at most 1. A strength of 2 is just enough to make
        solutions orthogonal; -1 attracts.

    Notes
    -----
    Let :math:`\theta` be the vector of all prunable weights, m the mask of those that are not
    exactly 0, and :math:`\theta_r` the weights at the end of each of R earlier trainings. The
    penalty is

    .. math:: J = \frac{\lambda}{R} \sum_r
              \cos^2(\theta \circ m, \theta_r \circ m).

    The optima are stored in the callback of the net that is trained. A pruner trains a copy of
    its net, so each fit starts without optima.

    References
    ----------
    .. [1] J. Maene, M. Li and M.-F. Moens, "Towards Understanding Iterative Magnitude Pruning:
       Why Lottery Tickets Win", 2021. arXiv:2106.06955.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import IterativeMagnitudePruner
    >>> from sklearn_tickets.training import RepelOptima
    >>> planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(200)
    >>> net = planted.make_net(max_epochs=1, callbacks=[RepelOptima(strength=2.0)])
    >>> pruner = IterativeMagnitudePruner(net, n_rounds=2, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_.sparsity > 0.89
    True
    """

    def __init__(self, strength: float = 2.0) -> None:
        self.strength = strength

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Start without optima in the first training."""
        check_no_line_search(net, f"strength={self.strength}")
        self.optima_: Tensor = getattr(self, "optima_", _vector(net)[None][:0])

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Add the gradient of the penalty to the gradients."""
        here = _vector(net)
        there = self.optima_ * (here != 0)
        lengths = here.norm() * there.norm(dim=1)
        there, lengths = there[lengths > 0], lengths[lengths > 0]
        if not len(there):
            return
        cosines = there @ here / lengths
        gradient = (cosines / lengths) @ there - (cosines**2).sum() * here / here.norm() ** 2
        gradient *= 2 * self.strength / len(self.optima_)
        weights = _weights(net)
        parts = gradient.split([weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            if weight.grad is not None:
                weight.grad.add_(part.view_as(weight))

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Store the weights at the end of the training."""
        self.optima_ = torch.cat([self.optima_, _vector(net)[None]])


def _weights(net: NeuralNet) -> list[nn.Parameter]:
    """List the prunable weights."""
    return list(prunable_parameters(plain_module(net.module_)).values())


def _vector(net: NeuralNet) -> Tensor:
    """Join the prunable weights to one vector."""
    return torch.cat([weight.detach().flatten() for weight in _weights(net)])
