"""`L1Penalty`: pull weights towards 0 while a net trains."""

from collections.abc import Sequence
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_tickets._network import plain_module


class L1Penalty(Callback):
    """Add ``l1 * sum(|w|)`` to the loss of a skorch net.

    The subgradient of the penalty is added to the gradients, so the loss that skorch reports
    stays the same.

    Parameters
    ----------
    l1 : float
        Strength of the penalty.
    names : sequence of str
        Names of the parameters to penalize.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetRegressor
    >>> from torch import nn
    >>> from sklearn_tickets.training import L1Penalty
    >>> net = NeuralNetRegressor(
    ...     nn.Linear, module__in_features=3, module__out_features=1, lr=0.1, verbose=0,
    ...     train_split=None, callbacks=[L1Penalty(l1=1.0, names=["weight"])], max_epochs=100,
    ... )
    >>> X, y = np.eye(3, dtype="float32"), np.zeros((3, 1), dtype="float32")
    >>> bool((abs(net.fit(X, y).module_.weight) < 0.11).all())
    True
    """

    def __init__(self, l1: float, names: Sequence[str]) -> None:
        self.l1 = l1
        self.names = names

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Refuse optimizers that compare losses."""
        check_no_line_search(net, f"l1={self.l1}")

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Add the subgradient to the gradients."""
        for name, parameter in plain_module(net.module_).named_parameters():
            if name in self.names and parameter.grad is not None:
                parameter.grad.add_(parameter.sign(), alpha=self.l1)


def check_no_line_search(net: NeuralNet, penalty: str) -> None:
    """Refuse line searches, which compare losses: penalties are added to the gradients alone.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    penalty : str
        The parameter that sets the penalty, and its value.

    Raises
    ------
    ValueError
        If the optimizer of the net searches along lines.
    """
    line_search = net.optimizer_.defaults.get("line_search_fn")
    if line_search is not None:
        raise ValueError(
            f"The line search of optimizer={type(net.optimizer_).__name__} compares losses, of "
            f"which the penalty of {penalty} is no part. Replace "
            f"optimizer__line_search_fn={line_search!r} by None, or remove the penalty."
        )
