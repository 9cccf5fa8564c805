"""`StrongReading`: how a strong ticket is read, estimated on training data."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import SparseRows, infer, is_large, normalization_statistics
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._output_scale import scale_and_temperature

# More rows change an output's scale by less than its estimation error.
_MAX_ROWS = 10_000
# For ten classes, accuracy is within .002 of that with the scales of 10,000 rows; of 128 rows,
# temperatures are off.
_MAX_ROWS_OF_LARGE = 2_000
# In a training, too, normalization averages over the rows of one batch.
_FEW_ROWS = 128
# 10,000 images of MNIST.
_MAX_HELD_BYTES = 2**25


def rows_to_read(y: np.ndarray, max_rows: int) -> np.ndarray:
    """Choose the rows on which a strong ticket is read: all, or some that represent all.

    Parameters
    ----------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets.
    max_rows : int
        The most rows to choose.

    Returns
    -------
    rows : int ndarray of shape (min(n_samples, max_rows),)
        Ascending. They are equally spaced once the rows are sorted by their targets, so that
        classes keep their shares in whatever order they come.
    """
    order = np.lexsort(y.reshape(len(y), -1).T[::-1])
    spaced = np.linspace(0, len(y) - 1, min(len(y), max_rows)).round().astype(int)
    return np.sort(order[spaced])


class Estimates(NamedTuple):
    """What is estimated to read a strong ticket.

    Attributes
    ----------
    statistics : dict of str to Tensor
        Running statistics of its batch normalization; empty without such layers.
    scale : float64 ndarray of shape (n_outputs,)
        Positive factors on the outputs.
    temperature : float
        Divisor of the rescaled logits.
    """

    statistics: dict[str, Tensor]
    scale: np.ndarray
    temperature: float


class StrongReading:
    """How a strong ticket is read, estimated on training data.

    This takes as long as a part of an epoch, and many fits never ask for it. So it is estimated
    when it is first asked for, and before it is pickled: pickles hold no data. Until then, the
    rows are held, unless these are so many numbers that it is estimated at once.

    Parameters
    ----------
    net : NeuralNet
        The net, which tells what its outputs are.
    mask : TicketMask
        The ticket.
    initial : mapping of str to Tensor
        The initial weights and buffers.
    X : ndarray or SparseRows of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets, as the net's loss takes them.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None for equal ones.
    start : ndarray of shape (n_outputs,) or None
        Factors that are known to be good, as for `classification_scale`.
    """

    def __init__(
        self,
        net: NeuralNet,
        mask: TicketMask,
        initial: Mapping[str, Tensor],
        X: np.ndarray | SparseRows,
        y: np.ndarray,
        sample_weight: np.ndarray | None,
        start: np.ndarray | None,
    ) -> None:
        large = is_large(net.module_)
        rows = rows_to_read(y, _MAX_ROWS_OF_LARGE if large else _MAX_ROWS)
        # Copies, because X may change before they are read.
        held, targets = _take(X, rows), y[rows]
        weights = None if sample_weight is None else sample_weight[rows]

        @torch.inference_mode(False)
        def estimate() -> Estimates | None:
            strong = mask.apply(initial)
            few = _take(held, rows_to_read(targets, _FEW_ROWS)) if large else held
            statistics = normalization_statistics(net.module_, few, strong)
            outputs = infer(net.module_, held, {**strong, **statistics})
            if not np.isfinite(outputs).all():
                return None
            return Estimates(
                statistics, *scale_and_temperature(net, outputs, targets, weights, start)
            )

        self._estimate: Callable[[], Estimates | None] | None = estimate
        self._found: Estimates | None
        if held.nbytes > _MAX_HELD_BYTES:
            self._read()

    def estimates(self) -> Estimates:
        """Return the estimates.

        Returns
        -------
        estimates : Estimates
            Estimated on at most 10,000 rows, of large networks on 2,000, and the statistics of
            these on 128.

        Raises
        ------
        ValueError
            If outputs of the strong ticket are not finite.
        """
        found = self._read()
        if found is None:
            raise ValueError(
                "The strong ticket has no output_scale_: with the mask on its initial weights, the "
                "network of estimator has outputs that are not finite for some rows of the "
                "training data. Initialize it with smaller weights, or standardize X."
            )
        return found

    def _read(self) -> Estimates | None:
        """Estimate unless that is done, and hold no data any longer; None if outputs overflow."""
        estimate = self._estimate
        if estimate is not None:
            # In this order, as another thread may ask at the same time.
            self._found = estimate()
            self._estimate = None
        return self._found

    def __getstate__(self) -> dict[str, Any]:
        return {"_estimate": None, "_found": self._read()}


def _take(X: np.ndarray | SparseRows, rows: np.ndarray) -> np.ndarray | SparseRows:
    """Copy rows."""
    return X.take(rows) if isinstance(X, SparseRows) else X[rows]
