"""Curvature of large networks: blocks of the empirical Fisher matrix."""

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn.functional import pad

# Part of the mean of the diagonal that is added to it, so that blocks can be inverted.
_DAMPING = 0.1
# Numbers in all blocks: 1 GiB of single precision.
_MOST = 2**28


def inverse_fisher(gradients: Iterable[Tensor], n: int, block_size: int) -> Tensor:
    r"""Invert the diagonal blocks of the empirical Fisher matrix.

    .. math:: F = \delta I + \frac{1}{m} \sum_{i=1}^m g_i g_i^T

    Parameters
    ----------
    gradients : iterable of Tensor of shape (n,)
        The gradients g of m parts of the loss.
    n : int
        Number of entries.
    block_size : int
        Number of entries in a block; fewer if all blocks together had more than 2**28 numbers.

    Returns
    -------
    inverse : Tensor of shape (n_blocks, block_size, block_size)
        The inverses. Entries beyond n, in the last block, have no connection to the others.
    """
    size = max(1, min(block_size, n, _MOST // n))
    fisher = torch.zeros(-(-n // size), size, size)
    m = 0
    for gradient in gradients:
        g = in_blocks(gradient.cpu(), size)
        fisher.baddbmm_(g[:, :, None], g[:, None])
        m += 1
    fisher /= m
    diagonal = fisher.diagonal(dim1=1, dim2=2)
    diagonal += _DAMPING * diagonal.sum() / n + 1e-30
    return torch.linalg.inv(fisher)


def in_blocks(values: Tensor, size: int) -> Tensor:
    """Split a vector into rows of a given size; the last one is filled with 0."""
    return pad(values, (0, -len(values) % size)).reshape(-1, size)


def without_in_blocks(values: Tensor, inverse: Tensor, gone: Tensor) -> Tensor:
    """Remove entries, and correct the others of their blocks; see `without`.

    Parameters
    ----------
    values : Tensor of shape (n,)
        The entries.
    inverse : Tensor of shape (n_blocks, block_size, block_size)
        The inverses of the blocks of the curvature.
    gone : bool Tensor of shape (n,)
        The entries to remove.

    Returns
    -------
    values : Tensor of shape (n,)
        The entries, of which the removed ones are 0.
    """
    w, out = (in_blocks(each.float(), inverse.shape[1])[:, :, None] for each in (values, gone))
    # The rows and columns of the removed entries; those of others are the identity's.
    between = out * inverse * out.mT + torch.diag_embed(1 - out[:, :, 0])
    pull = torch.linalg.solve(between, out * w)
    return (w - inverse @ pull).flatten()[: len(values)].masked_fill(gone, 0.0)
