"""`fit_together`: run many fits side by side, in stacks and in processes."""

import logging
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.utils import gen_even_slices
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params

from sklearn_tickets.model_selection._fit import Course, Fit
from sklearn_tickets.model_selection._member import (
    CannotStackError,
    Member,
    n_bytes,
    n_step_bytes,
)
from sklearn_tickets.model_selection._stack import Stack
from sklearn_tickets.training import Training

LOGGER = logging.getLogger("sklearn_tickets")
# Smaller stacks are slower than skorch.
_MIN_MEMBERS = 3
# Half of a processor's shared cache. Larger stacks are slower, as each step reads all weights.
_CACHE_BYTES = 2**24


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

    def start(self) -> Fit:
        """Fit up to the first training."""
        estimator = clone(self.estimator).set_params(**clone(self.parameters, safe=False))
        data = self.X, self.y
        if self.rows is not None:
            data = _safe_split(estimator, *data, self.rows)
        return Fit(estimator, *data, **_check_method_params(self.X, self.fit_params, self.rows))


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


class Log:
    """Logs what is said about stacks, each message of level INFO only once."""

    def __init__(self) -> None:
        self.messages: dict[str, int] = {}

    def __call__(self, level: int, message: str) -> None:
        if level < logging.INFO or message not in self.messages:
            LOGGER.log(level, message)
        self.messages[message] = level


def make_parallel(n_jobs: int | None) -> Parallel:
    """Make jobs that return a generator, or a list where joblib's backend has no generators."""
    try:
        return Parallel(n_jobs, return_as="generator")
    except ValueError:
        return Parallel(n_jobs)


def fit_together(
    tasks: Sequence[Task], parallel: Parallel, n_jobs: int, max_batch_bytes: int
) -> Iterator[Outcome]:
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
    outcome : Outcome
        The results, in order.

    Warns
    -----
    UserWarning
        If none of the first fits could be stacked; names the causes.
    """
    log = Log()
    if n_jobs == 1 or len(tasks) < 2:
        outcomes = fit_in_batches(tasks, max_batch_bytes, log)
    else:
        outcomes = _fit_in_jobs(tasks, parallel, n_jobs, max_batch_bytes, log)
    for i, outcome in enumerate(outcomes):
        # The messages of a batch come before its outcomes.
        if i == 0 and log.messages and min(log.messages.values()) >= logging.INFO:
            causes = " ".join(log.messages)
            warnings.warn(
                f"No networks are stacked, so the fits run one after the other. {causes}",
                stacklevel=2,
            )
        yield outcome


def _fit_in_jobs(
    tasks: Sequence[Task],
    parallel: Parallel,
    n_jobs: int,
    max_batch_bytes: int,
    log: Callable[[int, str], None],
) -> Iterator[Outcome]:
    """Give each job its share of the fits."""
    size = _part_size(tasks, n_jobs, max_batch_bytes)
    parts = [tasks[start : start + size] for start in range(0, len(tasks), size)]
    for outcomes, messages in parallel(
        delayed(_fit_part)(part, max_batch_bytes // n_jobs) for part in parts
    ):
        for level, message in messages:
            log(level, message)
        yield from outcomes


def _part_size(tasks: Sequence[Task], n_jobs: int, max_batch_bytes: int) -> int:
    """Compute how many tasks a job gets at a time: its share, or fewer if memory is short."""
    size = -(-len(tasks) // n_jobs)
    with warnings.catch_warnings():
        # The warnings are repeated when the task is run.
        warnings.simplefilter("ignore")
        sample = tasks[0].start()
    if sample.training is not None:
        size = min(size, max_batch_bytes // n_jobs // n_bytes(sample.training))
        sample.close()
    return max(size, 1)


def _fit_part(
    tasks: Sequence[Task], max_batch_bytes: int
) -> tuple[list[Outcome], list[tuple[int, str]]]:
    """Fit in another process, and return the messages to log with the outcomes."""
    messages: list[tuple[int, str]] = []
    outcomes = [*fit_in_batches(tasks, max_batch_bytes, lambda *pair: messages.append(pair))]
    return outcomes, messages


def fit_in_batches(
    tasks: Sequence[Task], max_batch_bytes: int, log: Callable[[int, str], None]
) -> Iterator[Outcome]:
    """Start fits until their trainings fill the memory, finish them, and continue.

    Parameters
    ----------
    tasks : sequence of Task
        The fits.
    max_batch_bytes : int
        Memory limit for their trainings.
    log : callable ``(level, message)``
        Gets the messages about stacks, as `Log` does.

    Yields
    ------
    outcome : Outcome
        The results, in order.
    """
    waiting, taken = [], 0
    for i, task in enumerate(tasks, 1):
        fit = task.start()
        waiting.append(fit)
        taken += 0 if fit.training is None else n_bytes(fit.training)
        if not 0 < taken < max_batch_bytes or i == len(tasks):
            if taken and len(waiting) < _MIN_MEMBERS and i < len(tasks):
                log(
                    logging.INFO,
                    f"Trainings are not stacked: max_batch_bytes={max_batch_bytes} per job has "
                    f"room for {len(waiting)}, and a stack needs {_MIN_MEMBERS}.",
                )
            _finish(waiting, log)
            yield from (Outcome(fit.estimator, fit.error, fit.seconds) for fit in waiting)
            waiting, taken = [], 0


def train_together(sequences: Iterable[Generator[Training, None, None]]) -> None:
    """Run sequences of trainings side by side, in stacks where possible.

    Parameters
    ----------
    sequences : iterable of generator
        Each yields its trainings, of a net of its own, to be run before it resumes. Its random
        streams are its own as well.

    Raises
    ------
    Exception
        The error of the first sequence that fails.
    """
    courses = [Course(trainings) for trainings in sequences]
    _finish(courses, Log())
    for course in courses:
        if course.error is not None:
            raise course.error


def _finish(fits: Sequence[Course], log: Callable[[int, str], None]) -> None:
    """Run all trainings."""
    obstacles: dict[bytes, str | None] = {}
    try:
        while waiting := [fit for fit in fits if fit.training is not None]:
            groups: dict[bytes, list[tuple[Course, Member]]] = defaultdict(list)
            for fit in waiting:
                if not fit.training.n_epochs:
                    fit.train()
                    continue
                try:
                    member = fit.member(obstacles)
                except CannotStackError as error:
                    log(logging.INFO, f"Trainings are not stacked: {error}.")
                    fit.train()
                else:
                    groups[member.key].append((fit, member))
            if len(waiting) >= _MIN_MEMBERS > max(map(len, groups.values()), default=len(fits)):
                log(
                    logging.INFO,
                    f"Trainings are not stacked: fewer than {_MIN_MEMBERS} have the same network, "
                    "optimizer, loss, batch size and numbers of samples and epochs.",
                )
            for group in groups.values():
                for stack in _stacks(group):
                    _train(stack, log)
    finally:
        for fit in fits:
            fit.close()


def _stacks(group: list[tuple[Course, Member]]) -> Iterator[list[list[tuple[Course, Member]]]]:
    """Divide trainings into stacks that the cache holds, with equal trainings side by side."""
    group.sort(key=lambda pair: repr(pair[1].settings))
    equal = defaultdict(list)
    for pair in group:
        equal[pair[1].fingerprint].append(pair)
    different = [*equal.values()]
    first = group[0][1]
    n_stacks = 1
    if first.net.device == "cpu":
        n_stacks = -(-len(different) * n_step_bytes(first.training) // _CACHE_BYTES)
    n_stacks = max(1, min(n_stacks, len(different) // _MIN_MEMBERS))
    for part in gen_even_slices(len(different), n_stacks):
        yield different[part]


def _train(stack: list[list[tuple[Course, Member]]], log: Callable[[int, str], None]) -> None:
    """Train as one network, as several if memory is short, or one by one.

    Each entry of the stack has the fits of one training.
    """
    fits = [fit for pairs in stack for fit, _ in pairs]
    if len(fits) < _MIN_MEMBERS:
        for fit in fits:
            fit.train()
        return
    began = time.perf_counter()
    problem = None
    try:
        trained = Stack([pairs[0][1] for pairs in stack]).train()
    except Exception as error:
        problem = str(error) or type(error).__name__
    # At this point, a stack that has failed no longer occupies memory.
    seconds = (time.perf_counter() - began) / len(fits)
    for fit in fits:
        fit.seconds += seconds
    if problem is None:
        log(logging.DEBUG, f"Trained {len(fits)} fits as one network.")
        for pairs, own in zip(stack, trained, strict=True):
            for fit, member in pairs:
                fit.load(member, own)
    elif "memory" in problem.lower() and len(stack) > 1:
        log(logging.INFO, f"A stack of {len(fits)} fits is split: {problem}")
        half = len(stack) // 2
        _train(stack[:half], log)
        _train(stack[half:], log)
    else:
        log(logging.INFO, f"{len(fits)} fits are trained one by one: {problem}")
        for fit in fits:
            fit.train()
