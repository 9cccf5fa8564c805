"""Output scales of strong tickets: one positive factor per output.

The outputs of a masked network at its initial weights have arbitrary positive scales. The
factors that make them comparable are estimated on training data only.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax
from sklearn.base import is_classifier
from skorch import NeuralNet

from sklearn_tickets.pruners.base._targets import is_multilabel

# More sweeps change a factor by less than its estimation error.
_MAX_SWEEPS = 20
# Limits of the temperature, relative to the size of the logits.
_MAX_TEMPERATURE = 1e3


def scale_and_temperature(
    net: NeuralNet,
    outputs: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    start: np.ndarray | None = None,
) -> tuple[np.ndarray, float]:
    """Estimate the ``output_scale_`` and the ``temperature_`` of a strong ticket.

    Parameters
    ----------
    net : NeuralNet
        The net, which tells what its outputs are.
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        The outputs of the strong ticket.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets, as the net's loss takes them.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None for equal ones.
    start : ndarray of shape (n_outputs,) or None, default=None
        See `classification_scale`; without effect on others.

    Returns
    -------
    scale : float64 ndarray of shape (n_outputs,)
        Positive factors on the outputs.
    temperature : float
        Divisor of the rescaled logits; 1 for regression outputs and logits of labels.
    """
    if not is_classifier(net):
        return regression_scale(outputs, y.reshape(outputs.shape), sample_weight), 1.0
    if is_multilabel(net):
        return multilabel_scale(outputs, y, sample_weight), 1.0
    scale = classification_scale(outputs, y, sample_weight, start)
    return scale, classification_temperature(outputs * scale, y, sample_weight)


def regression_scale(
    outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """Compute the least-squares factor of every output, ``sum(w y f) / sum(w f^2)``.

    Parameters
    ----------
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        The network's outputs f.
    y : ndarray of shape (n_samples, n_outputs)
        The targets.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        Weights w of the rows; None for equal ones.

    Returns
    -------
    scale : float64 ndarray of shape (n_outputs,)
        1 where the factor is not positive or the output is constant.
    """
    weighted = outputs if sample_weight is None else outputs * sample_weight[:, None]
    product, power = (y * weighted).sum(axis=0), (outputs * weighted).sum(axis=0)
    rounding = 1e-12 * np.abs(outputs).max(axis=0)
    usable = (product > 0) & (power > 0) & (np.ptp(outputs, axis=0) > rounding)
    return np.divide(product, power, out=np.ones_like(power), where=usable)


def classification_scale(
    outputs: np.ndarray,
    y: np.ndarray,
    sample_weight: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Find the factors of highest training accuracy by coordinate ascent.

    With the other factors fixed, accuracy is a step function of one factor, and its best
    step is found exactly. Minimizing the cross entropy instead gives a lower accuracy: it
    gives up correct rows to make wrong rows less wrong.

    Parameters
    ----------
    outputs : float64 ndarray of shape (n_samples, n_classes)
        The network's logits.
    y : int ndarray of shape (n_samples,)
        The classes, 0 to n_classes - 1.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        Weights of the rows in the accuracy; None for equal ones.
    start : ndarray of shape (n_classes,) or None, default=None
        Positive factors that are known to be good. The ascent also begins there, because
        it may end at a local maximum.

    Returns
    -------
    scale : float64 ndarray of shape (n_classes,)
        Positive; all 1 for a single logit, whose sign decides.
    """
    n_classes = outputs.shape[1]
    if n_classes == 1:
        return np.ones(1)
    # With one class per row, maxima over the few classes are elementwise over long rows.
    outputs = np.ascontiguousarray(outputs.T)
    size = np.average(np.abs(outputs), axis=1, weights=sample_weight)
    ones = np.ones(n_classes)
    starts = [ones, np.divide(1.0, size, out=ones.copy(), where=size > 0)]
    if start is not None:
        starts.append(start)
    share = np.ones(len(y)) if sample_weight is None else sample_weight / sample_weight.sum()
    rows = _Rows(outputs, y, share)
    return max((_ascend(rows, scale) for scale in starts), key=rows.accuracy)


def multilabel_scale(
    outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> np.ndarray:
    """Find the factor of each label's logit of lowest cross entropy.

    It changes no prediction, as this is the sign of the logit, only the probability.

    Parameters
    ----------
    outputs : float64 ndarray of shape (n_samples, n_labels)
        The network's logits.
    y : ndarray of shape (n_samples, n_labels)
        The indicators of the labels, 0 or 1.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        Weights of the rows; None for equal ones.

    Returns
    -------
    scale : float64 ndarray of shape (n_labels,)
        Inverse temperatures; see `classification_temperature`.
    """
    columns = zip(outputs.T, y.T, strict=True)
    return 1 / np.array(
        [classification_temperature(f[:, None], of, sample_weight) for f, of in columns]
    )


def classification_temperature(
    outputs: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None = None
) -> float:
    """Find the divisor of the logits of lowest cross entropy.

    It changes no prediction of the largest logit, only the probabilities.

    Parameters
    ----------
    outputs : float64 ndarray of shape (n_samples, n_classes)
        The network's logits, already rescaled.
    y : ndarray of shape (n_samples,)
        The classes, 0 to n_classes - 1.
    sample_weight : ndarray of shape (n_samples,) or None, default=None
        Weights of the rows in the cross entropy; None for equal ones.

    Returns
    -------
    temperature : float
        Positive; between a thousandth and a thousand times the size of the logits, also where
        they separate the classes or tell nothing about them. 1 if they are constant in each
        row.
    """
    is_single = outputs.shape[1] == 1
    logits = np.hstack([np.zeros_like(outputs), outputs]) if is_single else outputs
    size = np.average(np.ptp(logits, axis=1), weights=sample_weight)
    if size == 0:
        return 1.0
    logits = logits / size
    truth = np.eye(logits.shape[1])[y.astype(np.int64)]

    def slope(log_temperature: float) -> float:
        """Compute the derivative of the cross entropy with respect to a factor on the logits."""
        probabilities = softmax(logits * np.exp(-log_temperature), axis=1)
        slopes = ((probabilities - truth) * logits).sum(axis=1)
        return float(np.average(slopes, weights=sample_weight))

    # The cross entropy is convex in the factor, so the slope falls with the temperature.
    limit = np.log(_MAX_TEMPERATURE)
    if slope(limit) >= 0:
        return float(size * _MAX_TEMPERATURE)
    if slope(-limit) <= 0:
        return float(size / _MAX_TEMPERATURE)
    return float(size * np.exp(brentq(slope, -limit, limit, xtol=1e-6)))


@dataclass(frozen=True)
class _Rows:
    """Rows of which as many as possible are to be right.

    Sums of weights that are equal but for rounding are a tie.
    """

    outputs: np.ndarray
    y: np.ndarray
    weights: np.ndarray

    def accuracy(self, scale: np.ndarray) -> float:
        """Sum the weights of the rows that factors make right."""
        is_right = (self.outputs * scale[:, None]).argmax(axis=0) == self.y
        return float(self.weights[is_right].sum().round(9))


def _ascend(rows: _Rows, scale: np.ndarray) -> np.ndarray:
    """Improve one factor after the other until a sweep brings no gain."""
    for _ in range(_MAX_SWEEPS):
        moved = scale.copy()
        for k in range(len(scale)):
            moved[k] = _best_factor(rows, moved, k)
        gain = rows.accuracy(moved) - rows.accuracy(scale)
        # A sweep can lose: rows that tie exactly are right only where they tie.
        if gain >= 0:
            scale = moved
        if gain <= 0:
            break
    return scale


def _best_factor(rows: _Rows, scale: np.ndarray, k: int) -> float:
    """Return the factor of class `k` with most correct rows: the middle of the widest step."""
    rivals = rows.outputs * scale[:, None]
    rivals[k] = -np.inf
    rival = rivals.argmax(axis=0)
    bar = rivals.max(axis=0)
    # Predicting k rather than its rival gains or loses a row, or changes nothing.
    gain = ((rows.y == k).astype(np.int64) - (rows.y == rival)) * rows.weights
    logit = rows.outputs[k]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        flips_at = bar / logit
    flips = (flips_at > 0) & np.isfinite(flips_at) & (gain != 0)
    if not flips.any():
        return float(scale[k])
    order = np.argsort(flips_at[flips], kind="stable")
    points = flips_at[flips][order]
    # A positive logit overtakes its rival as the factor grows, a negative one falls behind.
    steps = (gain * np.sign(logit))[flips][order]
    heights = np.concatenate([[0], np.cumsum(steps)]).round(9)
    edges = np.concatenate([[points[0] / 4], points, [points[-1] * 4]])
    widths = np.log(edges[1:]) - np.log(edges[:-1])
    widths[heights < heights[widths > 0].max()] = 0
    step = widths.argmax()
    return float(np.sqrt(edges[step]) * np.sqrt(edges[step + 1]))
