"""`Rounds`: settings of the rounds of a fit; `Run`: the state of a fit."""

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Self

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_tickets._network import SparseRows, UnitGroup, plain_module, unit_groups
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._parameters import DensitySchedule, Schedule
from sklearn_tickets.training import L1Penalty, Training, TrainingState, geometric_density


@dataclass(frozen=True)
class Rounds:
    """Settings of the rounds of a fit.

    In each round the masked network is trained, a part of it is pruned, and the rest is
    returned to an earlier state of its training.

    Parameters
    ----------
    max_epochs : int
        The net's number of epochs, which replaces None in the other parameters.
    sparsity : float in [0, 1) or None, default=None
        Sparsity after the last round; None leaves it to the algorithm.
    n_rounds : int, default=1
        Number of rounds.
    round_epochs : int or None, default=0
        Number of epochs to train in each round.
    rewind_epoch : int or None, default=0
        Epoch to rewind kept weights to after a round; None keeps them as trained.
    final_epochs : int or None, default=None
        Number of epochs to train the ticket.
    train_ticket : bool, default=True
        Whether the ticket is trained.
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule of each training.
    store_rounds : bool, default=False
        Whether the weights trained in each round are stored.
    density_schedule : {"geometric", "one-shot", "alternating"}, default="geometric"
        How the density goes from the initial to the final one.
    initial_density : float in (0, 1], default=1.0
        Density before the first round.
    """

    max_epochs: int
    sparsity: float | None = None
    n_rounds: int = 1
    round_epochs: int | None = 0
    rewind_epoch: int | None = 0
    final_epochs: int | None = None
    train_ticket: bool = True
    schedule: Schedule = None
    store_rounds: bool = False
    density_schedule: DensitySchedule = "geometric"
    initial_density: float = 1.0

    @classmethod
    def of(cls, pruner: Any) -> Self:
        """Read the settings from the parameters of a pruner.

        Parameters
        ----------
        pruner : BasePruner
            The pruner, fitted or not.

        Returns
        -------
        rounds : Rounds
            Parameters that the pruner does not have are at their defaults.
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
            ``(1 - sparsity) ** (t / n_rounds)``, or with a lower initial density the same
            geometric series from there; with another `density_schedule`, the final or the
            initial density. None leaves it to the algorithm.
        """
        if self.sparsity is None:
            return None
        is_last, is_odd = t == self.n_rounds, t % 2 == 1
        share = {
            "geometric": t / self.n_rounds,
            "one-shot": is_last,
            "alternating": is_last or is_odd,
        }[self.density_schedule]
        return geometric_density(self.initial_density, 1 - self.sparsity, share)

    def n_epochs(self, given: int | None) -> int:
        """Replace None by the net's number of epochs.

        Parameters
        ----------
        given : int or None
            A number of epochs.

        Returns
        -------
        n_epochs : int
            The number of epochs.
        """
        return self.max_epochs if given is None else given

    def check(self) -> None:
        """Check that trainings reach the epoch to rewind to.

        Raises
        ------
        ValueError
            If they do not.
        """
        if not self.rewind_epoch:
            return
        if self.schedule is not None:
            raise ValueError(
                f"schedule={self.schedule!r} restarts with each training and cannot be rewound "
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
    """State of a fit, shared and updated by its rounds.

    Parameters
    ----------
    rounds : Rounds
        Settings of the rounds.
    net : NeuralNet
        The clone of the user's net that is trained.
    X : float32 ndarray or SparseRows of shape (n_samples, n_features) or (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class codes, indicators of labels or regression targets, as the net's loss takes them.
    sample_weight : float64 ndarray of shape (n_samples,) or None
        Positive weights, as the net's loss takes them: of mean 1 if it is the mean over rows.
    classes : ndarray of shape (n_classes,) or None
        Class labels; None for regression.
    rng : RandomState
        Breaks ties, and is the source of randomness of algorithms that use NumPy.
    mask : TicketMask
        The current mask.
    start : TrainingState
        State of the initialized net.
    rewind_to : TrainingState
        State to which kept weights are rewound.
    records : list of dict
        One per finished round, published as `rounds_`.
    carried : object
        State that an algorithm passes from one round to the next.
    penalty : L1Penalty or None
        The penalty of all rounds, once it is known.
    input_support : bool ndarray of shape X.shape[1:] or None
        The inputs that the mask of the last finished round uses.
    scale : ndarray of shape (n_outputs,) or None
        Factors of the strong ticket's outputs that a search has found, if it does.

    Attributes
    ----------
    initial_mask : TicketMask
        The mask before the first round.
    """

    rounds: Rounds
    net: NeuralNet
    X: np.ndarray | SparseRows
    y: np.ndarray
    sample_weight: np.ndarray | None
    classes: np.ndarray | None
    rng: np.random.RandomState
    mask: TicketMask
    start: TrainingState
    rewind_to: TrainingState
    records: list[dict[str, Any]] = field(default_factory=list)
    carried: Any = None
    penalty: L1Penalty | None = None
    input_support: np.ndarray | None = None
    scale: np.ndarray | None = None
    initial_mask: TicketMask = field(init=False)

    def __post_init__(self) -> None:
        self.initial_mask = self.mask

    @cached_property
    def unit_groups(self) -> tuple[UnitGroup, ...]:
        """The units of the network that can be removed whole."""
        module = plain_module(self.net.module_)
        return unit_groups(module, self.initial_mask, reads_rows=self.X.ndim == 2)

    def training(self, until: int, **callbacks: Callback) -> Training:
        """Make a training of the masked net.

        Parameters
        ----------
        until : int
            Total number of epochs, those in the net's history included.
        **callbacks : Callback
            Callbacks of this training only.

        Returns
        -------
        training : Training
            It is run when the search yields it.
        """
        # The state to rewind to is reached in the first training of the first round.
        snapshot = None if self.records else self.rounds.rewind_epoch
        return Training(
            self.net,
            self.X,
            self.y,
            until,
            snapshot,
            self.rounds.schedule,
            callbacks=callbacks,
            sample_weight=self.sample_weight,
        )
