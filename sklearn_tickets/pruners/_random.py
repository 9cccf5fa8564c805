"""Random pruning: the control that every other pruner must beat."""

import torch

from sklearn_tickets.pruners.base import Run, Scores, ScoringPruner


class RandomPruner(ScoringPruner):
    r"""Prune at random.

    The score of every parameter is uniform noise, :math:`s \sim U(0, 1)`. The result shows
    what an arbitrary mask of that size achieves.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    GivenMaskPruner : Train a given mask, such as ``mask.shuffled()``.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import RandomPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = RandomPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    def _score(self, run: Run) -> Scores:
        return {name: torch.rand(kept.shape) for name, kept in run.mask.items()}
