"""Calls on the workers of a Dask cluster, which may die of them."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from joblib.parallel import get_active_backend


def active_client() -> Any:
    """Return the client of Dask that joblib would use here, or None without one."""
    backend, _ = get_active_backend()
    return getattr(backend, "client", None)


def run_on_dask(
    client: Any, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]
) -> Generator[Any]:
    """Call a function on the workers of a cluster, and yield its results as they come.

    joblib's own backend waits forever for a call that has killed as many workers as the scheduler
    allows.

    Parameters
    ----------
    client : distributed.Client
        The client.
    function : callable
        The function.
    calls : iterable of tuple
        The arguments of each call. Two calls for each thread of the cluster are taken in advance.

    Raises
    ------
    BrokenProcessPool
        If workers have died of some calls, once all others are done. Among them may be calls that
        were given to the same workers and are not to blame.
    """
    from distributed import KilledWorker, as_completed

    calls, running, killed = iter(calls), as_completed(with_results=True, raise_errors=False), None

    def keep_busy() -> None:
        """Submit calls for all workers, of which there may be more than before."""
        n_ahead = 2 * max(1, sum(client.nthreads().values()))
        while running.count() < n_ahead and (arguments := next(calls, None)) is not None:
            running.add(client.submit(function, *arguments, pure=False))

    keep_busy()
    try:
        for future, result in running:
            if future.status == "finished":
                yield result
            elif not isinstance(killed := future.exception(), KilledWorker):
                raise killed
            keep_busy()
    finally:
        client.cancel([*running.futures])
    if killed:
        raise BrokenProcessPool(str(killed))
