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

    The weights are multiplied by the mask after every optimizer step. This gives exact zeros
    with momentum, Adam and weight decay, and does not affect parameter names, pickling or
    export.

    Parameters
    ----------
    mask : TicketMask
        The weights to keep in the net's module.

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
        """Apply the mask, and collect the tensors to multiply in each step."""
        self._hold(net, self.mask)

    def _hold(self, net: NeuralNet, mask: TicketMask) -> None:
        mask.apply_(net.module_)
        parameters = dict(plain_module(net.module_).named_parameters())
        self.held_: list[Tensor] = [parameters[name] for name in mask]
        # With floating-point factors, the multiplication runs as one fused kernel.
        self.factors_ = [mask[name].to(parameters[name]) for name in mask]

    @torch.no_grad()
    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the pruned weights to 0 again."""
        if training:
            torch._foreach_mul_(self.held_, self.factors_)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Apply the mask to an interrupted step, and drop the tensors to keep pickles small."""
        self.mask.apply_(net.module_)
        del self.held_, self.factors_


def hold_mask(net: NeuralNet, mask: TicketMask) -> None:
    """Make a net hold a mask from now on, in place of one that it held before.

    The mask is applied after each step before any other callback sees the weights.

    Parameters
    ----------
    net : NeuralNet
        The initialized net. It is changed in place.
    mask : TicketMask
        The weights to keep.

    Raises
    ------
    ValueError
        If the mask does not fit the net's module.
    """
    own = "sklearn_tickets.hold_mask"
    others = [(name, callback) for name, callback in net.callbacks_ if name != own]
    net.callbacks_ = [(own, HoldMask(mask)), *others]
    mask.apply_(net.module_)


def check_held(net: NeuralNet, mask: TicketMask) -> None:
    """Check that all pruned weights of a trained net are 0.

    Parameters
    ----------
    net : NeuralNet
        The net.
    mask : TicketMask
        The mask that it was trained with.

    Raises
    ------
    ValueError
        If they are not, because a callback has loaded other weights.
    """
    parameters = dict(plain_module(net.module_).named_parameters())
    for name, kept in mask.items():
        if parameters[name].detach()[~kept.to(parameters[name].device)].any():
            raise ValueError(
                f"A callback of estimator changed pruned entries of {name!r} at the end of the "
                "training, as Checkpoint and EarlyStopping do when they load weights of a denser "
                "network. Remove it, or give it load_best=False."
            )
