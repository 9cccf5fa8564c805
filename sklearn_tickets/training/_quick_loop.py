"""`quick_loop`: skip the calls in skorch's loop over batches that have no effect.

For every batch, skorch notifies all callbacks of three events and puts all layers in training
mode. Most callbacks ignore these events, and the layers usually are in training mode already. For
small networks, these calls take a considerable share of the time of a training.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import nn

_BATCH_EVENTS = ("on_batch_begin", "on_grad_computed", "on_batch_end")


class _QuickCalls:
    """Replacements for two methods of a net, which remember what to call within an epoch."""

    def __init__(self, net: NeuralNet) -> None:
        self.net = net
        self.listeners: dict[str, list[Callback]] = {}
        self.layers: list[nn.Module] = []

    def notify(self, method_name: str, **kwargs: Any) -> None:
        """Notify only the callbacks that override the method of a batch event.

        All other events notify all callbacks, which may then replace callbacks and layers.
        """
        if method_name not in _BATCH_EVENTS:
            self.listeners.clear()
            self.layers.clear()
            NeuralNet.notify(self.net, method_name, **kwargs)
            return
        if method_name not in self.listeners:
            self.listeners[method_name] = [
                callback for _, callback in self.net.callbacks_ if overrides(callback, method_name)
            ]
        getattr(self.net, method_name)(self.net, **kwargs)
        for callback in self.listeners[method_name]:
            getattr(callback, method_name)(self.net, **kwargs)

    def set_training(self, training: bool = True) -> None:
        """Switch between training and evaluation mode only if a layer is in the other mode."""
        if not self.layers:
            parts = (self.net.module_, self.net.criterion_)
            self.layers.extend(layer for part in parts for layer in part.modules())
        if any(layer.training is not training for layer in self.layers):
            NeuralNet._set_training(self.net, training)


def overrides(callback: Callback, method_name: str) -> bool:
    """Whether a callback has a method of its own for an event."""
    method = getattr(getattr(callback, method_name), "__func__", None)
    return method is not getattr(Callback, method_name)


@contextmanager
def quick_loop(net: NeuralNet) -> Iterator[None]:
    """Skip calls without effect while `net` trains in the block; the results are the same.

    A net that overrides these methods, or has more than one module and one criterion, trains
    as usual.
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
    quick = _QuickCalls(net)
    net.notify, net._set_training = quick.notify, quick.set_training
    try:
        yield
    finally:
        del net.notify, net._set_training
