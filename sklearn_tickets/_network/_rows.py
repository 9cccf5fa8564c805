"""Rows of inputs as tensors; those of sparse matrices are made dense when they are taken."""

from typing import Any, TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from torch import Tensor


class SparseRows:
    """A sparse matrix whose rows are dense tensors when they are taken.

    It takes the place of an array of inputs where these are read batch by batch, so that no
    more than a batch is ever dense.

    Parameters
    ----------
    matrix : sparse matrix or array of shape (n_samples, n_features)
        The inputs.
    """

    ndim = 2

    def __init__(self, matrix: Any) -> None:
        self.matrix = csr_array(matrix)

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return self.matrix.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers."""
        return self.matrix.dtype

    @property
    def nbytes(self) -> int:
        """The memory that all rows would take if they were dense."""
        n_rows, n_columns = self.shape
        return n_rows * n_columns * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Tensor:
        """Return one row of shape (n_features,), or several; scikit-learn takes ``[rows, ...]``."""
        if isinstance(rows, tuple):
            rows, _ = rows
        if isinstance(rows, int | np.integer):
            return self[[rows]][0]
        return torch.from_numpy(self.take(rows).matrix.toarray())

    def take(self, rows: Any) -> "SparseRows":
        """Return some of the rows, still sparse."""
        return SparseRows(self.matrix[rows if isinstance(rows, slice) else np.asarray(rows)])


Rows: TypeAlias = np.ndarray | Tensor | SparseRows


def as_tensor(array: Any) -> Tensor:
    """Convert to a tensor, without a copy unless torch cannot share the array's memory.

    Torch takes arrays that can be written to, in the native byte order and in C order.
    """
    if isinstance(array, Tensor):
        return array
    if issparse(array):
        array = array.toarray()
    native = array.dtype.newbyteorder("=")
    return torch.from_numpy(np.require(array, native, requirements=["C", "W"]))


def row_sizes(X: np.ndarray | SparseRows) -> np.ndarray:
    """Compute the largest magnitude in each row.

    Parameters
    ----------
    X : ndarray or SparseRows of shape (n_samples, ...)
        The rows.

    Returns
    -------
    sizes : ndarray of shape (n_samples,)
        The largest absolute values.
    """
    if isinstance(X, SparseRows):
        return abs(X.matrix).max(axis=1).toarray().ravel()
    return np.abs(X.reshape(len(X), -1)).max(axis=1)
