"""`Fit`: a fit of a pruner that stops before each of its trainings.

What a pruner trains it leaves to its caller. Many fits can so go from training to training side
by side, and their trainings be done as one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from sklearn_tickets._random import random_streams, set_random_streams
from sklearn_tickets.model_selection._member import CannotStackError, Member
from sklearn_tickets.model_selection._stack import Trained, try_out
from sklearn_tickets.pruners.base import BasePruner
from sklearn_tickets.training import Training


def pruner_of(estimator: BaseEstimator) -> Any:
    """The pruner that an estimator is, or that a pipeline ends in, or None."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator if isinstance(estimator, BasePruner) else None


class Fit:
    """A fit that is done step by step.

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
            is_plain = pruner is not None and type(pruner).fit is BasePruner.fit
            if not is_plain or getattr(pruner, "_skl_callbacks", None):
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
            member.training.run_loop(partial(_replay, member, trained))
            torch.set_rng_state(trained.stream)
            self.training.passed = member.training.passed
            if not self.training.n_epochs:
                self._go_on()

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
