"""`SearchBackend`: run the fits and scores of a scikit-learn search side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from joblib import effective_n_jobs, parallel_config
from joblib.parallel import BatchedCalls, ParallelBackendBase
from sklearn.base import BaseEstimator

from sklearn_tickets.model_selection._together import Outcome, Task, fit_together, make_parallel


@dataclass(frozen=True, kw_only=True)
class ScoredTask(Task):
    """A fit of a search, and its scores.

    Attributes
    ----------
    fit_and_score : callable
        scikit-learn's function, which takes an estimator and its data.
    options : dict
        The other arguments of the function.
    """

    fit_and_score: Callable[..., dict[str, Any]]
    options: dict[str, Any]

    def result(self, outcome: Outcome) -> dict[str, Any]:
        """Let scikit-learn score what is fitted."""
        found = self.fit_and_score(_fitted(outcome), self.X, self.y, **self.options)
        return found | {"fit_time": outcome.seconds}


def _fitted(outcome: Outcome) -> BaseEstimator:
    """Return a fitted estimator whose next ``set_params`` and ``fit`` have no effect."""
    estimator: Any = outcome.estimator

    def fit(X: Any, y: Any = None, **params: Any) -> BaseEstimator:
        del estimator.set_params, estimator.fit
        if outcome.error is not None:
            raise outcome.error
        return estimator

    estimator.set_params, estimator.fit = lambda **parameters: estimator, fit
    return estimator


class SearchBackend(ParallelBackendBase):
    """A backend of joblib for one scikit-learn search.

    A search calls a function for each candidate and split, which fits and scores. The backend
    waits for all of these calls, and divides them among the jobs of the backend that is active
    when this one is made. Each job trains the networks of its calls together.

    Once made, it is the active backend until a search takes it: what estimators and scorers run in
    parallel is up to the backend that was active before, as usual.

    Parameters
    ----------
    n_jobs : int or None
        Number of jobs.
    max_batch_bytes : int
        Memory limit for the trainings of all jobs together.

    Attributes
    ----------
    context : parallel_config
        Ends with the search, in case it never takes the backend.
    """

    supports_sharedmem = True

    def __init__(self, n_jobs: int | None, max_batch_bytes: int) -> None:
        super().__init__()
        self.limits = make_parallel(n_jobs), effective_n_jobs(n_jobs), max_batch_bytes
        self.tasks: list[ScoredTask] = []
        self.results: Iterator[dict[str, Any]] = iter(())
        self.context = parallel_config(backend=self)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return 2, because joblib runs a single job without its backend."""
        return 2

    def configure(self, n_jobs: int = 1, parallel: Any = None, **options: Any) -> int:
        """Serve the search, which comes first, and nothing else."""
        self.context.unregister()
        # Otherwise, joblib would wait for results before the last calls.
        parallel.pre_dispatch = "all"
        return super().configure(n_jobs, parallel, **options)

    def start_call(self) -> None:
        """Forget the calls of a previous series."""
        self.tasks, self.results = [], iter(())

    def submit(self, func: BatchedCalls, callback: Callable[..., Any]) -> None:
        """Note a call."""
        [(function, (estimator, X, y), options)] = func.items
        data = X, y, options["train"], options["fit_params"]
        self.tasks.append(
            ScoredTask(
                estimator, options["parameters"], *data, fit_and_score=function, options=options
            )
        )
        callback(None)

    def retrieve_result(self, job: None, timeout: float | None = None) -> list[dict[str, Any]]:
        """Return the next result, for which the first call runs all fits."""
        if self.tasks:
            self.results, self.tasks = fit_together(self.tasks, *self.limits), []
        return [next(self.results)]
