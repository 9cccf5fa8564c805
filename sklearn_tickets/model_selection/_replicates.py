"""`fit_replicates`: fit a pruner to many planted tickets, trained as one network."""

from collections.abc import Sequence

import torch
from joblib import effective_n_jobs

from sklearn_tickets.datasets import PlantedTicket
from sklearn_tickets.model_selection._together import Task, fit_together, make_parallel
from sklearn_tickets.pruners.base import BasePruner


@torch.inference_mode(False)  # As in a pruner's fit.
def fit_replicates(
    pruner: BasePruner,
    planted_list: Sequence[PlantedTicket],
    *,
    n_jobs: int | None = None,
    max_batch_bytes: int = 2**30,
) -> list[BasePruner]:
    """Fit a pruner to each of several planted tickets, in their host networks.

    Finding a single ticket may be luck, so results should come from several hosts. As in
    `BatchedGridSearchCV`, the networks are trained as one, also while they learn masks, and each
    pruner finds what it would have found alone.

    Parameters
    ----------
    pruner : pruner
        A pruner around a net of the kind that the tickets' ``make_net`` makes: a classifier or
        a regressor. It is cloned, and the module of its net is replaced by each host.
    planted_list : sequence of PlantedTicket
        The tickets, as from ``PlantedTicketGenerator(random_state=seed).generate(n_samples)``.
    n_jobs : int or None, default=None
        Number of processes.
    max_batch_bytes : int, default=2**30
        Memory limit for the fits in progress, over all jobs: their weights, gradients,
        optimizer states and data. If the fits need more, they are trained in several batches.

    Returns
    -------
    fitted : list of pruner
        A fitted pruner for each planted ticket, in order.

    Raises
    ------
    TypeError
        If `pruner` is not a pruner of this package.
    Exception
        The error of the first fit that fails.

    See Also
    --------
    BatchedGridSearchCV : Searches for the best settings, and describes what is stacked.

    Notes
    -----
    The result is the same as that of ::

        [
            clone(pruner).set_params(estimator__module=planted.module).fit(planted.X, planted.y)
            for planted in planted_list
        ]

    If the pruner's ``random_state`` is an integer, all replicates see the batches in the same
    order; only the hosts and the data differ.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.metrics import ticket_overlap
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> from sklearn_tickets.model_selection import fit_replicates
    >>> planted_list = [
    ...     PlantedTicketGenerator(width=20, random_state=seed).generate(200) for seed in range(3)
    ... ]
    >>> pruner = MagnitudePruner(planted_list[0].make_net(max_epochs=2), random_state=0)
    >>> fitted = fit_replicates(pruner, planted_list)
    >>> [type(replicate).__name__ for replicate in fitted]
    ['MagnitudePruner', 'MagnitudePruner', 'MagnitudePruner']
    """
    if not isinstance(pruner, BasePruner):
        raise TypeError(f"pruner must be a pruner of sklearn_tickets; got {pruner!r}.")
    tasks = [
        Task(pruner, {"estimator__module": each.module}, each.X, each.y) for each in planted_list
    ]
    jobs = make_parallel(n_jobs), effective_n_jobs(n_jobs)
    # All of them, because joblib warns of results that nobody takes.
    outcomes = [*fit_together(tasks, *jobs, max_batch_bytes)]
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.estimator for outcome in outcomes]
