"""SNIP: connection sensitivity."""

from skorch import NeuralNet

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base import (
    Array,
    Count,
    Scores,
    ScoringPruner,
    batch_losses,
    masked_leaves,
    scoring_sample,
    total_gradient,
)


class SNIPPruner(ScoringPruner):
    r"""Prune what changes the loss least: single-shot network pruning (SNIP).

    The score of a parameter is the sensitivity of the loss to its mask entry,

    .. math:: s = \left| \frac{\partial L}{\partial m} \right|
                = \left| \theta \, \frac{\partial L}{\partial \theta} \right|,

    at the weights as initialized (``round_epochs=0``) or as trained. L is the mean loss
    over the training data, summed up batch by batch.

    Parameters
    ----------
    <parameters>
    n_score_samples : int or None, default=None
        Number of rows to score on, drawn from all classes equally often; None takes all.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    GraSPPruner : Keeps what preserves the flow of gradients.

    Notes
    -----
    Scores are computed in evaluation mode: without dropout, and with the running statistics
    of normalization layers, which are 0 and 1 before any training.

    References
    ----------
    .. [1] Lee, Ajanthan and Torr, "SNIP: single-shot network pruning based on connection
       sensitivity", ICLR 2019.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import SNIPPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = SNIPPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    n_score_samples: Count | None = None

    def _score(self, net: NeuralNet, mask: TicketMask, X: Array, y: Array) -> Scores:
        X, y = scoring_sample(net, X, y, self.n_score_samples)
        theta = masked_leaves(net, mask)
        g = total_gradient(theta, batch_losses(net, theta, X, y))
        return {name: (value * g[name]).detach().abs() for name, value in theta.items()}
