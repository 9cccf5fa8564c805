"""Weights of rows: validated, and converted for a net's loss."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.utils.validation import _check_sample_weight
from skorch import NeuralNet
from skorch.dataset import unpack_data

from sklearn_tickets._network import Rows, SparseRows, evaluating
from sklearn_tickets._random import seeded
from sklearn_tickets.pruners.base._module_checks import has_own
from sklearn_tickets.training import weighted_loss, with_weights

# Methods that a net may override otherwise, but that know nothing of weights.
_METHODS = ("get_loss", "train_step_single", "validation_step")
# Rows on which the loss of a regression is tried.
_N_ROWS = 13
# Optimizers square gradients, so that half of its range of exponents is left for losses.
_FLOAT32 = np.finfo(np.float32)


def check_sample_weight(
    X: Rows, y: NDArray[Any], classes: NDArray[Any] | None, sample_weight: ArrayLike
) -> tuple[Rows, NDArray[Any], NDArray[np.float64]]:
    """Validate weights, and leave out the rows of weight 0.

    Parameters
    ----------
    X : ndarray or SparseRows of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class labels or regression targets.
    classes : ndarray of shape (n_classes,) or None
        Class labels; None for regression.
    sample_weight : array-like of shape (n_samples,)
        The weights.

    Returns
    -------
    X, y, sample_weight : ndarray, or SparseRows
        The rows of positive weight.

    Raises
    ------
    ValueError
        If there is not one finite weight of at least 0 for each row, all are 0, or they leave
        fewer than two classes.
    """
    weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    if (rows := weights > 0).all():
        return X, y, weights
    if classes is not None and y.ndim == 1 and len(present := np.unique(y[rows])) < 2:
        raise ValueError(
            f"sample_weight is above 0 only for rows of the class {present.tolist()[0]!r}, but a "
            "classifier needs rows of at least 2 classes."
        )
    kept = X.take(rows) if isinstance(X, SparseRows) else X[rows]
    return kept, y[rows], weights[rows]


def encode_sample_weight(
    net: NeuralNet, X: NDArray[Any], y: NDArray[Any], sample_weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Convert weights for a net's loss: to a mean of 1 if it is the mean over rows.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : float32 ndarray of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets, as the loss takes them.
    sample_weight : float64 ndarray of shape (n_samples,)
        Positive weights.

    Returns
    -------
    sample_weight : float64 ndarray of shape (n_samples,)
        If the loss is the sum over rows, the weights as they are.

    Raises
    ------
    ValueError
        If the net would lose weights, its loss is not the mean or sum of those of its rows, or
        the weights of a sum are too large or too small.
    """
    _check_net(net, X, y)
    _check_criterion(net, X, y)
    largest = sample_weight.max()
    if net.criterion_.reduction == "sum":
        low, high = np.sqrt([_FLOAT32.tiny, _FLOAT32.max])
        if not low < largest < high:
            raise ValueError(
                f"sample_weight has the maximum {largest:.3g}, with which the sum of losses that "
                "criterion__reduction='sum' of estimator asks for leaves the range of float32. "
                "Divide sample_weight by its mean, or use reduction='mean'."
            )
        return sample_weight
    # The sum of very large weights would not be finite.
    sample_weight = sample_weight / largest
    return sample_weight / sample_weight.mean()


def _check_net(net: NeuralNet, X: NDArray[Any], y: NDArray[Any]) -> None:
    """Refuse a net with methods, data sets, splits or iterators of its own that lose weights."""
    for name in _METHODS:
        if has_own(net, name):
            raise ValueError(
                f"sample_weight cannot be used: estimator={type(net).__name__} has a {name} method "
                "of its own, which would ignore it. Put a loss of your own into a criterion."
            )
    try:
        # The order of the rows is drawn.
        with seeded(0, net.device):
            rows = with_weights(X, np.ones(len(X), dtype=np.float32))
            dataset, _ = net.get_split_datasets(rows, y)
            inputs, _ = unpack_data(next(iter(net.get_iterator(dataset, training=True))))
        inputs["sample_weight"]
    except Exception as error:
        raise ValueError(
            f"sample_weight cannot be used: dataset={net.dataset!r}, train_split="
            f"{net.train_split!r} or iterator_train={net.iterator_train!r} of estimator does not "
            f"take rows with weights, {{'X': X, 'sample_weight': sample_weight}}: {error}"
        ) from error


def _check_criterion(net: NeuralNet, X: NDArray[Any], y: NDArray[Any]) -> None:
    """Refuse a criterion that is not the mean or sum of the losses of its rows."""
    # A copy: a criterion may count its calls.
    criterion, problem = copy.deepcopy(net.criterion_), ""
    with evaluating(net.module_), torch.no_grad():
        for rows in _row_sets(net, y):
            output, targets = net.infer(X[rows]), torch.as_tensor(y[rows]).to(net.device)
            try:
                expected = criterion(output, targets)
                loss = weighted_loss(criterion, output, targets, torch.ones(len(rows)))
                if torch.allclose(loss, expected, rtol=1e-4, equal_nan=True):
                    continue
            except Exception as error:
                problem = f" ({error})"
            raise ValueError(
                f"sample_weight needs the loss of each row, but that of estimator's criterion "
                f"{type(criterion).__name__} is not the mean or sum of those of its rows{problem}. "
                "Use a loss that honors reduction='none', without weights of classes or "
                "ignore_index: multiply weights of classes into sample_weight."
            )


def _row_sets(net: NeuralNet, y: NDArray[Any]) -> Iterator[NDArray[np.intp]]:
    """Yield row numbers: one of each class or the first ones, all together, and each twice."""
    rows = np.arange(len(y))[:_N_ROWS]
    if is_classifier(net):
        rows = np.unique(y, axis=0, return_index=True)[1]
    yield rows
    # Weights of classes, over which a loss is averaged, have no effect within a class.
    yield from np.stack([rows, rows], axis=1)
