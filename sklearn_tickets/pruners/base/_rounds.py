"""`Rounds`: the rounds that a fit goes through; `Run`: a fit under way."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training import Training, TrainingState

if TYPE_CHECKING:
    from sklearn_tickets.pruners.base._base import BasePruner


@dataclass(frozen=True)
class Rounds:
    """The rounds that a pruner goes through.

    In each round the masked network is trained, a part of it is pruned, and the rest is
    returned to an earlier state of its training.

    Parameters
    ----------
    max_epochs : int
        The net's own number of epochs, which None stands for in the others.
    sparsity : float in [0, 1) or None, default=None
        What the last round prunes to; None leaves it to the algorithm.
    n_rounds : int, default=1
        Number of rounds.
    round_epochs : int or None, default=0
        Epochs trained in each round.
    rewind_epoch : int or None, default=0
        Where kept weights return to after a round; None keeps them.
    final_epochs : int or None, default=None
        Epochs of the ticket's own training.
    train_ticket : bool, default=True
        Whether the ticket is trained.
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule of each training.
    store_rounds : bool, default=False
        Whether the weights trained in each round are kept.
    """

    max_epochs: int
    sparsity: float | None = None
    n_rounds: int = 1
    round_epochs: int | None = 0
    rewind_epoch: int | None = 0
    final_epochs: int | None = None
    train_ticket: bool = True
    schedule: str | None = None
    store_rounds: bool = False

    @classmethod
    def of(cls, pruner: "BasePruner") -> Self:
        """Read the rounds from the parameters that a pruner has.

        Parameters
        ----------
        pruner : BasePruner
            Fitted or not.

        Returns
        -------
        rounds : Rounds
            With defaults in place of parameters that the pruner does not have.
        """
        given = pruner.get_params(deep=False)
        own = {each.name: given[each.name] for each in fields(cls) if each.name in given}
        return cls(max_epochs=pruner.estimator.max_epochs, **own)

    def density(self, t: int) -> float | None:
        """Compute the density after a round.

        Parameters
        ----------
        t : int
            The round, from 1.

        Returns
        -------
        density : float or None
            ``(1 - sparsity) ** (t / n_rounds)``; None leaves it to the algorithm.
        """
        return None if self.sparsity is None else (1 - self.sparsity) ** (t / self.n_rounds)

    def n_epochs(self, given: int | None) -> int:
        """Put the net's own number in place of None.

        Parameters
        ----------
        given : int or None
            A number of epochs.

        Returns
        -------
        n_epochs : int
            The number.
        """
        return self.max_epochs if given is None else given

    def check(self) -> None:
        """Check that every state to rewind to will be passed.

        Raises
        ------
        ValueError
            If it will not.
        """
        if not self.rewind_epoch:
            return
        if self.schedule is not None:
            raise ValueError(
                f"schedule={self.schedule!r} begins anew with each training and cannot be rewound "
                f"to rewind_epoch={self.rewind_epoch}; use rewind_epoch=0 or None."
            )
        round_epochs = self.n_epochs(self.round_epochs)
        if self.rewind_epoch > round_epochs:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch} is beyond the {round_epochs} epochs trained in "
                f"a round; raise round_epochs={self.round_epochs!r} or rewind to an earlier epoch."
            )
        final_epochs = self.n_epochs(self.final_epochs)
        if self.train_ticket and self.rewind_epoch > final_epochs:
            raise ValueError(
                f"rewind_epoch={self.rewind_epoch} is beyond the {final_epochs} epochs of the "
                f"ticket's training; raise final_epochs={self.final_epochs!r} or rewind to an "
                "earlier epoch."
            )


@dataclass
class Run:
    """A fit under way: what its rounds have in common, and hand on.

    Parameters
    ----------
    rounds : Rounds
        What is to be done.
    net : NeuralNet
        The pruner's own net, which is trained.
    X : float32 ndarray of shape (n_samples, n_features) or (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class codes or regression targets, as the net's loss takes them.
    classes : ndarray of shape (n_classes,) or None
        Class labels; None for regression.
    rng : RandomState
        Breaks ties, and draws what an algorithm draws with NumPy.
    mask : TicketMask
        What is kept so far.
    start : TrainingState
        The net as initialized.
    rewind_to : TrainingState
        Where kept weights return to.
    records : list of dict
        One for each round so far: `rounds_` of the pruner.
    carried : object
        What an algorithm carries from one round to the next.
    """

    rounds: Rounds
    net: NeuralNet
    X: np.ndarray
    y: np.ndarray
    classes: np.ndarray | None
    rng: np.random.RandomState
    mask: TicketMask
    start: TrainingState
    rewind_to: TrainingState
    records: list[dict[str, Any]] = field(default_factory=list)
    carried: Any = None

    def training(self, until: int, **callbacks: Callback) -> Training:
        """Make a training of the masked net.

        Parameters
        ----------
        until : int
            Total number of epochs, those in the net's history included.
        **callbacks : Callback
            What takes part in this training only.

        Returns
        -------
        training : Training
            Yet to be done, by yielding it.
        """
        # The state to rewind to is passed in the first round's first training.
        snapshot = None if self.records else self.rounds.rewind_epoch
        schedule = self.rounds.schedule
        return Training(self.net, self.X, self.y, until, snapshot, schedule, None, callbacks)
