"""Labels in a net's own settings: validation data and scoring callbacks.

A net is trained on class numbers. What the user sets for it, however, is about labels.
"""

import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import get_scorer
from sklearn.metrics._scorer import _BaseScorer
from skorch import NeuralNet
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch.utils.data import DataLoader

from sklearn_tickets._network import SparseRows
from sklearn_tickets._random import seeded
from sklearn_tickets.pruners.base._targets import encode_targets


def encode_validation_data(net: NeuralNet, classes: np.ndarray | None) -> None:
    """Convert the validation data of ``predefined_split`` like the training data.

    Parameters
    ----------
    net : NeuralNet
        The initialized net, whose ``train_split`` is replaced.
    classes : ndarray of shape (n_classes,) or None
        All labels, sorted; None for regression.

    Raises
    ------
    ValueError
        If the validation data do not match the net or contain other labels.
    """
    split = net.train_split
    if not (isinstance(split, partial) and "valid_ds" in split.keywords):
        return
    dataset = split.keywords["valid_ds"]
    try:
        inputs: Any
        if isinstance(dataset, Dataset) and (issparse(dataset.X) or issparse(dataset.y)):
            X, y = dataset.X, dataset.y
            y = y.toarray() if issparse(y) else y
        else:
            with seeded(0, net.device):  # A DataLoader draws a seed.
                X, y = next(iter(DataLoader(dataset, batch_size=len(dataset))))
        if issparse(X):
            inputs = SparseRows(X.astype(np.float32))
        else:
            inputs = np.asarray(X, dtype=np.float32)
        targets = encode_targets(net, inputs, np.asarray(y), classes)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"The validation data in estimator's train_split={split!r} do not match the training "
            f"data: {error}. Pass predefined_split(Dataset(X_valid, y_valid)) with the same "
            "columns and labels as X and y."
        ) from error
    net.set_params(train_split=predefined_split(Dataset(inputs, targets)))


def score_labels(net: NeuralNet, X: np.ndarray, y: np.ndarray, classes: np.ndarray) -> None:
    """Let scikit-learn's scorers in a net's callbacks see labels instead of class numbers.

    Parameters
    ----------
    net : NeuralNet
        The initialized classifier, whose callbacks are changed.
    X : float32 ndarray of shape (n_samples, n_features) or (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,)
        The class numbers.
    classes : ndarray of shape (n_classes,)
        All labels, sorted.

    Raises
    ------
    ValueError
        If a scorer does not take the labels.
    """
    if np.array_equal(classes, np.arange(len(classes))):
        return
    rows = np.unique(y, return_index=True)[1]
    for name, callback in net.callbacks_:
        scoring = getattr(callback, "scoring_", None)
        # The accuracy, which nets have by default, is the same for labels and class numbers.
        if scoring != "accuracy" and isinstance(scoring, str | _BaseScorer):
            by_label = _LabelScorer(scoring, classes)
            callback.set_params(scoring=by_label, name=callback.name_)
            callback.initialize()
            try:
                with seeded(0, net.device), warnings.catch_warnings(action="ignore"):
                    by_label(net, X[rows], y[rows])
            except ValueError as error:
                raise ValueError(
                    f"estimator's callback {name!r} scores labels, and its scoring={scoring!r} "
                    f"does not take those of y, {classes.tolist()}: {error}"
                ) from error


@dataclass(frozen=True)
class _LabelScorer:
    """A scorer of a net trained on class numbers, by labels."""

    scoring: Any
    classes: NDArray[Any]

    def __call__(self, net: NeuralNet, X: Any, y: NDArray[Any]) -> float:
        labels = self.classes[y.astype(np.int64)]
        return get_scorer(self.scoring)(_LabelNet(net, self.classes), X, labels)


class _LabelNet(ClassifierMixin, BaseEstimator):
    """A net trained on class numbers, which predicts labels."""

    def __init__(self, net: NeuralNet, classes: NDArray[Any]) -> None:
        self.net, self.classes = net, classes

    @property
    def classes_(self) -> NDArray[Any]:
        return self.classes

    def predict(self, X: Any) -> NDArray[Any]:
        return self.classes[self.net.predict(X)]

    def predict_proba(self, X: Any) -> NDArray[Any]:
        return self.net.predict_proba(X)
