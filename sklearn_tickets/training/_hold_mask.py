"""`HoldMask`: keep pruned weights at exactly 0 while a net trains."""

from collections.abc import Iterable
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor
from torch.optim import LBFGS

from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training._state import HOLD_MASK, may_change_weights, without

# Weights of this many entries and more are multiplied part by part, so that a part and its factors
# stay in the cache.
_PART = 2**18


class HoldMask(Callback):
    """Keep pruned weights at exactly 0 while a skorch net trains.

    The weights are multiplied by the mask after every step, and before every batch if other
    callbacks may have changed them; their gradients are multiplied by it before every step. This
    gives exact zeros in every forward, with any optimizer, and does not affect parameter names,
    pickling or export.

    Parameters
    ----------
    mask : TicketMask
        The weights to keep in the net's module.

    Notes
    -----
    An optimizer such as LBFGS, which evaluates the loss several times in a step, moves along
    gradients only, so it leaves pruned weights at 0 between the evaluations. Its history of
    earlier gradients is dropped when training under a mask begins.

    Callbacks that change or load weights belong before this one, those that read gradients, such
    as ``GradientNormClipping``, after it. A pruner holds its mask on both sides of them.

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
        pruned = [name for name, kept in mask.items() if not kept.all()]
        self.held_: list[Tensor] = [parameters[name] for name in pruned]
        self.factors_ = {name: _factor(mask[name], parameters[name]) for name in pruned}
        self.in_step_ = False
        self.has_company_ = may_change_weights(net)
        if pruned and isinstance(net.optimizer_, LBFGS):
            # A history of a denser network would move pruned entries.
            net.optimizer_.state.clear()

    def on_batch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set pruned weights to 0 that a callback may have changed since the last step."""
        if self.has_company_:
            _multiply(self.held_, self.factors_.values())

    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the gradients of the pruned weights to 0."""
        if self.in_step_ and (name := self._revived()):
            raise ValueError(
                f"optimizer={type(net.optimizer_).__name__} of estimator evaluates the loss more "
                f"than once in a step, and moves pruned entries of {name!r} in between. Use LBFGS, "
                "or an optimizer that evaluates the loss once."
            )
        self.in_step_ = True
        _multiply([weight.grad for weight in self.held_], self.factors_.values())

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Set the pruned weights to 0 again."""
        if training:
            _multiply(self.held_, self.factors_.values())
            self.in_step_ = False

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Set pruned weights to 0 that a callback may have changed since the last step."""
        if self.has_company_:
            _multiply(self.held_, self.factors_.values())

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Refuse weights of a denser network, and finish an interrupted step."""
        if self.has_company_ and not self.in_step_ and (name := self._revived()):
            raise ValueError(
                f"A callback of estimator changed pruned entries of {name!r} at the end of the "
                "training, as Checkpoint and EarlyStopping do when they load weights of a denser "
                "network. Remove it, or give it load_best=False."
            )
        _multiply(self.held_, self.factors_.values())
        # Pickles stay small.
        del self.held_, self.factors_, self.in_step_, self.has_company_

    def _revived(self) -> str | None:
        """Name a parameter of which a pruned entry is not 0, if there is one."""
        for (name, factor), weight in zip(self.factors_.items(), self.held_, strict=True):
            # Weights that diverge are left to the check of the training loss.
            if weight.detach().masked_fill(factor != 0, 0).nan_to_num().any():
                return name
        return None


def _factor(kept: Tensor, weight: Tensor) -> Tensor:
    """Convert a mask to what a weight is multiplied by.

    Floating-point factors are multiplied by one fused kernel. As bytes, those of a large weight
    take a quarter of the memory, and no longer.
    """
    if weight.device.type != "cpu" or weight.numel() < _PART:
        return kept.to(weight)
    return kept.to(torch.uint8)


@torch.no_grad()
def _multiply(tensors: Iterable[Tensor | None], factors: Iterable[Tensor]) -> None:
    """Multiply tensors in place; None is a gradient that there is not."""
    pairs = [(t, factor) for t, factor in zip(tensors, factors, strict=True) if t is not None]
    if fused := [(t, factor) for t, factor in pairs if factor.is_floating_point() or t.is_sparse]:
        torch._foreach_mul_(*map(list, zip(*fused, strict=True)))
    for tensor, factor in pairs:
        if not (factor.is_floating_point() or tensor.is_sparse):
            n_rows = max(1, _PART * len(tensor) // tensor.numel())
            for part, kept in zip(tensor.split(n_rows), factor.split(n_rows), strict=True):
                part.mul_(kept.to(part.dtype))


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
    net.callbacks_ = [(HOLD_MASK, HoldMask(mask)), *without(net.callbacks_, HOLD_MASK)]
    mask.apply_(net.module_)
