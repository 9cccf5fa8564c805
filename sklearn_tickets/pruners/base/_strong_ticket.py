"""`read_strong_ticket`: estimate on training data how a strong ticket is read."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import SparseRows, infer, is_large, normalization_statistics
from sklearn_tickets.pruners.base._output_scale import scale_and_temperature

# More rows change an output's scale by less than its estimation error.
_MAX_ROWS = 10_000
# In a training, too, normalization averages over the rows of one batch.
_FEW_ROWS = 128


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


class Reading(NamedTuple):
    """How a strong ticket is read.

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


def read_strong_ticket(
    net: NeuralNet,
    strong: Mapping[str, Tensor],
    X: np.ndarray | SparseRows,
    y: np.ndarray,
    sample_weight: np.ndarray | None,
    start: np.ndarray | None,
) -> Reading:
    """Estimate on training data how to read a strong ticket.

    Parameters
    ----------
    net : NeuralNet
        The net, which tells what its outputs are.
    strong : mapping of str to Tensor
        The weights and buffers of the ticket.
    X : ndarray or SparseRows of shape (n_samples, ...)
        The inputs.
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        The targets, as the net's loss takes them.
    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows; None for equal ones.
    start : ndarray of shape (n_outputs,) or None
        Factors that are known to be good, as for `classification_scale`.

    Returns
    -------
    reading : Reading
        Estimated on at most 10,000 rows; the statistics of large networks on 128.
    """
    module, rows = net.module_, rows_to_read(y, _MAX_ROWS)
    few = rows_to_read(y, _FEW_ROWS) if is_large(module) else rows

    def take(chosen: np.ndarray) -> np.ndarray | SparseRows:
        return X.take(chosen) if isinstance(X, SparseRows) else X[chosen]

    statistics = normalization_statistics(module, take(few), strong)
    outputs = infer(module, take(rows), {**strong, **statistics})
    weights = None if sample_weight is None else sample_weight[rows]
    return Reading(statistics, *scale_and_temperature(net, outputs, y[rows], weights, start))
