"""AC/DC: alternating compressed and decompressed training."""

from sklearn_tickets.pruners._magnitude import MagnitudePruner


class ACDCPruner(MagnitudePruner):
    r"""Train a dense and a sparse network in turn, and end with the sparse one (AC/DC).

    `MagnitudePruner` with other defaults. Rounds are the phases of AC/DC. After a dense one, the
    smallest weights are pruned, to `sparsity` at once, and the rest is trained in a sparse one.
    Then all weights return, those that were pruned at 0. The last phase, of `final_epochs`, is
    sparse. Weights are never rewound, but every phase has a new optimizer and a new schedule. The
    L1 penalty is not part of the published method; without it, small networks came apart here.

    The first round is the dense warm-up of the paper. With an even number of rounds, the last of
    them prolongs the last sparse phase. The final network is a *sparse network*, as that of
    `LearningRateRewindingPruner`, which is better at very high sparsity: once the largest weights
    of a dense network do not connect inputs with outputs, weights that return at 0 stay there.

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
    ...     planted.make_net(lr=1e-2), sparsity=0.9, n_rounds=3, final_epochs=1, random_state=0
    ... )
    >>> [record["n_kept"] for record in pruner.fit(planted.X, planted.y).rounds_]
    [198, 1980, 198]
    """

    n_rounds = 15
    round_epochs = 10
    rewind_epoch = None
    final_epochs = 40
    l1 = "auto"
    schedule = "one-cycle"
    density_schedule = "alternating"
