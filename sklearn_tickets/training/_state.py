"""`TrainingState`: a point in a net's training that can be returned to."""

import copy
from dataclasses import dataclass, field
from typing import Any, Self

from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from torch import Tensor, nn

from sklearn_tickets._network import plain_module

# A prefix that the names of users' callbacks do not have.
OWN = "sklearn_tickets."
HOLD_MASK, SNAPSHOT = OWN + "hold_mask", OWN + "snapshot"
RESUME, START = OWN + "resume", OWN + "start"
_PLAIN_NETS = (NeuralNetClassifier, NeuralNetBinaryClassifier, NeuralNetRegressor)


class Snapshot(Callback):
    """Copy the state of a net at the end of an epoch.

    Parameters
    ----------
    epoch : int
        Number of the epoch, counted from 1; 0 copies nothing.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if len(net.history) == self.epoch:
            self.state_ = TrainingState.of(net)


class _Resume(Callback):
    """Restore learning-rate schedules when the next training begins.

    skorch makes new schedules at that time. Some of torch's schedules take a step when they are
    made, others do not, so the optimizer is restored as well.

    Parameters
    ----------
    optimizer : dict
        The state of the optimizer.
    schedules : dict of str to dict
        The states of the schedules, by the names of their callbacks.
    """

    def __init__(self, optimizer: dict[str, Any], schedules: dict[str, dict[str, Any]]) -> None:
        self.optimizer, self.schedules = optimizer, schedules

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if not self.schedules:
            return
        net.optimizer_.load_state_dict(copy.deepcopy(self.optimizer))
        callbacks = dict(net.callbacks_)
        for name, schedule in self.schedules.items():
            callbacks[name].lr_scheduler_.load_state_dict(copy.deepcopy(schedule))
        self.optimizer, self.schedules = {}, {}


@dataclass(frozen=True)
class TrainingState:
    """A point in a net's training that can be returned to.

    Parameters
    ----------
    module : dict of str to Tensor
        The weights and buffers.
    optimizer : dict
        The state of the optimizer.
    epochs : list of dict
        The history so far, one row per epoch.
    schedules : dict of str to dict, default={}
        The states of the learning-rate schedules, by the names of their callbacks.

    See Also
    --------
    Training : Trains a net, and copies its state on the way.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.training import TrainingState
    >>> planted = PlantedTicketGenerator(width=20, random_state=0).generate(200)
    >>> net = planted.make_net(max_epochs=2).initialize()
    >>> start = TrainingState.of(net)
    >>> net = net.partial_fit(planted.X, planted.y)
    >>> start.restore(net)
    >>> len(net.history)
    0
    """

    module: dict[str, Tensor]
    optimizer: dict[str, Any]
    epochs: list[dict[str, Any]]
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, net: NeuralNet) -> Self:
        """Copy the current state of a net.

        Parameters
        ----------
        net : NeuralNet
            The net, which must be initialized.

        Returns
        -------
        state : TrainingState
            The copy.
        """
        return cls(
            module=_copied(plain_module(net.module_)),
            optimizer=copy.deepcopy(net.optimizer_.state_dict()),
            epochs=copy.deepcopy(list(net.history)),
            schedules={
                name: copy.deepcopy(callback.lr_scheduler_.state_dict())
                for name, callback in net.callbacks_
                if getattr(callback, "lr_scheduler_", None) is not None
            },
        )

    def restore(self, net: NeuralNet, *, keep_weights: bool = False) -> None:
        """Return a net to this state.

        The net gets a new optimizer, and its callbacks start again.

        Parameters
        ----------
        net : NeuralNet
            The net that the state was copied from, or one like it.
        keep_weights : bool, default=False
            Whether the net keeps its current weights and buffers.
        """
        if not keep_weights:
            plain_module(net.module_).load_state_dict(self.module)
        net.initialize_optimizer()
        net.optimizer_.load_state_dict(copy.deepcopy(self.optimizer))
        net.initialize_history()
        net.history.extend(copy.deepcopy(self.epochs))
        # Callbacks start again as well: the best score so far belongs to another network.
        net.callbacks_ = [
            (name, callback.initialize()) for name, callback in without(net.callbacks_, RESUME)
        ]
        if self.schedules:
            net.callbacks_.append((RESUME, _Resume(self.optimizer, self.schedules)))


def _copied(module: nn.Module) -> dict[str, Tensor]:
    """Copy weights and buffers; those of several names are copied once, which pickles keep."""
    state = module.state_dict(keep_vars=True)
    copies = {id(value): value.detach().clone() for value in state.values()}
    return {name: copies[id(value)] for name, value in state.items()}


def guests(net: NeuralNet) -> dict[str, Callback]:
    """Collect the callbacks that may change weights: neither skorch's own nor this package's."""
    default = {type(callback) for _, callback in net.get_default_callbacks()}
    return {
        name: callback
        for name, callback in net.callbacks_
        if type(callback) not in default and not name.startswith(OWN)
    }


def may_change_weights(net: NeuralNet) -> bool:
    """Whether anything but the steps of a training may change its weights."""
    return bool(guests(net)) or type(net) not in _PLAIN_NETS


def without(callbacks: list[tuple[str, Callback]], *names: str) -> list[tuple[str, Callback]]:
    """Leave out the callbacks of these names."""
    return [(name, callback) for name, callback in callbacks if name not in names]
