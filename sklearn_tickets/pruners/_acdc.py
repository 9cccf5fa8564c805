"""AC/DC: alternating compressed and decompressed training."""

from sklearn_tickets.pruners._magnitude import MagnitudePruner


class ACDCPruner(MagnitudePruner):
    r"""Train a dense and a sparse network in turn, and end with the sparse one (AC/DC).

    `MagnitudePruner` with other defaults. Rounds are the phases of AC/DC: after a dense phase,
    all but the ``1 - sparsity`` largest weights are pruned at once, and the others are trained
    in a sparse phase. Then all pruned weights return, at 0, and the next dense phase begins.
    The last phase, of `final_epochs`, is sparse. Weights are never rewound, but each phase has a
    new optimizer and a new schedule.

    The first round is the dense warm-up of the paper. With an even number of rounds, the last
    of them prolongs the last sparse phase. The final network is a *sparse network*, as of
    `LearningRateRewindingPruner`.

    Parameters
    ----------
    <parameters>

    Attributes
    ----------
    <attributes>

    See Also
    --------
    LearningRateRewindingPruner : Prune little by little; what is pruned does not return.

    References
    ----------
    .. [1] Peste, Iofinova, Vladu and Alistarh, "AC/DC: alternating compressed/decompressed
       training of deep neural networks", NeurIPS 2021.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import ACDCPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> pruner = ACDCPruner(
    ...     planted.make_net(lr=1e-2), sparsity=0.9, round_epochs=1, final_epochs=1, random_state=0
    ... )
    >>> [record["n_kept"] for record in pruner.fit(planted.X, planted.y).rounds_]
    [198, 1980, 198, 1980, 198, 1980, 198]
    """

    n_rounds = 7
    round_epochs = 20
    rewind_epoch = None
    schedule = "one-cycle"
    density_schedule = "alternating"
