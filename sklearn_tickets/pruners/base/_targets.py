"""Conversion of targets for the net's loss, and of outputs to class numbers."""

import copy
import math
import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from skorch import NeuralNet, NeuralNetBinaryClassifier, NeuralNetClassifier
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sklearn_tickets._network import evaluating

# Rows on which a loss is tried: a number that is hardly ever the size of another axis.
_N_ROWS = 13


def check_classes(pruner: Any, y: np.ndarray) -> np.ndarray:
    """Return the class labels in `y`; raise a ValueError if there are fewer than two."""
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(pruner).__name__} needs samples of at least 2 classes in the data, but "
            f"the data contains only one class: {classes.tolist()[0]!r}"
        )
    return classes


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
        Class labels or regression targets.
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


def class_codes(estimator: NeuralNet, outputs: Any) -> Any:
    """Convert a classifier's outputs to class numbers.

    Parameters
    ----------
    estimator : NeuralNetClassifier or NeuralNetBinaryClassifier
        The net, whose ``threshold`` on the probability of class 1 decides a single logit.
    outputs : float ndarray or Tensor of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    codes : int64 ndarray or Tensor of shape (n_samples,)
        The class of the largest logit of each row.
    """
    if outputs.shape[1] == 1:
        threshold = estimator.threshold
        return 1 * (outputs[:, 0] > np.log(threshold / (1 - threshold)))
    return outputs.argmax(axis=1)


def class_probabilities(net: NeuralNet, outputs: torch.Tensor) -> torch.Tensor:
    """Convert a classifier's outputs to probabilities, as its criterion or nonlinearity implies.

    Parameters
    ----------
    net : NeuralNetClassifier or NeuralNetBinaryClassifier
        The initialized net.
    outputs : Tensor of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    probabilities : Tensor of shape (n_samples, n_classes)
        The outputs themselves if nothing is implied.
    """
    return net._get_predict_nonlinearity()(outputs[:, 0] if outputs.shape[1] == 1 else outputs)
