"""Magnitude pruning, single-shot or in the rounds of iterative magnitude pruning."""

from sklearn_tickets._network import plain_module
from sklearn_tickets.pruners.base import Run, Scores, ScoringPruner


class MagnitudePruner(ScoringPruner):
    r"""Prune the smallest weights.

    The score of a parameter is its magnitude, :math:`s = |\theta|`, at initialization
    (``round_epochs=0``) or after training. The default prunes the untrained network; pass
    ``round_epochs=None, rewind_epoch=None`` to train, prune and fine-tune.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    IterativeMagnitudePruner : The same with the defaults of the lottery ticket papers.

    References
    ----------
    .. [1] Han, Pool, Tran and Dally, "Learning both weights and connections for efficient
       neural networks", NeurIPS 2015.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = MagnitudePruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    def _score(self, run: Run) -> Scores:
        parameters = dict(plain_module(run.net.module_).named_parameters())
        return {name: parameters[name].detach().abs() for name in run.mask}


class IterativeMagnitudePruner(MagnitudePruner):
    r"""Iterative magnitude pruning (IMP): train, prune the smallest weights, rewind, repeat.

    `MagnitudePruner` with other defaults. Rewinding to initialization (``rewind_epoch=0``)
    is the lottery ticket experiment; rewinding to epoch k is its version for larger
    networks; ``rewind_epoch=None`` keeps the weights and restarts the schedule. A fit takes
    ``n_rounds + 1`` trainings: one in each round, and that of the ticket.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    References
    ----------
    .. [1] Frankle and Carbin, "The lottery ticket hypothesis: finding sparse, trainable
       neural networks", ICLR 2019.
    .. [2] Frankle, Dziugaite, Roy and Carbin, "Linear mode connectivity and the lottery
       ticket hypothesis", ICML 2020.
    .. [3] Renda, Frankle and Carbin, "Comparing rewinding and fine-tuning in neural network
       pruning", ICLR 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import IterativeMagnitudePruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = IterativeMagnitudePruner(
    ...     net, sparsity=0.75, prune_bias=True, n_rounds=2, random_state=0
    ... )
    >>> [record["n_kept"] for record in pruner.fit(planted.X, planted.y).rounds_]
    [1037, 518]
    """

    n_rounds = 10
    round_epochs = None
