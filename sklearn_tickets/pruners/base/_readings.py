"""Readings of a classifier's outputs: class numbers, decision values and probabilities."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_expit, log_softmax, logit
from skorch import NeuralNet
from skorch.utils import to_numpy
from torch import nn

from sklearn_tickets._network import plain_module
from sklearn_tickets.pruners.base._targets import is_multilabel


def class_codes(net: NeuralNet, outputs: Any) -> Any:
    """Convert a classifier's outputs to class numbers.

    Parameters
    ----------
    net : NeuralNetClassifier or NeuralNetBinaryClassifier
        The net, whose ``threshold`` on the probability of class 1 decides a single logit.
    outputs : float ndarray or Tensor of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    codes : int64 ndarray or Tensor of shape (n_samples,) or (n_samples, n_labels)
        The class of the largest logit of each row; the sign of each logit, 0 or 1, of a
        multilabel classifier.
    """
    if outputs.shape[1] == 1 or is_multilabel(net):
        return 1 * (decision_values(net, outputs) > 0)
    return outputs.argmax(axis=1)


def decision_values(net: NeuralNet, outputs: Any) -> Any:
    """Convert a classifier's outputs to the decision values of scikit-learn.

    Parameters
    ----------
    net : NeuralNetClassifier or NeuralNetBinaryClassifier
        The net.
    outputs : float ndarray or Tensor of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    decisions : float ndarray or Tensor of shape (n_samples,) or (n_samples, n_outputs)
        The logits of labels or of more than two classes. Of two classes, the logit of the
        second beyond that of the first, or beyond the logit of the net's ``threshold``.
    """
    if is_multilabel(net) or outputs.shape[1] > 2:
        return outputs
    if outputs.shape[1] == 1:
        return outputs[:, 0] - logit(net.threshold)
    return outputs[:, 1] - outputs[:, 0]


def apply_nonlinearity(net: NeuralNet, outputs: torch.Tensor) -> torch.Tensor:
    """Convert a classifier's outputs to what its criterion or nonlinearity implies.

    Parameters
    ----------
    net : NeuralNetClassifier or NeuralNetBinaryClassifier
        The initialized net.
    outputs : Tensor of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    probabilities : Tensor of shape (n_samples, n_classes) or (n_samples, n_labels)
        The outputs themselves if nothing is implied.
    """
    implied = net._get_predict_nonlinearity()(outputs[:, 0] if outputs.shape[1] == 1 else outputs)
    # Of each label, skorch gives the probabilities of 0 and of 1.
    return implied[:, 1] if implied.ndim == 3 else implied


def class_probabilities(net: NeuralNet, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert a classifier's outputs to probabilities.

    Parameters
    ----------
    net : NeuralNetClassifier or NeuralNetBinaryClassifier
        The initialized net.
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    probabilities : float64 ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        What the net's ``predict_nonlinearity`` makes of them.

    Raises
    ------
    ValueError
        If these are no probabilities.
    """
    found = to_numpy(apply_nonlinearity(net, torch.from_numpy(outputs)))
    of_labels = is_multilabel(net)
    add_up = (found <= 1).all() if of_labels else np.allclose(found.sum(axis=1), 1)
    if not add_up or (found < 0).any():
        raise ValueError(
            f"estimator's criterion {type(net.criterion_).__name__} does not imply how to "
            "turn outputs into probabilities; set predict_nonlinearity of estimator."
        )
    return found


def class_log_probabilities(net: NeuralNet, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert a classifier's outputs to logarithms of probabilities.

    They are computed from the logits, so that they are exact where a probability would be
    rounded to 0 or 1. A net's own ``predict_nonlinearity`` only gives the probabilities.

    Parameters
    ----------
    net : NeuralNetClassifier or NeuralNetBinaryClassifier
        The initialized net.
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        Logits.

    Returns
    -------
    logarithms : float64 ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
        The logarithms of `class_probabilities`.

    Raises
    ------
    ValueError
        If the net has no probabilities.
    """
    criterion = plain_module(net.criterion_)
    if net.predict_nonlinearity == "auto":
        if isinstance(criterion, nn.CrossEntropyLoss):
            return log_softmax(outputs, axis=1)
        if isinstance(criterion, nn.BCEWithLogitsLoss):
            signed = outputs if is_multilabel(net) else np.hstack([-outputs, outputs])
            return log_expit(signed)
    with np.errstate(divide="ignore"):
        return np.log(class_probabilities(net, outputs))
