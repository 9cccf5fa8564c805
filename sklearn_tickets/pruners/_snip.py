"""SNIP: connection sensitivity."""

from numbers import Integral

from sklearn.utils._param_validation import Interval

from sklearn_tickets.pruners.base import (
    BasePruner,
    batch_losses,
    masked_leaves,
    scoring_sample,
    total_gradient,
)


class SNIPPruner(BasePruner):
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

    _parameter_constraints = BasePruner._parameter_constraints | {
        "n_score_samples": [Interval(Integral, 1, None, closed="left"), None]
    }

    def __init__(
        self,
        estimator,
        *,
        sparsity=0.9,
        scope="global",
        prune_bias=False,
        exclude=(),
        n_rounds=1,
        round_epochs=0,
        rewind_epoch=0,
        final_epochs=None,
        train_ticket=True,
        l1=0.0,
        connected=False,
        schedule=None,
        store_rounds=False,
        random_state=None,
        n_score_samples=None,
    ):
        super().__init__(
            estimator,
            sparsity=sparsity,
            scope=scope,
            prune_bias=prune_bias,
            exclude=exclude,
            n_rounds=n_rounds,
            round_epochs=round_epochs,
            rewind_epoch=rewind_epoch,
            final_epochs=final_epochs,
            train_ticket=train_ticket,
            l1=l1,
            connected=connected,
            schedule=schedule,
            store_rounds=store_rounds,
            random_state=random_state,
        )
        self.n_score_samples = n_score_samples

    def _score(self, net, mask, X, y):
        X, y = scoring_sample(net, X, y, self.n_score_samples)
        theta = masked_leaves(net, mask)
        gradient = total_gradient(theta, batch_losses(net, theta, X, y))
        return {name: (value * gradient[name]).detach().abs() for name, value in theta.items()}
