"""`fit_replicates`: the same pruner on many planted tickets, trained as one network."""

from collections.abc import Sequence

from joblib import effective_n_jobs
from sklearn.utils.parallel import Parallel

from sklearn_tickets.datasets import PlantedTicket
from sklearn_tickets.model_selection._together import Task, fit_together
from sklearn_tickets.pruners.base import BasePruner


def fit_replicates(
    pruner: BasePruner,
    planted_list: Sequence[PlantedTicket],
    *,
    n_jobs: int | None = None,
    max_batch_bytes: int = 2**30,
) -> list[BasePruner]:
    """Fit a pruner to each of several planted tickets, in their host networks.

    A single ticket found may be luck: figures are of several hosts. Their trainings are done as
    one, as by `BatchedGridSearchCV`, and each pruner comes to what it would have come to alone.

    Parameters
    ----------
    pruner : pruner
        Any pruner, around a net of the kind that the tickets' ``make_net`` makes: classifier or
        regressor. It is cloned, and the net's module replaced by the host.
    planted_list : sequence of PlantedTicket
        What to find, as from ``PlantedTicketGenerator(random_state=seed).generate(n_samples)``.
    n_jobs : int or None, default=None
        Number of processes.
    max_batch_bytes : int, default=2**30
        Limit of the memory for fits whose training waits or runs: weights, gradients,
        optimizer state and data, of all jobs together. More fits than go into it are trained
        in several batches.

    Returns
    -------
    fitted : list of pruner
        One for each planted ticket, in order.

    Raises
    ------
    TypeError
        If `pruner` is no pruner.
    Exception
        What the first fit that fails has failed with.

    See Also
    --------
    BatchedGridSearchCV : Searches for the best settings on given data; says what is stacked.

    Notes
    -----
    It does the same as ::

        [
            clone(pruner).set_params(estimator__module=planted.module).fit(planted.X, planted.y)
            for planted in planted_list
        ]

    With an integer as its ``random_state``, all replicates see batches in the same order; what
    differs are hosts and data.

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
    parallel = Parallel(n_jobs, return_as="generator")
    fitted = []
    for outcome in fit_together(tasks, parallel, effective_n_jobs(n_jobs), max_batch_bytes):
        if outcome.error is not None:
            raise outcome.error
        fitted.append(outcome.estimator)
    return fitted
