"""`L1Penalty`: pull weights towards 0 while a net trains."""

from collections.abc import Sequence
from typing import Any

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback

from sklearn_tickets._network import plain_module


class L1Penalty(Callback):
    """Add ``l1 * sum(|w|)`` to the loss of a skorch net, by its subgradient.

    Parameters
    ----------
    l1 : float
        The weight of the penalty.
    names : sequence of str
        The parameters that it covers.
    """

    def __init__(self, l1: float, names: Sequence[str]) -> None:
        self.l1 = l1
        self.names = names

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Pull every covered weight towards 0, for the optimizer to scale."""
        for name, parameter in plain_module(net.module_).named_parameters():
            if name in self.names and parameter.grad is not None:
                parameter.grad.add_(parameter.sign(), alpha=self.l1)
