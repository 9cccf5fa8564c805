"""Conversion of targets for the net's loss."""

import copy
import math
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sklearn_tickets._network import evaluating

# Rows on which a loss is tried: a number that is hardly ever the size of another axis.
_N_ROWS = 13


def is_multilabel(net: NeuralNet) -> bool:
    """Whether a row may have several labels: each output is the logit of one.

    Parameters
    ----------
    net : NeuralNet
        The net, initialized or not.

    Returns
    -------
    is_multilabel : bool
        True for a NeuralNetClassifier with ``BCEWithLogitsLoss``.
    """
    criterion = net.criterion if isinstance(net.criterion, type) else type(net.criterion)
    return isinstance(net, NeuralNetClassifier) and issubclass(criterion, nn.BCEWithLogitsLoss)


def check_classes(pruner: Any, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Check the targets of a classifier.

    Parameters
    ----------
    pruner : BasePruner
        The pruner, for error messages.
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        Class labels, or an indicator matrix.

    Returns
    -------
    y : ndarray of shape (n_samples,) or (n_samples, n_labels)
        The targets.
    classes : ndarray of shape (n_classes,)
        The class labels, or the numbers of the columns of an indicator matrix.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or the net's loss is for the other kind of targets.
    """
    net, given = pruner.estimator, f"y of shape {y.shape}"
    if is_multilabel(net):
        if y.ndim == 1 or y.shape[1] == 1 or not np.isin(y, (0, 1)).all():
            raise ValueError(
                "estimator is a NeuralNetClassifier with criterion BCEWithLogitsLoss, which takes "
                f"an indicator matrix of zeros and ones for several labels, but {given} is none. "
                "If each row has one class, pass criterion=torch.nn.CrossEntropyLoss; otherwise "
                "see sklearn.preprocessing.MultiLabelBinarizer."
            )
        return y, np.arange(y.shape[1])
    if y.ndim > 1 and y.shape[1] > 1:
        raise ValueError(
            f"{given} has several labels in a row, which {type(net).__name__} with criterion "
            f"{getattr(net.criterion, '__name__', net.criterion)} does not take. For an indicator "
            "matrix of zeros and ones, pass NeuralNetClassifier(..., "
            "criterion=torch.nn.BCEWithLogitsLoss); otherwise y should be a 1d array."
        )
    y = column_or_1d(y, warn=True)
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(pruner).__name__} needs samples of at least 2 classes in the data, but "
            f"the data contains only one class: {classes.tolist()[0]!r}"
        )
    return y, classes


def encode_targets(
    net: NeuralNet, X: np.ndarray, y: ArrayLike, classes: np.ndarray | None
) -> np.ndarray:
    """Convert targets to the type and shape that a net's loss takes.

    Regression targets get the shape of the module's outputs, so that no elementwise loss
    broadcasts one against the other.

    Parameters
    ----------
    net : NeuralNet
        The initialized net.
    X : float32 ndarray of shape (n_samples, n_features) or (n_samples, ...)
        The inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, indicators of labels or regression targets.
    classes : ndarray of shape (n_classes,) or None
        All labels, sorted; None for regression.

    Returns
    -------
    targets : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class numbers, int64 (float32 for a NeuralNetBinaryClassifier), or float32 targets. A
        single regression target has the shape of the outputs unless the loss pairs each
        output with its target in the other shape only.

    Raises
    ------
    ValueError
        If `y` contains a label that is not in `classes`, or the net's loss does not take the
        targets.
    """
    rows = np.arange(_N_ROWS) % len(X)
    with evaluating(net.module_):
        outputs = net.infer(X[rows])
    if outputs.ndim > 2:
        raise ValueError(
            f"estimator's module returns outputs of shape {_shape(outputs)}, and y has shape "
            f"{np.shape(y)}. End the module in flatten(1)."
        )
    if classes is None:
        targets = np.asarray(y, dtype=np.float32)
        shapes = [outputs.shape[1:]]
        if math.prod(targets.shape[1:]) == 1:
            shapes.append(() if outputs.ndim > 1 else (1,))
    elif is_multilabel(net):
        targets = np.asarray(y, dtype=np.float32)
        shapes = [targets.shape[1:]]
        if not np.isin(targets, (0, 1)).all():
            raise ValueError("y is no indicator matrix of zeros and ones")
    else:
        codes = LabelEncoder().fit(classes).transform(y)
        is_binary = isinstance(net, NeuralNetBinaryClassifier)
        targets = codes.astype(np.float32 if is_binary else np.int64)
        shapes = [()]
    candidates = [targets.reshape(len(targets), *shape) for shape in shapes]
    if type(net).get_loss not in (NeuralNet.get_loss, NeuralNetClassifier.get_loss):
        return candidates[0]
    problems = []
    for candidate in candidates:
        try:
            if not _mixes_rows(net.criterion_, outputs, torch.from_numpy(candidate[rows])):
                return candidate
        except Exception as error:
            problems.append(error)
    if len(problems) < len(candidates):
        # It compares rows with each other on purpose.
        return candidates[0]
    raise ValueError(
        f"estimator's criterion {type(net.criterion_).__name__} fails on outputs of shape "
        f"{_shape(outputs)} with targets of shape {_shape(candidates[0])} and type "
        f"{candidates[0].dtype}: {problems[0]}"
    ) from problems[0]


def _shape(rows: Any) -> str:
    return f"({', '.join(['n_samples', *map(str, rows.shape[1:])])}{',' * (rows.ndim == 1)})"


def _mixes_rows(criterion: Any, outputs: torch.Tensor, targets: torch.Tensor) -> bool:
    """Whether a loss computes a value for every pair of rows, as broadcasting does."""
    with _Pairs(len(outputs)) as pairs, warnings.catch_warnings(action="ignore"):
        # A copy: a criterion may count its calls.
        copy.deepcopy(criterion)(outputs, targets.to(outputs.device))
    return pairs.found


class _Pairs(TorchDispatchMode):
    """Notes whether an operation in the block returns a tensor with two axes of length n."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n, self.found = n, False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tensors = (leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
        self.found |= any(tensor.shape.count(self.n) > 1 for tensor in tensors)
        return result
