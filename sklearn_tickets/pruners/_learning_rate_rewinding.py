"""Learning-rate rewinding with settings for very small networks."""

from sklearn_tickets.pruners._magnitude import MagnitudePruner


class LearningRateRewindingPruner(MagnitudePruner):
    r"""Train, prune the smallest weights, keep the others as trained, repeat.

    `MagnitudePruner` with other defaults. As in learning-rate rewinding [1]_, weights are
    never rewound, but the learning-rate schedule restarts in each round. In addition, rounds
    are many and short, they have an L1 penalty, and dead ends are pruned first. Designed for
    Adam with a high peak rate (``lr=1e-2``, batches of 64).

    The final network is a *sparse network*. `GivenMaskPruner` tells whether its mask is a
    weak ticket.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    IterativeMagnitudePruner : Rewind the weights to their initial values.

    References
    ----------
    .. [1] Renda, Frankle and Carbin, "Comparing rewinding and fine-tuning in neural network
       pruning", ICLR 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import LearningRateRewindingPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> pruner = LearningRateRewindingPruner(
    ...     planted.make_net(lr=1e-2), sparsity=0.9, n_rounds=2, final_epochs=1, random_state=0
    ... )
    >>> [record["n_kept"] for record in pruner.fit(planted.X, planted.y).rounds_]
    [626, 198]
    """

    n_rounds = 25
    round_epochs = 6
    rewind_epoch = None
    final_epochs = 40
    l1 = "auto"
    connected = True
    schedule = "one-cycle"
