"""`Training`: train a skorch net up to an epoch, and copy its state on the way."""

import dis
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_tickets._network import SparseRows, row_sizes
from sklearn_tickets.training._batches import check_batches
from sklearn_tickets.training._l1_penalty import L1Penalty
from sklearn_tickets.training._learn_mask import LearnMask
from sklearn_tickets.training._mask_learner import MaskLearner
from sklearn_tickets.training._one_cycle import one_cycle
from sklearn_tickets.training._quick_loop import quick_loop
from sklearn_tickets.training._same_start import SameStart
from sklearn_tickets.training._state import (
    HOLD_MASK,
    OWN,
    RESUME,
    SNAPSHOT,
    START,
    Snapshot,
    TrainingState,
    without,
)
from sklearn_tickets.training._weighted_loss import weighted_loop, with_weights

# Callbacks of a training are closer to its steps than those of the net: they are notified first
# after a step and of a new epoch, and last of everything else.
_FIRST = ("on_epoch_begin", "on_grad_computed", "on_batch_end")
_LAST = ("on_train_begin", "on_batch_begin", "on_epoch_end", "on_train_end")


@dataclass(eq=False)
class Training:
    """A training of a skorch net up to a given epoch.

    Nothing is trained before `run` is called, so a training can be described in one place and
    run in another.

    Parameters
    ----------
    net : NeuralNet
        The initialized net. Its callbacks may stop the training early.
    X : ndarray or SparseRows of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples, ...)
        The targets.
    until : int
        Total number of epochs, including those already in the net's history.
    snapshot : int or None, default=None
        Epoch at the end of which to copy the state of the net.
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule of this training, in addition to those of the net.
    penalty : L1Penalty or None, default=None
        Penalty that is added to the loss.
    callbacks : mapping of str to Callback, default={}
        Callbacks for this training only, in addition to those of the net. They are notified of a
        new epoch, of gradients and of the end of a batch before those, and of everything else
        after them.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        Weights of the losses of the rows; see `weighted_loss`.
    learner : MaskLearner or None, default=None
        Gates in front of the weights, which learn with them or in their place.

    Attributes
    ----------
    passed : TrainingState or None
        The copied state; None until training has reached the epoch of the snapshot.

    See Also
    --------
    TrainingState : A point in a training that can be returned to.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.training import Training
    >>> planted = PlantedTicketGenerator(width=20, random_state=0).generate(200)
    >>> net = planted.make_net().initialize()
    >>> training = Training(net, planted.X, planted.y, until=3, snapshot=1)
    >>> training.run()
    >>> len(net.history), len(training.passed.epochs)
    (3, 1)
    """

    net: NeuralNet
    X: np.ndarray | SparseRows
    y: np.ndarray
    until: int
    snapshot: int | None = None
    schedule: str | None = None
    penalty: L1Penalty | None = None
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    sample_weight: np.ndarray | None = None
    learner: MaskLearner | None = None
    passed: TrainingState | None = field(default=None, init=False)

    @property
    def n_epochs(self) -> int:
        """Number of epochs that are left."""
        return max(0, self.until - len(self.net.history))

    @property
    def rows(self) -> Any:
        """The inputs of the net's data set, with their weights if there are any."""
        weights = None if self.sample_weight is None else self.sample_weight.astype(np.float32)
        return with_weights(self.X, weights)

    def run(self) -> None:
        """Train the net.

        Raises
        ------
        ValueError
            If there are no batches, a callback changes the weights before the first step, or the
            training loss is not finite.
        KeyboardInterrupt
            If the user interrupts the training. skorch alone would only end it.
        """
        callbacks = dict(self.callbacks)
        if self.learner is not None:
            callbacks["learn_mask"] = LearnMask(self.learner)
        if self.schedule == "one-cycle" and self.n_epochs:
            callbacks["one_cycle"] = one_cycle(self.net, self.X, self.y, self.n_epochs)
        if self.penalty is not None:
            callbacks["l1_penalty"] = self.penalty
        is_plain = self.sample_weight is None
        with quick_loop(self.net), nullcontext() if is_plain else weighted_loop(self.net):
            self.run_loop(self.net.fit_loop, callbacks)

    def run_loop(
        self, fit_loop: Callable[..., Any], callbacks: Mapping[str, Callback] | None = None
    ) -> None:
        """Run a given loop over epochs between the usual beginning and end of a training.

        Parameters
        ----------
        fit_loop : callable
            Called like a net's ``fit_loop``, with X, y and ``epochs``.
        callbacks : mapping of str to Callback, default=None
            Callbacks for this training only.

        Raises
        ------
        ValueError, KeyboardInterrupt
            As for `run`.
        """
        net, X, y, n_epochs = self.net, self.rows, self.y, self.n_epochs
        if not n_epochs:
            return
        check_batches(net, self.X, y)
        recorder, start = Snapshot(self.snapshot or 0), SameStart(net)
        held = [(name, callback) for name, callback in net.callbacks_ if name == HOLD_MASK]
        own = {OWN + name: callback.initialize() for name, callback in (callbacks or {}).items()}
        inner = dict(held) | own
        net.callbacks_ = [
            # First, in case another callback stops the training at the end of an epoch.
            (SNAPSHOT, recorder),
            *((name, _limited(callback, _FIRST)) for name, callback in inner.items()),
            *without(net.callbacks_, HOLD_MASK),
            (START, start),
            *((name, _limited(callback, _LAST)) for name, callback in inner.items()),
            # Last, to see what the others do at the end of an epoch.
            (SNAPSHOT, recorder),
        ]
        net.notify("on_train_begin", X=X, y=y)
        # A callback of this training may have applied a mask.
        start.look(net)
        try:
            fit_loop(X, y, epochs=n_epochs)
        except KeyboardInterrupt as interrupt:
            # EarlyStopping raises this to end a training. An interrupt by the user is passed on.
            if not _is_raised_by_callback(interrupt):
                raise
        finally:
            net.notify("on_train_end", X=X, y=y)
            net.callbacks_ = held + without(net.callbacks_, SNAPSHOT, RESUME, START, *inner)
        loss = last_train_loss(net)
        if not np.isfinite(loss):
            scale_y = f" and y (|y| <= {np.abs(y).max():.3g})" if y.dtype.kind == "f" else ""
            raise ValueError(
                f"The training loss of estimator={type(net).__name__} is {loss} after "
                f"{len(net.history)} epochs. Lower its learning rate (lr={net.lr!r}), scale X "
                f"(|X| <= {row_sizes(self.X).max():.3g}){scale_y}, or check its criterion."
            )
        self.passed = getattr(recorder, "state_", self.passed)


def _limited(callback: Callback, events: Sequence[str]) -> Callback:
    """Make a callback that passes on only these events."""
    limited = Callback()
    vars(limited).update({event: getattr(callback, event) for event in events})
    return limited


def _is_raised_by_callback(error: BaseException) -> bool:
    """Whether a callback raised the error itself, rather than being interrupted by a signal."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return False
    operation = innermost.tb_frame.f_code.co_code[innermost.tb_lasti]
    is_callback = isinstance(innermost.tb_frame.f_locals.get("self"), Callback)
    return is_callback and dis.opname[operation] == "RAISE_VARARGS"


def last_train_loss(net: NeuralNet) -> float:
    """Compute the mean training loss per sample over the last epoch.

    Parameters
    ----------
    net : NeuralNet
        The net.

    Returns
    -------
    loss : float
        The mean; NaN before the first epoch.
    """
    rows = net.history[-1]["batches"] if net.history else []
    batches = [batch for batch in rows if "train_batch_size" in batch]
    if not batches:
        return float("nan")
    losses = [batch["train_loss"] for batch in batches]
    return float(np.average(losses, weights=[batch["train_batch_size"] for batch in batches]))
