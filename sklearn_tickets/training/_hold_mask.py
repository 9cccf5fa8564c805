"""`HoldMask`: keep pruned weights at exactly 0 while a net trains."""

from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask


class HoldMask(Callback):
    """Keep pruned weights at exactly 0 while a skorch net trains.

    The weights are multiplied by the mask after every optimizer step, the one mechanism
    that gives exact zeros under momentum, Adam and weight decay and leaves parameter
    names, pickling and export as they are.

    Parameters
    ----------
    mask : TicketMask
        What to keep of the net's module.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetRegressor
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.training import HoldMask
    >>> mask = TicketMask({"layers.0.weight": [[True, False, True]]})
    >>> net = NeuralNetRegressor(
    ...     MLP, module__n_features=3, module__n_outputs=1, module__hidden=(),
    ...     train_split=None, callbacks=[HoldMask(mask)], max_epochs=2, verbose=0,
    ... )
    >>> X = np.ones((8, 3), dtype="float32")
    >>> net.fit(X, X[:, :1]).module_.layers[0].weight[0, 1].item()
    0.0
    """

    def __init__(self, mask: TicketMask) -> None:
        self.mask = mask

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Apply the mask once, whatever the pruned values were."""
        self.mask.apply_(net.module_)
        parameters = dict(plain_module(net.module_).named_parameters())
        self.held_: list[Tensor] = [parameters[name] for name in self.mask]
        # Floating-point factors let the multiplication run as one fused kernel.
        self.factors_ = [self.mask[name].to(parameters[name]) for name in self.mask]

    @torch.no_grad()
    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Return the pruned weights to 0."""
        if training:
            torch._foreach_mul_(self.held_, self.factors_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Apply the mask to an interrupted step; forget the tensors, to pickle small."""
        self.mask.apply_(net.module_)
        del self.held_, self.factors_


def hold_mask(net: NeuralNet, mask: TicketMask) -> None:
    """Make `net` hold `mask` from now on, before any other callback looks at the weights."""
    own = "sklearn_tickets.hold_mask"
    others = [(name, callback) for name, callback in net.callbacks_ if name != own]
    net.callbacks_ = [(own, HoldMask(mask)), *others]
    mask.apply_(net.module_)


def check_held(net: NeuralNet, mask: TicketMask) -> None:
    """Raise a ValueError if something loaded other weights behind the mask's back."""
    parameters = dict(plain_module(net.module_).named_parameters())
    for name, kept in mask.items():
        if parameters[name].detach()[~kept.to(parameters[name].device)].any():
            raise ValueError(
                f"A callback of estimator changed pruned entries of {name!r} at the end of the "
                "training, as Checkpoint and EarlyStopping do when they load weights of a denser "
                "network. Remove it, or give it load_best=False."
            )
