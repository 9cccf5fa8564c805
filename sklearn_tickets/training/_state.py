"""`TrainingState`: a point in a net's training that can be returned to."""

import copy
from dataclasses import dataclass, field
from typing import Any, Self

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_tickets._network import plain_module

# Names that no callback of a user has.
OWN = "sklearn_tickets."


SNAPSHOT, RESUME = OWN + "snapshot", OWN + "resume"


class Snapshot(Callback):
    """Copy the state of a net at the end of one epoch, when all other callbacks are done."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if len(net.history) == self.epoch:
            self.state_ = TrainingState.of(net)


class _Resume(Callback):
    """Put the schedules that skorch makes anew where they were, once.

    torch's schedules disagree on whether one that is made in mid-training steps at once.
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

    Attributes
    ----------
    module : dict of str to Tensor
        Weights and buffers.
    optimizer : dict
        The optimizer's state.
    epochs : list of dict
        The history so far, one row per epoch.
    schedules : dict of str to dict
        The states of learning-rate schedules, by the names of their callbacks.
    """

    module: dict[str, Tensor]
    optimizer: dict[str, Any]
    epochs: list[dict[str, Any]]
    schedules: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, net: NeuralNet) -> Self:
        """Copy the present state of an initialized net."""
        return cls(
            module={k: v.clone() for k, v in plain_module(net.module_).state_dict().items()},
            optimizer=copy.deepcopy(net.optimizer_.state_dict()),
            epochs=copy.deepcopy(list(net.history)),
            schedules={
                name: copy.deepcopy(callback.lr_scheduler_.state_dict())
                for name, callback in net.callbacks_
                if getattr(callback, "lr_scheduler_", None) is not None
            },
        )

    def restore(self, net: NeuralNet, *, keep_weights: bool = False) -> None:
        """Return `net` to this state with a new optimizer; the weights may stay."""
        if not keep_weights:
            plain_module(net.module_).load_state_dict(self.module)
        net.initialize_optimizer()
        net.optimizer_.load_state_dict(copy.deepcopy(self.optimizer))
        net.initialize_history()
        net.history.extend(copy.deepcopy(self.epochs))
        # Callbacks start anew, too: the best score so far belongs to another network.
        net.callbacks_ = [
            (name, callback.initialize()) for name, callback in without(net.callbacks_, RESUME)
        ]
        if self.schedules:
            net.callbacks_.append((RESUME, _Resume(self.optimizer, self.schedules)))


def without(callbacks: list[tuple[str, Callback]], *names: str) -> list[tuple[str, Callback]]:
    return [(name, callback) for name, callback in callbacks if name not in names]
