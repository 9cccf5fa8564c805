"""Output scales of strong tickets: one positive factor per output.

The outputs of a masked network at its initial weights have arbitrary positive scales. The
factors that make them comparable are estimated on training data only.
"""

import numpy as np

# More rows or sweeps change a factor by less than its estimation error.
_MAX_ROWS, _MAX_SWEEPS = 10_000, 20


def regression_scale(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute the least-squares factor of every output, ``sum(y f) / sum(f^2)``.

    Parameters
    ----------
    outputs : float64 ndarray of shape (n_samples, n_outputs)
        The network's outputs f.
    y : ndarray of shape (n_samples, n_outputs)
        The targets.

    Returns
    -------
    scale : float64 ndarray of shape (n_outputs,)
        1 where the factor is not positive or the output is constant.
    """
    product, power = (y * outputs).sum(axis=0), (outputs**2).sum(axis=0)
    rounding = 1e-12 * np.abs(outputs).max(axis=0)
    usable = (product > 0) & (power > 0) & (np.ptp(outputs, axis=0) > rounding)
    return np.divide(product, power, out=np.ones_like(power), where=usable)


def classification_scale(outputs: np.ndarray, y: np.ndarray) -> np.ndarray:
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

    Returns
    -------
    scale : float64 ndarray of shape (n_classes,)
        Positive; all 1 for a single logit, whose sign decides. Estimated on at most
        10,000 rows.
    """
    n_classes = outputs.shape[1]
    if n_classes == 1:
        return np.ones(1)
    stride = -(-len(y) // _MAX_ROWS)
    # With one class per row, maxima over the few classes are elementwise over long rows.
    outputs, y = np.ascontiguousarray(outputs[::stride].T), y[::stride]
    size = np.abs(outputs).mean(axis=1)
    ones = np.ones(n_classes)
    starts = [ones, np.divide(1.0, size, out=ones.copy(), where=size > 0)]
    return max(
        (_ascend(outputs, y, start) for start in starts),
        key=lambda scale: _n_right(outputs, y, scale),
    )


def _ascend(outputs: np.ndarray, y: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Improve one factor after the other until a sweep brings no gain."""
    for _ in range(_MAX_SWEEPS):
        moved = scale.copy()
        for k in range(len(scale)):
            moved[k] = _best_factor(outputs, y, moved, k)
        gain = _n_right(outputs, y, moved) - _n_right(outputs, y, scale)
        # A sweep can lose: rows that tie exactly are right only where they tie.
        if gain >= 0:
            scale = moved
        if gain <= 0:
            break
    return scale


def _n_right(outputs: np.ndarray, y: np.ndarray, scale: np.ndarray) -> int:
    return int(np.sum((outputs * scale[:, None]).argmax(axis=0) == y))


def _best_factor(outputs: np.ndarray, y: np.ndarray, scale: np.ndarray, k: int) -> float:
    """Return the factor of class `k` with most correct rows: the middle of the widest step."""
    rivals = outputs * scale[:, None]
    rivals[k] = -np.inf
    rival = rivals.argmax(axis=0)
    bar = rivals.max(axis=0)
    # Predicting k rather than its rival gains or loses a row, or changes nothing.
    gain = (y == k).astype(np.int64) - (y == rival)
    logit = outputs[k]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        flips_at = bar / logit
    flips = (flips_at > 0) & np.isfinite(flips_at) & (gain != 0)
    if not flips.any():
        return float(scale[k])
    order = np.argsort(flips_at[flips], kind="stable")
    points = flips_at[flips][order]
    # A positive logit overtakes its rival as the factor grows, a negative one falls behind.
    steps = (gain * np.sign(logit).astype(np.int64))[flips][order]
    heights = np.concatenate([[0], np.cumsum(steps)])
    edges = np.concatenate([[points[0] / 4], points, [points[-1] * 4]])
    widths = np.log(edges[1:]) - np.log(edges[:-1])
    widths[heights < heights[widths > 0].max()] = 0
    step = widths.argmax()
    return float(np.sqrt(edges[step]) * np.sqrt(edges[step + 1]))
