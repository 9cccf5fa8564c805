"""`sparing`: spare skorch's loop the calls that change nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn


class _Sparing:
    """What `sparing` puts in place of a net's methods."""

    def __init__(self, net: NeuralNet) -> None:
        self.net = net
        self.listeners: dict[str, list[Callback]] = {}
        self.layers: list[nn.Module] = []

    def notify(self, event: str, **kwargs: Any) -> None:
        """Call those who do something about an event; who they are may change with the epoch."""
        if event not in ("on_batch_begin", "on_grad_computed", "on_batch_end"):
            self.listeners.clear()
            self.layers.clear()
            NeuralNet.notify(self.net, event, **kwargs)
            return
        if event not in self.listeners:
            idle = getattr(Callback, event)
            self.listeners[event] = [
                callback
                for _, callback in self.net.callbacks_
                if getattr(getattr(callback, event), "__func__", None) is not idle
            ]
        getattr(self.net, event)(self.net, **kwargs)
        for callback in self.listeners[event]:
            getattr(callback, event)(self.net, **kwargs)

    def set_training(self, training: bool = True) -> None:
        """Switch between training and evaluation if a layer is in the other mode."""
        if not self.layers:
            parts = (self.net.module_, self.net.criterion_)
            self.layers.extend(layer for part in parts for layer in part.modules())
        if any(layer.training is not training for layer in self.layers):
            NeuralNet._set_training(self.net, training)


@contextmanager
def sparing(net: NeuralNet) -> Iterator[None]:
    """Spare a net, in each batch, to tell layers and callbacks what changes nothing for them.

    A net with more than a module and a criterion, or with methods of its own, is left alone.
    """
    is_plain = (
        type(net).notify is NeuralNet.notify
        and type(net)._set_training is NeuralNet._set_training
        and (net._modules, net._criteria) == (["module"], ["criterion"])
        and isinstance(net.criterion_, nn.Module)
    )
    if not is_plain:
        yield
        return
    spared = _Sparing(net)
    net.notify, net._set_training = spared.notify, spared.set_training
    try:
        yield
    finally:
        del net.notify, net._set_training
