"""Conversion of targets for the net's loss, and of outputs to class numbers."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import LabelEncoder
from sklearn.utils.multiclass import check_classification_targets
from skorch import NeuralNet, NeuralNetBinaryClassifier


def check_classes(pruner: Any, y: np.ndarray) -> np.ndarray:
    """Return the class labels in `y`; raise a ValueError if there are fewer than two."""
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(
            f"{type(pruner).__name__} needs samples of at least 2 classes in the data, but "
            f"the data contains only one class: {classes[0]!r}"
        )
    return classes


def encode_targets(estimator: NeuralNet, y: ArrayLike, classes: np.ndarray | None) -> np.ndarray:
    """Convert targets to the type and shape that a net's loss takes.

    Parameters
    ----------
    estimator : NeuralNet
        The net.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels or regression targets.
    classes : ndarray of shape (n_classes,) or None
        All labels, sorted; None for regression.

    Returns
    -------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Class numbers, int64 (float32 for a NeuralNetBinaryClassifier), or float32 targets
        with an axis for the outputs.

    Raises
    ------
    ValueError
        If `y` contains a label that is not in `classes`.
    """
    if classes is None:
        targets = np.asarray(y, dtype=np.float32)
        return targets.reshape(len(targets), -1)
    codes = LabelEncoder().fit(classes).transform(y)
    is_binary = isinstance(estimator, NeuralNetBinaryClassifier)
    return codes.astype(np.float32 if is_binary else np.int64)


def class_codes(estimator: NeuralNet, outputs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Convert a classifier's outputs to class numbers.

    Parameters
    ----------
    estimator : NeuralNetClassifier or NeuralNetBinaryClassifier
        The net, whose ``threshold`` on the probability of class 1 decides a single logit.
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    codes : int64 ndarray of shape (n_samples,)
        The class of the largest logit of each row.
    """
    if outputs.shape[1] == 1:
        threshold = estimator.threshold
        return (outputs[:, 0] > np.log(threshold / (1 - threshold))).astype(np.int64)
    return outputs.argmax(axis=1)
