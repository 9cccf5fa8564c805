"""`SameStart`: refuse callbacks that change weights before the first step of a training."""

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_tickets._network import plain_module
from sklearn_tickets.training._quick_loop import overrides
from sklearn_tickets.training._state import guests, may_change_weights


class SameStart(Callback):
    """Refuse callbacks that change weights or buffers before the first step of a training.

    A training that is to begin at given weights, the initial ones or those of an earlier epoch,
    would begin at others. Callbacks that change weights later, between steps, are part of the
    training.

    Parameters
    ----------
    net : NeuralNet
        The net, at the weights that the training is to begin with.
    """

    def __init__(self, net: NeuralNet) -> None:
        self.look(net)

    def look(self, net: NeuralNet) -> None:
        """Take the current weights for those to begin with."""
        state = plain_module(net.module_).state_dict() if may_change_weights(net) else {}
        self.start_: dict[str, Tensor] = {name: value.clone() for name, value in state.items()}

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Raise a ValueError if a callback has changed the weights, and put them back."""
        self._compare(net, "on_train_begin")

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Do the same in the first epoch."""
        self._compare(net, "on_epoch_begin")

    def on_batch_begin(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Do the same in the first batch."""
        if training and self.start_:
            self._compare(net, "on_batch_begin")
            self.start_ = {}

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Compare no further, also where no batch is notified of."""
        self.start_ = {}

    def _compare(self, net: NeuralNet, event: str) -> None:
        state = plain_module(net.module_).state_dict()
        changed = [name for name, value in self.start_.items() if not _equal(value, state[name])]
        if not changed:
            return
        plain_module(net.module_).load_state_dict(self.start_)
        suspects = [name for name, callback in guests(net).items() if overrides(callback, event)]
        raise ValueError(
            f"{' or '.join(suspects) or type(net).__name__} of estimator changed {changed[0]!r} in "
            f"{event}, before the first step of a training: its weights would not be those that "
            "are scored and rewound to. Set initial weights where the module is made: in its "
            "class, in a factory, or with ModuleTemplate(module)."
        )


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors are equal; NaN equals NaN."""
    return torch.equal(a, b) or bool(((a == b) | ((a != a) & (b != b))).all())
