"""SNIP: connection sensitivity."""

from collections.abc import Callable, Iterable

from torch import Tensor

from sklearn_tickets.pruners.base import GradientPruner, Scores, total_gradient


class SNIPPruner(GradientPruner):
    r"""Prune what changes the loss least: single-shot network pruning (SNIP).

    The score of a parameter is the sensitivity of the loss to its mask entry,

    .. math:: s = \left| \frac{\partial L}{\partial m} \right|
                = \left| \theta \, \frac{\partial L}{\partial \theta} \right|,

    at the initial weights (``round_epochs=0``) or at trained ones. L is the mean loss over
    the training data, summed over batches. More rounds make it *iterative SNIP*.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    FORCEPruner : Prune in rounds; what is pruned may return.
    GraSPPruner : Keep what preserves the flow of gradients.

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

    def _saliency(
        self, weights: Scores, theta: Scores, losses: Callable[..., Iterable[Tensor]]
    ) -> Scores:
        g = total_gradient(theta, losses())
        return {name: (weights[name] * g[name]).detach().abs() for name in theta}


class FORCEPruner(SNIPPruner):
    r"""Prune in many rounds by connection sensitivity; what is pruned may return (FORCE).

    `SNIPPruner` with other defaults. In every round, the sensitivity is that of the pruned
    network :math:`\bar\theta`, but all parameters have a score, at their initial weights
    :math:`\theta_0`:

    .. math:: s = \left| \theta_0 \, \frac{\partial L}{\partial \bar\theta} \right|.

    So a parameter that was pruned too early can replace another one. With ``regrow=False`` it
    cannot: this is iterative SNIP, of the same authors [1]_.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    SNIPPruner : Prune at once.

    References
    ----------
    .. [1] de Jorge, Sanyal, Behl, Torr, Rogez and Dokania, "Progressive skeletonization:
       trimming more fat from a network at initialization", ICLR 2021.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import FORCEPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = FORCEPruner(net, sparsity=0.9, prune_bias=True, n_rounds=3, random_state=0)
    >>> [record["n_kept"] for record in pruner.fit(planted.X, planted.y).rounds_]
    [963, 447, 207]
    """

    n_rounds = 60
    regrow = True
