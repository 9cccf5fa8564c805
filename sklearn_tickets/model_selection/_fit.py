"""`fit_in_batches`: fits of pruners that go from training to training side by side.

What a pruner trains it leaves to its caller. Trainings that can be stacked are done as one
network, all others as ever.
"""

import logging
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from sklearn_tickets._rewind import Training
from sklearn_tickets._train import random_streams, set_random_streams
from sklearn_tickets.model_selection._member import CannotStackError, Member, n_bytes
from sklearn_tickets.model_selection._stack import Stack, Trained, try_out
from sklearn_tickets.pruners import BasePruner

LOGGER = logging.getLogger("sklearn_tickets")
# Smaller stacks are slower than skorch.
_SMALLEST = 3


def pruner_of(estimator: BaseEstimator) -> Any:
    """The pruner that an estimator is, or that a pipeline ends in, or None."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator if isinstance(estimator, BasePruner) else None


class Fit:
    """A fit that stops before each of its trainings.

    Parameters
    ----------
    estimator : estimator
        Fitted in place.

    Attributes
    ----------
    training : Training or None
        What comes next; None when the fit has come to its end.
    error : Exception or None
        What the fit has failed with.
    seconds : float
        What it has taken so far.
    """

    def __init__(self, estimator: BaseEstimator) -> None:
        self.estimator = estimator
        self.training: Any = None
        self.error: Exception | None = None
        self.seconds = 0.0
        self._streams: Any = None
        self._trainings: Any = None

    def start(self, X: Any, y: Any) -> None:
        """Fit, up to the first training."""
        pruner = pruner_of(self.estimator)
        with self._at_work():
            if pruner is None or getattr(pruner, "_skl_callbacks", None):
                self.estimator.fit(X, y)
                return
            # A pipeline fits its transformers; what it hands to the pruner waits for us.
            given: list[Any] = []
            pruner.fit = lambda X, y=None: given.extend((X, y))
            try:
                self.estimator.fit(X, y)
            finally:
                del pruner.fit
            pruner._validate_params()
            self._trainings = pruner._trainings(*given)
            self._go_on()

    def part(self) -> Training:
        """What is to be trained without a halt: not beyond a state to return to."""
        is_before = len(self.training.net.history) < (self.training.snapshot or 0)
        if is_before and self.training.snapshot < self.training.until:
            return replace(self.training, until=self.training.snapshot)
        return self.training

    def member(self, obstacles: dict[bytes, str | None]) -> Member:
        """That part as part of a stack; `obstacles` remembers what has been tried out."""
        with self._in_own_streams():
            member = Member.of(self.part())
            if member.key not in obstacles:
                obstacles[member.key] = None
                try:
                    try_out(member)
                except CannotStackError as error:
                    obstacles[member.key] = str(error)
        if obstacles[member.key] is not None:
            raise CannotStackError(obstacles[member.key])
        return member

    def train(self) -> None:
        """Train in the ordinary way, and fit up to the next training."""
        with self._at_work():
            self.training.run()
            self._go_on()

    def take_over(self, member: Member, trained: Trained) -> None:
        """Go on from what the training of a part has led to."""
        with self._at_work():
            # Everything around the loop over epochs is as ever: history, checks, callbacks.
            member.training.run_as(partial(_replay, member, trained))
            torch.set_rng_state(trained.stream)
            self.training.passed = member.training.passed
            if not self.training.n_epochs:
                self._go_on()

    def hand_out(self) -> BaseEstimator:
        """The estimator, which lets itself be set up and fitted once more, to no effect."""
        estimator = self.estimator

        def fit(X, y=None):
            del estimator.set_params, estimator.fit
            if self.error is not None:
                raise self.error
            return estimator

        estimator.set_params, estimator.fit = lambda **parameters: estimator, fit
        return estimator

    def _go_on(self) -> None:
        """Fit up to the next training, or to the end."""
        self.training = next(self._trainings, None)
        if self.training is None:

            def no_trainings(X, y):
                yield from ()

            # scikit-learn has its own part in the end of a fit.
            pruner = pruner_of(self.estimator)
            pruner._trainings = no_trainings
            try:
                pruner.fit(None)
            finally:
                del pruner._trainings

    def close(self) -> None:
        """Give up what is not finished: left to itself, it would disturb random streams later."""
        if self.training is not None:
            with self._in_own_streams():
                self._trainings.close()
            self.training = None

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Take the time, and keep the error if there is one."""
        began = time.perf_counter()
        try:
            with self._in_own_streams():
                yield
        except Exception as error:
            self.error = error
            self.close()
        self.seconds += time.perf_counter() - began

    @contextmanager
    def _in_own_streams(self) -> Iterator[None]:
        """Let the fit find random streams as it has left them, and put the others back."""
        others = random_streams()
        if self._streams is not None:
            set_random_streams(self._streams)
        try:
            yield
        finally:
            self._streams = random_streams()
            set_random_streams(others)


def obstacle_to(estimator: BaseEstimator, X: Any, y: Any) -> str | None:
    """Why the first training of an estimator could not be part of a stack, or None."""
    fit = Fit(clone(estimator))
    with warnings.catch_warnings():
        # They come again when the estimator is fitted in earnest.
        warnings.simplefilter("ignore")
        fit.start(X, y)
        try:
            if fit.training is not None:
                fit.member({})
        except CannotStackError as error:
            return str(error)
        finally:
            fit.close()
    return None


def fit_in_batches(
    fits: Iterable[tuple[Fit, tuple[Any, Any]]], n_jobs: int | None, max_batch_bytes: int
) -> Iterator[Fit]:
    """Bring fits to their ends, as many at a time as memory allows.

    Parameters
    ----------
    fits : iterable of (Fit, (X, y))
        Not yet started, and the data.
    n_jobs : int or None
        Number of stacks trained side by side, in threads.
    max_batch_bytes : int
        Limit of the memory for trainings.

    Yields
    ------
    fit : Fit
        Finished, or failed with an error; in order.
    """
    told: set[str] = set()
    waiting, taken = [], 0
    for fit, data in fits:
        fit.start(*data)
        waiting.append(fit)
        taken += 0 if fit.training is None else n_bytes(fit.training)
        if not 0 < taken < max_batch_bytes:
            _fit_together(waiting, n_jobs, told)
            yield from waiting
            waiting, taken = [], 0
    _fit_together(waiting, n_jobs, told)
    yield from waiting


def _fit_together(fits: list[Fit], n_jobs: int | None, told: set[str]) -> None:
    """Bring fits that have started to their ends, and tell once why trainings are not stacked."""
    obstacles: dict[bytes, str | None] = {}
    try:
        while waiting := [fit for fit in fits if fit.training is not None]:
            groups: dict[bytes, list[tuple[Fit, Member]]] = defaultdict(list)
            for fit in waiting:
                if not fit.training.n_epochs:
                    fit.train()
                    continue
                try:
                    member = fit.member(obstacles)
                except CannotStackError as error:
                    if str(error) not in told:
                        told.add(str(error))
                        LOGGER.info("Trainings are not stacked: %s.", error)
                    fit.train()
                else:
                    groups[member.key].append((fit, member))
            _train(list(groups.values()), n_jobs)
    finally:
        for fit in fits:
            fit.close()


def _train(groups: list[list[tuple[Fit, Member]]], n_jobs: int | None) -> None:
    """Train each group in stacks side by side, and let their fits go on."""
    with parallel_config("threading"):
        n_jobs = effective_n_jobs(n_jobs)
    stacks = []
    for group in groups:
        group.sort(key=lambda pair: repr(pair[1].settings))
        n_stacks = max(1, min(n_jobs, len(group) // _SMALLEST))
        stacks += [group[i::n_stacks] for i in range(n_stacks)]
    n_threads = torch.get_num_threads()
    torch.set_num_threads(max(1, n_threads // max(1, min(n_jobs, len(stacks)))))
    try:
        outcomes = Parallel(n_jobs, backend="threading")(
            delayed(_train_stack)([member for _, member in stack]) for stack in stacks
        )
    finally:
        torch.set_num_threads(n_threads)
    for stack, (trained, seconds) in zip(stacks, outcomes, strict=True):
        for (fit, member), own in zip(stack, trained, strict=True):
            fit.seconds += seconds / len(stack)
            if own is None:
                fit.train()
            else:
                fit.take_over(member, own)


def _train_stack(members: list[Member]) -> tuple[Sequence[Trained | None], float]:
    """Train as one network, and tell how long it takes; None stands for what is still to do."""
    began = time.perf_counter()
    outcome = _trained(members)
    return outcome, time.perf_counter() - began


def _trained(members: list[Member]) -> Sequence[Trained | None]:
    """Train as one network, or as several if memory does not suffice."""
    if len(members) < _SMALLEST:
        return [None] * len(members)
    try:
        trained = Stack(members).train()
        LOGGER.debug("Trained %d fits as one network.", len(members))
        return trained
    except Exception as error:
        problem = str(error) or type(error).__name__
    # Here, the stack that has failed is no longer in memory.
    if "memory" in problem.lower():
        LOGGER.info("A stack of %d fits is split: %s", len(members), problem)
        half = len(members) // 2
        return [*_trained(members[:half]), *_trained(members[half:])]
    LOGGER.info("%d fits are trained one by one: %s", len(members), problem)
    return [None] * len(members)


def _replay(member: Member, trained: Trained, X: Any, y: Any, epochs: int) -> None:
    """In place of skorch's loop over epochs, tell the net what has happened."""
    net, batches = member.net, member.batches
    with torch.no_grad():
        for name, parameter in net.module_.named_parameters():
            parameter.copy_(trained.weights[name])
    groups = net.optimizer_.state_dict()["param_groups"]
    net.optimizer_.load_state_dict({"state": trained.state, "param_groups": groups})
    sizes = [len(rows) for rows in batches.y.split(batches.batch_size)]
    losses, datasets = iter(trained.losses), {"dataset_train": None, "dataset_valid": None}
    for _ in range(epochs):
        net.notify("on_epoch_begin", **datasets)
        net.history[-1]["batches"] += [
            {"train_loss": next(losses), "train_batch_size": size} for size in sizes
        ]
        net.history.record("train_batch_count", len(batches))
        net.notify("on_epoch_end", **datasets)
