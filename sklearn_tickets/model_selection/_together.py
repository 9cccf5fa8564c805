"""`fit_together`: run many fits side by side, in stacks and in processes."""

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.utils import gen_even_slices
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from sklearn_tickets.model_selection._fit import Course, trainings_of
from sklearn_tickets.model_selection._member import n_bytes
from sklearn_tickets.model_selection._train_together import MIN_MEMBERS, Log, finish
from sklearn_tickets.pruners.base import Scores, shared_gradients


@dataclass(frozen=True)
class Task:
    """A fit that has not started yet.

    Attributes
    ----------
    estimator : estimator
        The estimator to clone.
    parameters : dict
        The parameters to set.
    X, y : array-like
        The data.
    rows : array-like of int or None, default=None
        Indices of the samples to fit to; None uses all.
    fit_params : dict, default={}
        Parameters of the estimator's ``fit``, such as weights of all samples.
    """

    estimator: BaseEstimator
    parameters: dict[str, Any]
    X: Any
    y: Any
    rows: Any = None
    fit_params: dict[str, Any] = field(default_factory=dict)

    def start(self) -> tuple[BaseEstimator, Course]:
        """Fit an estimator up to its first training."""
        estimator = clone(self.estimator).set_params(**clone(self.parameters, safe=False))
        data = self.X, self.y
        if self.rows is not None:
            data = _safe_split(estimator, *data, self.rows)
        params = _check_method_params(self.X, self.fit_params, self.rows)
        return estimator, Course(trainings_of(estimator, *data, **params))

    def result(self, outcome: "Outcome") -> Any:
        """Return what is kept of the fit; this runs where the fit ran."""
        return outcome


@dataclass(frozen=True)
class Outcome:
    """The result of a fit.

    Attributes
    ----------
    estimator : estimator
        The estimator, fitted unless there is an error.
    error : Exception or None
        The error that ended the fit.
    seconds : float
        The time of the fit, with its share of the time of the stacks.
    """

    estimator: BaseEstimator
    error: Exception | None
    seconds: float

    def __getstate__(self) -> dict[str, Any]:
        # Errors lose their tracebacks between processes.
        if self.error is not None:
            self.error.add_note("".join(traceback.format_exception(self.error)))
        return vars(self)


def make_parallel(n_jobs: int | None) -> Parallel:
    """Make jobs that return a generator, or a list where joblib's backend has no generators."""
    try:
        return Parallel(n_jobs, return_as="generator")
    except ValueError:
        return Parallel(n_jobs)


def fit_together(
    tasks: Sequence[Task], parallel: Parallel, n_jobs: int, max_batch_bytes: int
) -> Iterator[Any]:
    """Run fits side by side, as many at a time as memory allows.

    Parameters
    ----------
    tasks : sequence of Task
        The fits.
    parallel : Parallel
        Runs the jobs, as made by `make_parallel`.
    n_jobs : int
        Number of jobs that it runs at a time.
    max_batch_bytes : int
        Memory limit for the trainings of all jobs together.

    Yields
    ------
    result : object
        The results of the tasks, in order.

    Warns
    -----
    UserWarning
        If none of the first fits could be stacked; names the causes.
    """
    log = Log()
    if n_jobs == 1 or len(tasks) < 2:
        results = fit_in_batches(tasks, max_batch_bytes, log)
    else:
        results = _fit_in_jobs(tasks, parallel, n_jobs, max_batch_bytes, log)
    for i, result in enumerate(results):
        # The messages of a batch come before its results.
        if i == 0 and log.messages and min(log.messages.values()) >= logging.INFO:
            causes = " ".join(log.messages)
            warnings.warn(
                f"No networks are stacked, so the fits run one after the other. {causes}",
                stacklevel=2,
            )
        yield result


def _fit_in_jobs(
    tasks: Sequence[Task],
    parallel: Parallel,
    n_jobs: int,
    max_batch_bytes: int,
    log: Callable[[int, str], None],
) -> Iterator[Any]:
    """Give each job its share of the fits."""
    shares = [tasks[share] for share in gen_even_slices(len(tasks), n_jobs)]
    for results, messages in parallel(
        delayed(_fit_share)(share, max_batch_bytes // n_jobs) for share in shares
    ):
        for level, message in messages:
            log(level, message)
        yield from results


def _fit_share(
    tasks: Sequence[Task], max_batch_bytes: int
) -> tuple[list[Any], list[tuple[int, str]]]:
    """Fit in another process, and return the messages to log with the results."""
    messages: list[tuple[int, str]] = []
    results = [*fit_in_batches(tasks, max_batch_bytes, lambda *pair: messages.append(pair))]
    return results, messages


def fit_in_batches(
    tasks: Sequence[Task], max_batch_bytes: int, log: Callable[[int, str], None]
) -> Iterator[Any]:
    """Start fits until their trainings fill the memory, finish them, and continue.

    Parameters
    ----------
    tasks : sequence of Task
        The fits.
    max_batch_bytes : int
        Memory limit for their trainings, and for the gradients that they share.
    log : callable ``(level, message)``
        Gets the messages about stacks, as `Log` does.

    Yields
    ------
    result : object
        The results of the tasks, in order.
    """
    waiting: list[tuple[Task, BaseEstimator, Course]] = []
    taken, found = 0, dict[str, Scores]()
    try:
        for i, task in enumerate(tasks, 1):
            with shared_gradients(found):
                waiting.append((task, *task.start()))
            training = waiting[-1][2].training
            taken += 0 if training is None else n_bytes(training)
            shared = sum(part.nbytes for gradient in found.values() for part in gradient.values())
            if not taken or taken + shared >= max_batch_bytes or i == len(tasks):
                if taken and len(waiting) < MIN_MEMBERS and i < len(tasks):
                    log(
                        logging.INFO,
                        f"Trainings are not stacked: max_batch_bytes={max_batch_bytes} per job has "
                        f"room for {len(waiting)}, and a stack needs {MIN_MEMBERS}.",
                    )
                finish([course for *_, course in waiting], log)
                for begun, estimator, course in waiting:
                    yield begun.result(Outcome(estimator, course.error, course.seconds))
                waiting, taken, found = [], 0, {}
    finally:
        for *_, course in waiting:
            course.close()
