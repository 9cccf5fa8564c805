"""Sample weights in a training: they travel with their rows, and weigh the losses of rows.

As skorch recommends, inputs with weights are a dictionary, which data sets, splits and iterators
treat like an array. While such a net trains, `weighted_loop` takes the dictionary apart.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from skorch import NeuralNet
from skorch.utils import to_tensor
from torch import Tensor

# What a criterion does with the losses of the rows.
_REDUCE: dict[str, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum}

WeightedRows: TypeAlias = Any | dict[str, Any]


def with_weights(X: Any, sample_weight: Any | None = None) -> WeightedRows:
    """Join inputs and weights to what a data set splits by rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        The inputs.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        The weights.

    Returns
    -------
    X : array-like of shape (n_samples, ...), or dict
        The inputs as they are if there are no weights.
    """
    return X if sample_weight is None else {"X": X, "sample_weight": sample_weight}


def parts(X: WeightedRows) -> list[Any]:
    """Take apart what `with_weights` joined.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...), or dict
        As returned by `with_weights`.

    Returns
    -------
    parts : list of array-like
        The inputs and, if there are any, the weights.
    """
    is_weighted = isinstance(X, dict) and X.keys() == {"X", "sample_weight"}
    return [X["X"], X["sample_weight"]] if is_weighted else [X]


def weighted_loss(criterion: Any, output: Tensor, y: Tensor, sample_weight: Tensor) -> Tensor:
    r"""Compute the loss of rows with weights.

    It is :math:`\frac{1}{n} \sum_i w_i l_i`, or the sum alone, as the criterion reduces losses.
    With weights of mean 1 over all rows, the gradient of a random batch has no bias. If a row
    has several losses, :math:`l_i` is their mean or sum.

    Parameters
    ----------
    criterion : torch.nn.Module
        A criterion with a `reduction`, which is "none" during the call.
    output : Tensor of shape (n_samples, ...)
        The outputs.
    y : Tensor of shape (n_samples, ...)
        The targets.
    sample_weight : Tensor of shape (n_samples,)
        The weights.

    Returns
    -------
    loss : Tensor of shape ()
        The loss.

    Raises
    ------
    ValueError
        If the criterion does not return the losses of rows.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.training import weighted_loss
    >>> output, y = torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1)
    >>> weighted_loss(torch.nn.MSELoss(), output, y, torch.tensor([1.5, 0.5]))
    tensor(1.7500)
    """
    reduction = criterion.reduction
    criterion.reduction = "none"
    try:
        losses = criterion(output, y)
    finally:
        criterion.reduction = reduction
    if losses.shape[:1] != sample_weight.shape:
        raise ValueError(
            f"{type(criterion).__name__} returns a loss of shape {tuple(losses.shape)} for "
            f"{len(sample_weight)} rows with reduction='none'."
        )
    by_row = sample_weight.to(losses).view(-1, *[1] * (losses.ndim - 1))
    return _REDUCE[reduction](losses * by_row)


class _WeightedCalls:
    """Replacements for two methods of a net, which take weights from the inputs of a batch."""

    def __init__(self, net: NeuralNet) -> None:
        self.net = net

    def infer(self, X: WeightedRows, **fit_params: Any) -> Tensor:
        """Compute the outputs."""
        return type(self.net).infer(self.net, parts(X)[0], **fit_params)

    def get_loss(self, y_pred: Tensor, y_true: Any, X: Any = None, **kwargs: Any) -> Tensor:
        """Compute the loss; rows of other data sets, for validation, have no weights."""
        inputs, *weights = parts(X)
        if not weights:
            return type(self.net).get_loss(self.net, y_pred, y_true, X=inputs, **kwargs)
        targets = to_tensor(y_true, device=self.net.device)
        return weighted_loss(self.net.criterion_, y_pred, targets, *weights)


@contextmanager
def weighted_loop(net: NeuralNet) -> Iterator[None]:
    """Let `net` train on rows with weights in the block."""
    calls = _WeightedCalls(net)
    net.infer, net.get_loss = calls.infer, calls.get_loss
    try:
        yield
    finally:
        del net.infer, net.get_loss
