"""The error of a network on the straight line between two states of its weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import mean_squared_error, zero_one_loss
from skorch import NeuralNet
from torch import Tensor, nn

from sklearn_tickets._estimators import Found, find_pruner
from sklearn_tickets._network import infer, normalization_statistics
from sklearn_tickets.pruners.base import BasePruner, class_codes


@dataclass(frozen=True, eq=False, repr=False)
class ModeConnectivity:
    """The errors on the straight line between two networks.

    Parameters
    ----------
    alphas : array-like of shape (n_points,)
        The positions on the line, from 0 to 1.
    errors : array-like of shape (n_points,)
        The errors at these positions; lower is better.

    See Also
    --------
    linear_mode_connectivity : Compute the errors.

    Examples
    --------
    >>> from sklearn_tickets.inspection import ModeConnectivity
    >>> line = ModeConnectivity([0, 0.5, 1], [0.1, 0.5, 0.3])
    >>> line
    ModeConnectivity(barrier 0.3 on 3 points)
    >>> line.is_stable()
    False
    """

    alphas: NDArray[np.float64]
    errors: NDArray[np.float64]

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.array(getattr(self, field.name), dtype=np.float64)
            values.flags.writeable = False
            object.__setattr__(self, field.name, values)

    @property
    def barrier(self) -> float:
        """The largest error on the line minus the mean error of its two ends.

        It is never negative, since the ends are on the line. If the error is monotonic, it
        is half the difference of the ends.
        """
        return float(self.errors.max() - (self.errors[0] + self.errors[-1]) / 2)

    def is_stable(self, threshold: float = 0.02) -> bool:
        """Tell whether the barrier is so low that it may be noise.

        Parameters
        ----------
        threshold : float, default=0.02
            In units of the error. The default is two percentage points of classification error.

        Returns
        -------
        is_stable : bool
            Whether the barrier is below the threshold.
        """
        return self.barrier < threshold

    def __repr__(self) -> str:
        return f"ModeConnectivity(barrier {self.barrier:.3g} on {len(self.alphas)} points)"


def find_network(estimator: BaseEstimator, name: str) -> Found:
    """Find the skorch net or the fitted pruner that is, or is inside, the argument `name`."""
    if isinstance(estimator, NeuralNet):
        return Found((), estimator)
    return find_pruner(estimator, f"{name}, unless it is a skorch net,")


def error_at(
    module: nn.Module,
    state: Mapping[str, Tensor],
    X: NDArray,
    evaluate: Callable[[NDArray[np.float64]], float],
    *,
    X_train: NDArray,
) -> float:
    """Evaluate a network in a given state, with new statistics of batch normalization.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    state : mapping of str to Tensor
        A state dict of the network.
    X : ndarray of shape (n_samples, ...)
        The inputs to evaluate on.
    evaluate : callable ``(outputs) -> float``
        The error of float64 outputs of shape (n_samples, n_outputs).
    X_train : ndarray of shape (n_train_samples, ...)
        The inputs to estimate the statistics of batch normalization on.

    Returns
    -------
    error : float
        The error.
    """
    statistics = normalization_statistics(module, X_train, state)
    return evaluate(infer(module, X, dict(state) | statistics))


def errors_on_line(
    module: nn.Module,
    state_a: Mapping[str, Tensor],
    state_b: Mapping[str, Tensor],
    X: NDArray,
    evaluate: Callable[[NDArray[np.float64]], float],
    *,
    n_points: int,
    X_train: NDArray,
) -> ModeConnectivity:
    """Evaluate a network at evenly spaced points between two states, both ends included.

    The point at alpha is ``(1 - alpha) * state_a + alpha * state_b`` for parameters and
    floating-point buffers; other buffers are those of `state_a`. Interpolated statistics of
    batch normalization would be wrong, so they are estimated again at every point.

    Parameters
    ----------
    module : torch.nn.Module
        The network. It is not changed.
    state_a, state_b : mapping of str to Tensor
        State dicts of the network, with equal names and shapes.
    X : ndarray of shape (n_samples, ...)
        The inputs to evaluate on.
    evaluate : callable ``(outputs) -> float``
        The error of float64 outputs of shape (n_samples, n_outputs).
    n_points : int
        Number of points, at least 2.
    X_train : ndarray of shape (n_train_samples, ...)
        The inputs to estimate the statistics of batch normalization on.

    Returns
    -------
    connectivity : ModeConnectivity
        The points and their errors.

    Raises
    ------
    ValueError
        If `n_points` is less than 2.
    """
    if n_points < 2:
        raise ValueError(f"n_points must be at least 2, for both ends; got {n_points}.")
    alphas = np.linspace(0, 1, n_points)
    errors = []
    for alpha in alphas:
        # lerp is exact at both ends, and everywhere if the ends are equal.
        state = {
            name: torch.lerp(a.double(), state_b[name].to(a.device).double(), float(alpha))
            if a.is_floating_point()
            else a
            for name, a in state_a.items()
        }
        errors.append(error_at(module, state, X, evaluate, X_train=X_train))
    return ModeConnectivity(alphas, np.array(errors))


def error_function(
    estimator: BaseEstimator,
    y: ArrayLike,
    metric: Callable[[NDArray, NDArray], float] | None = None,
) -> Callable[[NDArray[np.float64]], float]:
    """Make the function that evaluates outputs in `errors_on_line`.

    Parameters
    ----------
    estimator : fitted pruner or skorch net
        The estimator that defines the predictions: labels for a classification pruner, class
        indices for a net classifier, outputs for regressors.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The true labels, class indices or targets.
    metric : callable ``(y_true, y_pred) -> float``, default=None
        The error; lower is better. If None, 1 - accuracy for classifiers and the mean squared
        error for regressors. Regression outputs are reshaped like `y`.

    Returns
    -------
    evaluate : callable ``(outputs) -> float``
        The error of float64 outputs of shape (n_samples, n_outputs).
    """
    y_true = np.asarray(y)
    if metric is None:
        metric = zero_one_loss if is_classifier(estimator) else mean_squared_error

    def predict(outputs: NDArray[np.float64]) -> NDArray:
        if not is_classifier(estimator):
            return outputs.reshape(y_true.shape)
        codes = class_codes(getattr(estimator, "estimator", estimator), outputs)
        return estimator.classes_[codes] if isinstance(estimator, BasePruner) else codes

    return lambda outputs: float(metric(y_true, predict(outputs)))
