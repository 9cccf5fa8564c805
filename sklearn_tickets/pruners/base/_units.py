"""Units as the grain of pruning: the best neurons and channels that a density allows."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sklearn_tickets._network import UnitGroup
from sklearn_tickets.masks import Scope, TicketMask
from sklearn_tickets.pruners.base._gradients import Scores


class Inventory:
    """Units of a masked network, and how many kept parameters each of them has.

    A parameter belongs to the unit that it computes and to the unit that it reads, and is kept if
    both are. What belongs to no unit that may be removed, as the rows of the last layer and the
    columns of the first, counts as read or computed by a unit that always stays, number 0 of
    group 0.

    Parameters
    ----------
    mask : TicketMask
        The parameters that may be kept.
    groups : sequence of UnitGroup
        The units, each with rows and columns of the parameters.

    Attributes
    ----------
    kept : list of bool ndarray of shape (n_units,)
        Which units of each group are kept: none at first, but that which always stays.
    prices : list of int64 ndarray of shape (n_units,)
        How many parameters a unit of each group would add to those that are kept.
    n_kept : int
        Number of parameters that are kept.
    """

    def __init__(self, mask: TicketMask, groups: Sequence[UnitGroup]) -> None:
        sizes = [1, *(group.n_units for group in groups)]
        self.mask = mask
        self.rows = {name: g for g, group in enumerate(groups, 1) for name in group.rows}
        self.columns = {name: g for g, group in enumerate(groups, 1) for name in group.columns}
        self.kept = [np.zeros(size, dtype=bool) for size in sizes]
        self.prices = [np.zeros(size, dtype=np.int64) for size in sizes]
        self.n_kept = 0
        # For each parameter the group of its rows, that of its columns, and a matrix of counts.
        self.counts = [(*self._groups(name), self._count(name)) for name in mask]
        for row, column, counts in self.counts:
            if row == column:
                self.prices[row] += counts.diagonal()
        self.keep(0, 0)

    def _groups(self, name: str) -> tuple[int, int]:
        return self.rows.get(name, 0), self.columns.get(name, 0)

    def _by_unit(self, name: str) -> NDArray[np.bool_]:
        """Return a parameter of the mask in the shape (rows, units of its columns, taps)."""
        kept = self.mask[name].numpy()
        return kept.reshape(len(kept), len(self.kept[self._groups(name)[1]]), -1)

    def _count(self, name: str) -> NDArray[np.int32]:
        counts = self._by_unit(name).sum(axis=2, dtype=np.int32)
        return counts if name in self.rows else counts.sum(axis=0, keepdims=True, dtype=np.int32)

    def alive(self, group: int) -> NDArray[np.bool_]:
        """Mark the units of a group that have any parameter."""
        found = np.zeros(len(self.kept[group]), dtype=bool)
        for row, column, counts in self.counts:
            if row == group:
                found |= counts.any(axis=1)
            if column == group:
                found |= counts.any(axis=0)
        return found

    def keep(self, group: int, unit: int) -> None:
        """Keep a unit, with the parameters that connect it to the units kept so far."""
        self.n_kept += int(self.prices[group][unit])
        self.kept[group][unit] = True
        for row, column, counts in self.counts:
            if row == group:
                self.prices[column] += counts[unit]
            if column == group:
                self.prices[row] += counts[:, unit]

    def smallest(self) -> int:
        """Count the parameters of a network of one unit in each group, at most."""
        return sum(int(counts.max(initial=0)) for _, _, counts in self.counts)

    def to_mask(self) -> TicketMask:
        """Return the mask of the units kept."""
        masks = {}
        for name, kept in self.mask.items():
            rows, columns = (self.kept[group] for group in self._groups(name))
            own = self._by_unit(name) & rows[:, None, None] & columns[:, None]
            masks[name] = own.reshape(kept.shape)
        return TicketMask(masks)


def check_units(
    mask: TicketMask, groups: Sequence[UnitGroup], sparsity: float, scope: Scope
) -> None:
    """Check that units can meet a sparsity.

    Parameters
    ----------
    mask : TicketMask
        The parameters that may be kept.
    groups : sequence of UnitGroup
        The units.
    sparsity : float in [0, 1)
        Fraction of the parameters to remove.
    scope : {"global", "layer", "erk"}
        Which units compete with each other.

    Raises
    ------
    ValueError
        If one unit in each layer already has more parameters than are to be kept, or units have
        no such scope.
    """
    if scope == "erk":
        raise ValueError(
            "scope='erk' is a density for each layer, but a unit belongs to several: those that "
            "compute it and those that read it. With granularity='unit', set scope='layer' or "
            "'global'."
        )
    smallest = Inventory(mask, groups).smallest()
    (n_kept,) = mask.counts(1 - sparsity)
    if smallest > n_kept:
        possible = math.floor(1e4 * (1 - smallest / mask.n_parameters)) / 1e4
        raise ValueError(
            f"sparsity={sparsity!r} with granularity='unit' keeps at most {n_kept:,} of "
            f"{mask.n_parameters:,} parameters, but a single unit in each hidden layer takes "
            f"{smallest:,}. Set sparsity to at most {max(possible, 0)!r}, or granularity='weight'."
        )


def shrink_units(
    mask: TicketMask,
    groups: Sequence[UnitGroup],
    scores: Scores,
    density: float,
    scope: Scope,
    rng: np.random.RandomState,
) -> TicketMask:
    r"""Keep the best units of a mask, and nothing of the others.

    The score :math:`S_j` of unit j is the sum of those of all that goes with it: the weights and
    biases that compute it, and the weights that read it,

    .. math:: S_j = \sum_{i \in \mathrm{rows}(j) \cup \mathrm{columns}(j)} s_i.

    Units are kept from the best to the worst, as long as the parameters that connect a unit to
    those kept before fit into the density; those that do not fit are left out. Each group
    keeps one at least.

    Parameters
    ----------
    mask : TicketMask
        The parameters that may be kept.
    groups : sequence of UnitGroup
        The units.
    scores : dict of str to Tensor
        Scores of the parameters, higher is kept; those of pruned parameters are ignored.
    density : float in (0, 1]
        The largest fraction of all parameters to keep.
    scope : {"global", "layer"}
        Whether units are ordered by their scores, in multiples of the mean magnitude of those of
        their group ("global"), or by their rank within the group ("layer").
    rng : RandomState
        Breaks ties.

    Returns
    -------
    mask : TicketMask
        The mask of the units kept.

    Raises
    ------
    ValueError
        If the score of a parameter is not finite.
    """
    inventory = Inventory(mask, groups)
    values, members = [], []
    for g, group in enumerate(groups, 1):
        units = np.flatnonzero(inventory.alive(g))
        if not len(units):
            continue
        own = _unit_scores(mask, group, scores)[units]
        noise = rng.random_sample(len(units))
        if scope == "layer":
            ranks = np.lexsort((noise, -own)).argsort()
            own = -(ranks + 0.5) / group.n_units
        else:
            own = own / (np.abs(own).mean() or 1)
        values.append(np.stack([noise, -own]))
        members.append(np.stack([np.full(len(units), g), units]))
    if not members:
        return mask
    best_first = np.hstack(members)[:, np.lexsort(np.hstack(values))]
    _, leaders = np.unique(best_first[0], return_index=True)
    for g, unit in best_first[:, leaders].T:
        inventory.keep(g, unit)
    (n_most,) = mask.counts(density)
    for g, unit in np.delete(best_first, leaders, axis=1).T:
        if inventory.n_kept + inventory.prices[g][unit] <= n_most:
            inventory.keep(g, unit)
    return inventory.to_mask()


def _unit_scores(mask: TicketMask, group: UnitGroup, scores: Scores) -> NDArray[np.float64]:
    """Sum the scores of what goes with the units of a group."""
    total = torch.zeros(group.n_units, dtype=torch.float64)
    for name in dict.fromkeys(group.rows + group.columns):
        own = scores[name].detach().cpu().double().where(mask[name], 0)
        if not own.isfinite().all():
            raise ValueError(
                f"scores of {name} contain NaN or infinite values for kept parameters. "
                "Look for a diverging loss or overflowing weights."
            )
        if name in group.rows:
            total += own.reshape(group.n_units, -1).sum(dim=1)
        if name in group.columns:
            by_column = own.reshape(len(own), group.n_units, -1).sum(dim=2)
            total += by_column.sum(dim=0)
            if name in group.rows:
                # What a unit reads of itself counts once.
                total -= by_column.diagonal()
    return total.numpy()
