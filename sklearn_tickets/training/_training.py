"""`Training`: a training of a skorch net, yet to be done."""

import dis
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_tickets.training._l1_penalty import L1Penalty
from sklearn_tickets.training._one_cycle import one_cycle
from sklearn_tickets.training._quick_loop import sparing
from sklearn_tickets.training._state import OWN, RESUME, SNAPSHOT, Snapshot, TrainingState, without


@dataclass(eq=False)
class Training:
    """A training of a net until its history has so many epochs, yet to be done.

    Attributes
    ----------
    net : NeuralNet
        Initialized; callbacks may stop it early.
    X, y : ndarray
        The data.
    until : int
        Total number of epochs, those in the history included.
    snapshot : int or None, default=None
        The epoch at whose end to copy the state.
    schedule : {"one-cycle"} or None, default=None
        The schedule of the learning rate, besides those of the net.
    penalty : L1Penalty or None, default=None
        What is added to the loss.
    callbacks : mapping of str to Callback, default={}
        Callbacks for this training only, besides the net's own.
    passed : TrainingState or None
        The copy; None as long as training has not passed that epoch.
    """

    net: NeuralNet
    X: np.ndarray
    y: np.ndarray
    until: int
    snapshot: int | None = None
    schedule: str | None = None
    penalty: L1Penalty | None = None
    callbacks: Mapping[str, Callback] = field(default_factory=dict)
    passed: TrainingState | None = field(default=None, init=False)

    @property
    def n_epochs(self) -> int:
        """How many epochs are left."""
        return max(0, self.until - len(self.net.history))

    def run(self) -> None:
        """Do it with skorch.

        Raises
        ------
        ValueError
            If the training loss is not finite.
        KeyboardInterrupt
            If the user interrupts; skorch alone would take this for the end of the training.
        """
        callbacks = dict(self.callbacks)
        if self.schedule == "one-cycle" and self.n_epochs:
            callbacks["one_cycle"] = one_cycle(self.net, self.X, self.y, self.n_epochs)
        if self.penalty is not None:
            callbacks["l1_penalty"] = self.penalty
        with sparing(self.net):
            self.run_as(self.net.fit_loop, callbacks)

    def run_as(
        self, fit_loop: Callable[..., Any], callbacks: Mapping[str, Callback] | None = None
    ) -> None:
        """Do all that is around the loop over epochs, which is given, and called like skorch's."""
        net, X, y, n_epochs = self.net, self.X, self.y, self.n_epochs
        if not n_epochs:
            return
        camera = Snapshot(self.snapshot or 0)
        own = [(OWN + name, callback.initialize()) for name, callback in (callbacks or {}).items()]
        # Last, when the others are done with an epoch; and first, in case one of them stops there.
        net.callbacks_ = [(SNAPSHOT, camera), *net.callbacks_, *own, (SNAPSHOT, camera)]
        net.notify("on_train_begin", X=X, y=y)
        try:
            fit_loop(X, y, epochs=n_epochs)
        except KeyboardInterrupt as interrupt:
            # Callbacks end a training like this (EarlyStopping). The user's own must get through.
            if not _is_raised_by_callback(interrupt):
                raise
        finally:
            net.notify("on_train_end", X=X, y=y)
            names = [name for name, _ in own]
            net.callbacks_ = without(net.callbacks_, SNAPSHOT, RESUME, *names)
        loss = last_train_loss(net)
        if not np.isfinite(loss):
            raise ValueError(
                f"The training loss of estimator={type(net).__name__} is {loss} after "
                f"{len(net.history)} epochs. Lower its learning rate (lr={net.lr!r}), scale X, or "
                "check its criterion."
            )
        self.passed = getattr(camera, "state_", self.passed)


def _is_raised_by_callback(error: BaseException) -> bool:
    """Whether a callback's own ``raise`` was at work, and not a signal that hit upon it."""
    innermost = error.__traceback__
    while innermost is not None and innermost.tb_next is not None:
        innermost = innermost.tb_next
    if innermost is None:
        return False
    operation = innermost.tb_frame.f_code.co_code[innermost.tb_lasti]
    is_callback = isinstance(innermost.tb_frame.f_locals.get("self"), Callback)
    return is_callback and dis.opname[operation] == "RAISE_VARARGS"


def last_train_loss(net: NeuralNet) -> float:
    """Mean training loss per sample over the last epoch; NaN before the first."""
    rows = net.history[-1]["batches"] if net.history else []
    batches = [batch for batch in rows if "train_batch_size" in batch]
    if not batches:
        return float("nan")
    losses = [batch["train_loss"] for batch in batches]
    return float(np.average(losses, weights=[batch["train_batch_size"] for batch in batches]))
