"""`HyperbolicUpdate`: multiply weights after each step of an optimizer."""

from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor

LIMIT = 5.0  # of the exponent


class HyperbolicUpdate(Callback):
    r"""Multiply the weights of a skorch net by a factor after each step of its optimizer.

    A weight far from 0 moves further than one that is near 0, as if it were a product of two
    factors, but it can change its sign in a step of the optimizer. This regulates the implicit
    bias of training towards sparse networks [1]_.

    Parameters
    ----------
    alpha : float >= 0, default=200.0
        Strength of the gradient in the exponent. The default is the published one; the higher
        the learning rate, the smaller it must be.
    beta : float >= 0, default=1e-3
        Strength of a decay that is proportional to the weight.

    Notes
    -----
    The optimizer has moved the weight to w by the gradient g at the learning rate
    :math:`\eta` of this step. Then, for parameters with two or more axes,

    .. math:: w \leftarrow w \exp\big(\operatorname{clip}(
              -\eta (\alpha \operatorname{sign}(w) g + \beta), -5, 5)\big).

    Weights that are 0 stay 0. The gradient is read when this callback is notified of it: those
    that clip gradients belong before it.

    References
    ----------
    .. [1] T. Jacobs et al., "HAM: A hyperbolic step to regulate implicit bias", 2025.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import LearningRateRewindingPruner
    >>> from sklearn_tickets.training import HyperbolicUpdate
    >>> planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(200)
    >>> net = planted.make_net(lr=1e-2, callbacks=[HyperbolicUpdate(alpha=1.0)])
    >>> pruner = LearningRateRewindingPruner(net, n_rounds=2, final_epochs=1, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_.sparsity > 0.89
    True
    """

    def __init__(self, alpha: float = 200.0, beta: float = 1e-3) -> None:
        self.alpha = alpha
        self.beta = beta

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Check the parameters."""
        for name, value in {"alpha": self.alpha, "beta": self.beta}.items():
            if not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r} of HyperbolicUpdate must be at least 0.")
        self.pending_: list[tuple[Tensor, Tensor, float]] = []

    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Copy the gradients and the learning rates, which the end of the batch may change."""
        if self.pending_:
            raise ValueError(
                f"The update of HyperbolicUpdate follows each gradient, but optimizer="
                f"{type(net.optimizer_).__name__} of estimator evaluates the loss several times "
                "in a step. Use another, such as Adam."
            )
        self.pending_ = [
            (weight, weight.grad * (-self.alpha * group["lr"]), self.beta * group["lr"])
            for group in net.optimizer_.param_groups
            for weight in group["params"]
            if weight.ndim > 1 and weight.grad is not None
        ]

    @torch.no_grad()
    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Multiply the weights."""
        for weight, slope, decay in self.pending_:
            weight.mul_((slope * weight.sign() - decay).clamp(-LIMIT, LIMIT).exp())
        self.pending_ = []

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Drop the gradients of an interrupted step."""
        self.pending_ = []
