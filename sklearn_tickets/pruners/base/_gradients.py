"""Gradients of the training loss at a masked network's weights, over all of the data."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import torch
from sklearn.base import is_classifier
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import evaluating, plain_module
from sklearn_tickets.masks import TicketMask

_BATCH = 512


def masked_leaves(net: NeuralNet, mask: TicketMask) -> dict[str, Tensor]:
    """Copies of the parameters that `mask` covers, masked, to differentiate by."""
    state = mask.apply({n: p.detach() for n, p in plain_module(net.module_).named_parameters()})
    return {name: state[name].requires_grad_() for name in mask}


def loss_at(
    net: NeuralNet,
    parameters: Mapping[str, Tensor],
    X: Tensor,
    y: Tensor,
    factor: Tensor | float = 1.0,
) -> Tensor:
    """The training loss of a batch at given parameters, the outputs times a factor."""
    X, y = X.to(net.device), y.to(net.device)
    output = torch.func.functional_call(plain_module(net.module_), dict(parameters), (X,)) * factor
    return net.get_loss(output.reshape(y.shape) if y.is_floating_point() else output, y, X=X)


def batch_losses(
    net: NeuralNet,
    parameters: Mapping[str, Tensor],
    X: np.ndarray,
    y: np.ndarray,
    temperature: float = 1.0,
) -> Iterator[Tensor]:
    """Yield batch by batch what sums to the mean loss over `X`, at the given parameters.

    The module runs in evaluation mode on copies of its buffers, so that scoring draws no
    random number and leaves the statistics of normalization layers as they were.
    """
    module = plain_module(net.module_)
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    for rows in torch.arange(len(X)).split(_BATCH):
        with evaluating(module):
            loss = loss_at(
                net,
                {**parameters, **buffers},
                torch.as_tensor(X)[rows],
                torch.as_tensor(y)[rows],
                1 / temperature,
            )
        yield loss * (len(rows) / len(X))


def total_gradient(parameters: Mapping[str, Tensor], terms: Iterator[Tensor]) -> dict[str, Tensor]:
    """Sum the gradients of scalars, of which only one graph is in memory at a time."""
    total = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for term in terms:
        gradients = torch.autograd.grad(
            term, list(parameters.values()), allow_unused=True, materialize_grads=True
        )
        for accumulated, gradient in zip(total.values(), gradients, strict=True):
            accumulated += gradient
    return total


def scoring_sample(
    net: NeuralNet, X: np.ndarray, y: np.ndarray, n_samples: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows to score on, from all classes equally often; None takes all rows."""
    if n_samples is None:
        return X, y
    rows = torch.randperm(len(y)).numpy()
    if is_classifier(net):
        labels = pd.Series(y[rows])
        rows = rows[np.argsort(labels.groupby(labels).cumcount(), kind="stable")]
    return X[rows[:n_samples]], y[rows[:n_samples]]
