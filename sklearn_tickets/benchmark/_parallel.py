"""`call_in_parallel`: calls by joblib, or on a Dask cluster whose workers may die of them."""

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from joblib import Parallel, delayed
from joblib.parallel import get_active_backend


def call_in_parallel(
    function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], n_jobs: int | None
) -> Generator[Any]:
    """Call a function many times, and return its results as they come.

    Parameters
    ----------
    function : callable
        The function.
    calls : iterable of tuple
        The arguments of each call, which are taken little by little.
    n_jobs : int or None
        Number of parallel jobs of joblib; on Dask, all workers take part.

    Returns
    -------
    results : generator
        The results. Closing it stops the calls.

    Raises
    ------
    BrokenProcessPool
        By the generator, if a process dies; on Dask, if a call has killed as many workers as the
        scheduler allows, and then once all others are done. Not all of the calls that have no
        result are to blame: some only were in the same process.
    """
    backend, _ = get_active_backend()
    if (client := getattr(backend, "client", None)) is not None:
        return _call_on_dask(client, function, iter(calls))
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered", batch_size=1)
    return parallel(delayed(function)(*arguments) for arguments in calls)


def _call_on_dask(
    client: Any, function: Callable[..., Any], calls: Iterator[tuple[Any, ...]]
) -> Generator[Any]:
    """Do it without joblib's own backend, which waits forever for calls that kill workers."""
    from distributed import KilledWorker, as_completed

    running, killed = as_completed(), None

    def keep_busy() -> None:
        """Submit two calls for each thread; there may be more workers than before."""
        n_ahead = 2 * max(1, sum(client.nthreads().values()))
        while running.count() < n_ahead and (arguments := next(calls, None)) is not None:
            running.add(client.submit(function, *arguments, pure=False))

    keep_busy()
    try:
        for future in running:
            try:
                # Not by `as_completed`, which waits forever for a result that cannot be sent.
                result = future.result()
            except KilledWorker as error:
                killed = error
            else:
                yield result
            keep_busy()
    finally:
        client.cancel([*running.futures])
    if killed:
        raise BrokenProcessPool(str(killed))
