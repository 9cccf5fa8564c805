"""`Layout`: the parameters that a mask covers as one vector."""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from sklearn_tickets.masks import Scope, TicketMask


class Layout:
    """Order of the parameters that a mask covers in one vector, by competing groups.

    Parameters
    ----------
    mask : TicketMask
        Provides names and shapes, and which entries can be kept.
    scope : {"global", "layer", "erk"}
        Which parameters compete, as in `Allocation`.

    Attributes
    ----------
    names : list of str
        Names of the parameters in the order of the vector.
    groups : list of slice
        Positions of each group of parameters that compete with each other.
    weights : list of slice
        Positions of each parameter with two or more axes, unless the mask prunes all of it.
    pruned : bool Tensor of shape (n_parameters,)
        True for the entries that the mask does not keep.
    density : float
        Density of the mask.

    Examples
    --------
    >>> import torch
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.training import Layout
    >>> mask = TicketMask({"0.weight": [[1, 1]], "1.weight": [[1], [1]], "0.bias": [1]})
    >>> layout = Layout(mask, scope="layer")
    >>> layout.names, layout.groups
    (['0.weight', '0.bias', '1.weight'], [slice(0, 3, None), slice(3, 5, None)])
    >>> layout.best(torch.tensor([1.0, 3.0, 2.0, 1.0, 0.0]), layout.counts(0.5))
    tensor([False,  True,  True,  True, False])
    """

    def __init__(self, mask: TicketMask, scope: Scope) -> None:
        self._mask, self._scope, self.density = mask, scope, mask.density
        groups = mask.allocation(scope).groups
        self.names = [name for names in groups for name in names]
        shapes = {name: mask[name].shape for name in self.names}
        self._shapes = list(shapes.values())
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self.groups = _consecutive(
            sum(math.prod(shapes[name]) for name in names) for names in groups
        )
        self.pruned = self.join(dict(~mask))
        self.weights = [
            part
            for part, shape in zip(_consecutive(self._sizes), self._shapes, strict=True)
            if len(shape) > 1 and not self.pruned[part].all()
        ]

    def join(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Concatenate tensors into one vector.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            One per name, of the parameter's shape.

        Returns
        -------
        vector : Tensor of shape (n_parameters,)
            A copy of the entries.
        """
        return torch.cat([tensors[name].flatten() for name in self.names])

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """Split a vector into tensors.

        Parameters
        ----------
        vector : Tensor of shape (..., n_parameters)
            A vector as returned by `join`, or several.

        Returns
        -------
        tensors : dict of str to Tensor
            Views with the parameters' shapes, after the other axes of the vector.
        """
        parts = zip(self.names, vector.split(self._sizes, dim=-1), self._shapes, strict=True)
        return {name: part.view(*vector.shape[:-1], *shape) for name, part, shape in parts}

    def counts(self, density: float) -> list[int]:
        """Compute how many entries each group keeps at a density.

        Parameters
        ----------
        density : float in (0, 1]
            The fraction to keep.

        Returns
        -------
        counts : list of int
            One per group, at most the number of entries that the mask keeps.
        """
        return self._mask.counts(density, self._scope)

    def best(self, scores: Tensor, counts: Sequence[int]) -> Tensor:
        """Mark the best-scored entries of each group, without sorting.

        Parameters
        ----------
        scores : Tensor of shape (n_parameters,)
            Higher is better.
        counts : sequence of int
            Number of entries to mark in each group. Ties at the border are all marked.

        Returns
        -------
        marked : bool Tensor of shape (n_parameters,)
            True for the best.
        """
        marked = torch.zeros_like(scores, dtype=torch.bool)
        for group, k in zip(self.groups, counts, strict=True):
            if k:
                part = scores[group]
                marked[group] = part >= part.topk(k, sorted=False).values.min()
        return marked

    def tops(self, scores: Tensor) -> Tensor:
        """Find the best entry of each weight.

        Parameters
        ----------
        scores : Tensor of shape (n_parameters,)
            Higher is better.

        Returns
        -------
        positions : int64 Tensor of shape (n_weights,)
            Without weights that the mask prunes.
        """
        return torch.stack([part.start + scores[part].argmax() for part in self.weights])

    def with_footholds(self, scores: Tensor, above: float = 0.0) -> Tensor:
        """Raise the best entry of each weight above all others, so that no layer is emptied.

        Parameters
        ----------
        scores : Tensor of shape (n_parameters,)
            Higher is better.
        above : float, default=0.0
            A lower bound that the raised scores exceed.

        Returns
        -------
        scores : Tensor of shape (n_parameters,)
            A copy with raised entries.
        """
        return scores.index_fill(0, self.tops(scores), scores.max().clamp(min=above) + 1)


def _consecutive(sizes: Iterable[int]) -> list[slice]:
    """Return consecutive slices of these sizes."""
    slices, start = [], 0
    for size in sizes:
        slices.append(slice(start, start + size))
        start += size
    return slices
