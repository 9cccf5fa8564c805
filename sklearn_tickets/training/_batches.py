"""`batch_iterator`: slice batches from arrays; `check_batches`: before a net is trained on them.

A DataLoader reads and collates one sample at a time. For small networks, that takes longer than
the training steps.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import Dataset
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from sklearn_tickets._network import SparseRows, as_tensor, plain_module
from sklearn_tickets._random import random_streams, set_random_streams
from sklearn_tickets.training._weighted_loss import WeightedRows, parts, with_weights


class ArrayBatches:
    """Batches sliced from tensors, or from the rows of a sparse matrix and tensors.

    Parameters
    ----------
    X : Tensor or SparseRows of shape (n_samples, ...)
        The inputs.
    y : Tensor of shape (n_samples, ...)
        The targets.
    batch_size : int
        Number of samples per batch; the last batch may have fewer.
    shuffle : bool
        Whether to draw a new random order in each pass.
    sample_weight : Tensor of shape (n_samples,) or None, default=None
        Weights of the rows. With them, the inputs of a batch are a dictionary of both.

    See Also
    --------
    batch_iterator : Makes them from a skorch ``Dataset``.
    """

    def __init__(
        self,
        X: Tensor | SparseRows,
        y: Tensor,
        batch_size: int,
        shuffle: bool,
        sample_weight: Tensor | None = None,
    ) -> None:
        self.X, self.y, self.batch_size, self.shuffle = X, y, batch_size, shuffle
        self.sample_weight = sample_weight

    @property
    def tensors(self) -> tuple[Any, ...]:
        """X, which may be sparse, y and, if there are any, the weights."""
        pair = self.X, self.y
        return pair if self.sample_weight is None else (*pair, self.sample_weight)

    def __len__(self) -> int:
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[WeightedRows, Tensor]]:
        for X, y, *weights in self._slices():
            yield with_weights(X, *weights), y

    def _slices(self) -> Iterator[list[Tensor]]:
        """Yield the rows of each batch, of all tensors."""
        tensors = self.tensors
        if self.shuffle:
            for rows in torch.randperm(len(self.X)).split(self.batch_size):
                yield [each[rows] for each in tensors]
        else:
            for start in range(0, len(self.X), self.batch_size):
                stop = start + self.batch_size
                # Copies: a module may work in place, and these are views of the caller's data.
                yield [each[start:stop].clone() for each in tensors]


def batch_iterator(
    dataset: Any, batch_size: int = 1, shuffle: bool = False, **kwargs: Any
) -> ArrayBatches | DataLoader:
    """Iterate over batches like a DataLoader, but slice arrays where possible.

    Pass it to a skorch net as its ``iterator_train``.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        A skorch ``Dataset`` of arrays, or a ``Subset`` of one, is sliced; so are arrays with
        weights, ``{"X": X, "sample_weight": w}``. Any other data set gets a DataLoader.
    batch_size : int, default=1
        Number of samples per batch; the last batch may have fewer.
    shuffle : bool, default=False
        Whether to draw a new random order in each pass.
    **kwargs : dict
        Further options of a DataLoader. If there are any, a DataLoader is returned.

    Returns
    -------
    batches : ArrayBatches or torch.utils.data.DataLoader
        An iterable of pairs of tensors, X and y; X is a dictionary if there are weights.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from sklearn_tickets.training import batch_iterator
    >>> X, y = np.ones((5, 2), dtype="float32"), np.arange(5)
    >>> [y.tolist() for X, y in batch_iterator(Dataset(X, y), batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """
    rows: slice | Sequence[int] = slice(None)
    source = dataset
    if isinstance(source, Subset):
        rows, source = source.indices, source.dataset
    if kwargs or type(source) is not Dataset:
        return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle, **kwargs)
    given = [*parts(source.X), source.y]
    if not all(isinstance(each, np.ndarray | Tensor | SparseRows) for each in given):
        return DataLoader(dataset, batch_size=batch_size, shuffle=shuffle)
    taken: list[Any] = [
        each.take(rows) if isinstance(each, SparseRows) else as_tensor(each)[rows] for each in given
    ]
    X, *weights, y = taken
    return ArrayBatches(X, y, batch_size, shuffle, *weights)


def n_batches(net: NeuralNet, X: Any, y: Any) -> int:
    """Count the batches that an epoch of a net's training consists of.

    Parameters
    ----------
    net : NeuralNet
        Initialized.
    X : array-like of shape (n_samples, ...)
        The inputs that it is given.
    y : array-like of shape (n_samples, ...)
        The targets that it is given.

    Returns
    -------
    n_batches : int
        Without those of the validation data.
    """
    dataset, _ = net.get_split_datasets(X, y)
    return len(net.get_iterator(dataset, training=True))


def check_batches(net: NeuralNet, X: Any, y: Any) -> None:
    """Check that a net can be trained on its batches, as far as their sizes tell.

    Parameters
    ----------
    net : NeuralNet
        Initialized. Neither it nor a random stream is changed.
    X : array-like of shape (n_samples, ...)
        The inputs that it is given.
    y : array-like of shape (n_samples, ...)
        The targets that it is given.

    Raises
    ------
    ValueError
        If there is no batch, or if the module cannot be trained on a last batch of one row.
    """
    streams = random_streams()
    try:
        dataset, _ = net.get_split_datasets(X, y)
        batches = net.get_iterator(dataset, training=True)
        size = getattr(batches, "batch_size", None)
        if not size:
            return
        sizes = f"batch_size={size} makes of the {len(dataset)} training rows of estimator"
        n_left = len(dataset) % size
        is_complete = getattr(batches, "drop_last", False)
        if is_complete and len(dataset) < size:
            raise ValueError(
                f"{sizes} no batch, as iterator_train__drop_last=True drops the only one. Lower "
                "batch_size."
            )
        if size == 1 or (n_left == 1 and not is_complete):
            module = copy.deepcopy(plain_module(net.module_)).train()
            row = torch.as_tensor(X[:1]).to(net.device)
            try:
                with torch.no_grad():
                    module(row)
            except ValueError as error:
                raise ValueError(
                    f"{sizes} a batch of one row, on which its module cannot be trained: {error}. "
                    "Change batch_size, or set iterator_train__drop_last=True."
                ) from error
    finally:
        set_random_streams(streams)
