"""Batches sliced from arrays, where a DataLoader would collate samples."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from sklearn_tickets._network import as_tensor


class ArrayBatches:
    """Batches cut from two tensors, in a new random order at every pass if `shuffle`."""

    def __init__(self, X: Tensor, y: Tensor, batch_size: int, shuffle: bool) -> None:
        self.X, self.y, self.batch_size, self.shuffle = X, y, batch_size, shuffle

    def __len__(self) -> int:
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        if self.shuffle:
            for rows in torch.randperm(len(self.X)).split(self.batch_size):
                yield self.X[rows], self.y[rows]
        else:
            for start in range(0, len(self.X), self.batch_size):
                stop = start + self.batch_size
                # Copies: a module may work in place, and these are views of the caller's data.
                yield self.X[start:stop].clone(), self.y[start:stop].clone()


def batch_iterator(dataset: Any, batch_size: int = 1, shuffle: bool = False, **kwargs: Any):
    """Iterate over batches like a DataLoader, slicing arrays where the data allow it.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Sliced if it is a skorch ``Dataset`` of arrays or a ``Subset`` of one; anything
        else goes to a DataLoader.
    batch_size : int, default=1
        Rows per batch.
    shuffle : bool, default=False
        Whether each pass has its own order.
    **kwargs : dict
        Further DataLoader options; if there are any, a DataLoader takes over.

    Returns
    -------
    batches : iterable of (X, y)
        Tensors.
    """
    rows: slice | Sequence[int] = slice(None)
    source = dataset
    if isinstance(source, Subset):
        rows, source = source.indices, source.dataset
    arrays = (np.ndarray, Tensor)
    if (
        kwargs
        or type(source) is not Dataset
        or not (isinstance(source.X, arrays) and isinstance(source.y, arrays))
    ):
        return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, **kwargs)
    X, y = as_tensor(source.X), as_tensor(source.y)
    return ArrayBatches(X[rows], y[rows], batch_size, shuffle)
