"""`Course`: trainings that pause before each of them; `trainings_of`: those of a pruner's fit.

The caller runs the trainings. This lets many fits advance side by side, with their trainings run
as one.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any

import torch
from joblib import parallel_config
from sklearn.base import BaseEstimator
from skorch.callbacks import EpochScoring, ProgressBar
from torch import Tensor

from sklearn_tickets._estimators import pruner_of
from sklearn_tickets._random import STREAMS, random_streams, set_random_streams
from sklearn_tickets.model_selection._make_stack import try_out
from sklearn_tickets.model_selection._member import CannotStackError, Member, is_watched
from sklearn_tickets.model_selection._stack import Trained
from sklearn_tickets.pruners.base import BasePruner
from sklearn_tickets.training import LearnMask, Training


class Course:
    """A sequence of trainings that pauses before each of them.

    Parameters
    ----------
    trainings : generator of Training
        Yields each training, which is run before it resumes.

    Attributes
    ----------
    training : Training or None
        The next training; None at the end.
    error : Exception or None
        The error that ended the sequence.
    seconds : float
        Time that it has taken so far.
    """

    def __init__(self, trainings: Generator[Training, None, None]) -> None:
        self.training: Any = None
        self.error: Exception | None = None
        self.seconds = 0.0
        self._streams: Any = None
        self._trainings = trainings
        with self._recorded():
            self._advance()

    def segment(self) -> Training:
        """Return the part of the training up to the snapshot, or all that is left after it."""
        is_before = len(self.training.net.history) < (self.training.snapshot or 0)
        if is_before and self.training.snapshot < self.training.until:
            return replace(self.training, until=self.training.snapshot)
        return self.training

    def member(self, obstacles: dict[bytes, str | None]) -> Member:
        """Describe the segment as a member of a stack, or raise a CannotStackError.

        Parameters
        ----------
        obstacles : dict of bytes to (str or None)
            Why members of a key cannot be stacked, if they cannot. It is updated.

        Returns
        -------
        member : Member
            The segment.
        """
        with self._own_streams():
            member = Member.of(self.segment())
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
        """Train with skorch, then continue up to the next training."""
        with self._recorded():
            self.training.run()
            self._advance()

    def load(self, member: Member, trained: Trained) -> None:
        """Load a segment that a stack has trained, then continue up to the next training."""
        training = member.training
        with self._recorded():
            # Everything but the loop over epochs runs as usual: history, checks and callbacks.
            replay, callbacks = partial(_replay_epochs, member, trained), {}
            if training.learner is not None and is_watched(training):
                callbacks["learn_mask"] = LearnMask(training.learner)
            training.run_loop(replay, callbacks)
            torch.set_rng_state(trained.stream)
            self.training.passed = training.passed
            if not self.training.n_epochs:
                self._advance()

    def _advance(self) -> None:
        """Continue up to the next training, or to the end."""
        self.training = next(self._trainings, None)

    def close(self) -> None:
        """Abandon what is unfinished, which would otherwise reset the random streams later."""
        if self.training is not None:
            with self._own_streams():
                self._trainings.close()
            self.training = None

    @contextmanager
    def _recorded(self) -> Iterator[None]:
        """Measure the time of a block, and keep its error."""
        began = time.perf_counter()
        try:
            with self._own_streams():
                yield
        except Exception as error:
            self.error = error
            self.close()
        self.seconds += time.perf_counter() - began

    @contextmanager
    def _own_streams(self) -> Iterator[None]:
        """Give the sequence the random streams as it left them, and restore the caller's."""
        with STREAMS:
            others = random_streams()
            if self._streams is not None:
                set_random_streams(self._streams)
            try:
                yield
            finally:
                self._streams = random_streams()
                set_random_streams(others)


def trainings_of(
    estimator: BaseEstimator, X: Any, y: Any, **params: Any
) -> Generator[Training, None, None]:
    """Fit a pruner, alone or at the end of a pipeline, and yield its trainings.

    Parameters
    ----------
    estimator : estimator
        The estimator, which is fitted in place.
    X, y : array-like
        The data.
    **params : dict
        Parameters of the estimator's ``fit``.

    Yields
    ------
    training : Training
        To be run before the fit resumes. An estimator that has to be fitted in one go has none.
    """
    pruner = pruner_of(estimator)
    is_plain = isinstance(pruner, BasePruner) and type(pruner).fit is BasePruner.fit
    if not is_plain or getattr(pruner, "_skl_callbacks", None):
        estimator.fit(X, y, **params)
        return
    # Transformers of inputs and targets are fitted here. The pruner only records its data,
    # also where scikit-learn would fit a clone.
    data: list[Any] = []
    pruner.fit = lambda X, y=None, sample_weight=None: data.extend((X, y, sample_weight))
    pruner.__sklearn_clone__ = lambda: pruner
    try:
        # A thread that fits another pruner would wait for the random streams, and this one for it.
        with parallel_config(backend="sequential"):
            estimator.fit(X, y, **params)
    finally:
        del pruner.fit, pruner.__sklearn_clone__
    pruner._validate_params()
    yield from pruner._trainings(*data)

    def no_trainings(*data: Any) -> Iterator[Training]:
        yield from ()

    # The trainings are done, but scikit-learn's wrapper of `fit` has work of its own.
    pruner._trainings = no_trainings
    try:
        pruner.fit(None)
    finally:
        del pruner._trainings


def _replay_epochs(member: Member, trained: Trained, X: Any, y: Any, epochs: int) -> None:
    """Stand in for skorch's loop over epochs: load the results, and record the history."""
    net, batches, losses = member.net, member.batches, iter(trained.losses)
    sizes = [len(rows) for rows in batches.y.split(batches.batch_size)]
    scored = iter(trained.scored)
    net.check_data(X, y)
    dataset, held_out = net.get_split_datasets(X, y)
    validation = None if held_out is None else net.get_iterator(held_out, training=False)
    readers = [each for _, each in net.callbacks_ if type(each) in (EpochScoring, ProgressBar)]
    for epoch in range(epochs):
        net.notify("on_epoch_begin", dataset_train=dataset, dataset_valid=held_out)
        if epoch < len(trained.states):
            with torch.no_grad():
                module = net.module_
                for name, tensor in chain(module.named_parameters(), module.named_buffers()):
                    tensor.copy_(trained.states[epoch][name])
            if trained.learners:
                vars(member.training.learner).update(vars(trained.learners[epoch]))
        if not epoch:
            [group] = net.optimizer_.state_dict()["param_groups"]
            # Copies: fits whose trainings are equal share the results.
            state = {
                index: {
                    name: value.clone() if isinstance(value, Tensor) else value
                    for name, value in values.items()
                }
                for index, values in trained.state.items()
            }
            groups = [group | trained.settings]
            net.optimizer_.load_state_dict({"state": state, "param_groups": groups})
        rows = net.history[-1]["batches"]
        for size in sizes:
            rows.append({"train_loss": next(losses), "train_batch_size": size})
            targets, outputs = next(scored, (None, None))
            for reader in readers:
                reader.on_batch_end(net, batch=(None, targets), y_pred=outputs, training=True)
        net.history.record("train_batch_count", len(batches))
        net.run_single_epoch(
            validation, training=False, prefix="valid", step_fn=net.validation_step
        )
        net.notify("on_epoch_end", dataset_train=dataset, dataset_valid=held_out)
