"""`SparseChain`: a chain of linear layers with ReLU, whose kept entries are one vector."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True, eq=False)
class SparseChain:
    """Linear layers with ReLU between them, of which some entries are kept.

    Each layer is one table: row i has the weights of unit i from the units before, and its bias
    in the last column.

    Parameters
    ----------
    tables : tuple of float64 Tensor of shape (n_units, n_inputs + 1)
        The layers from inputs to outputs; entries that are not kept are 0.
    kept : tuple of bool Tensor of shape (n_units, n_inputs + 1)
        The entries that are trained.
    removable : tuple of bool Tensor of shape (n_units, n_inputs + 1)
        The entries that may be removed, and put back. Others stay as they are.
    """

    tables: tuple[Tensor, ...]
    kept: tuple[Tensor, ...]
    removable: tuple[Tensor, ...]

    @cached_property
    def positions(self) -> list[tuple[Tensor, ...]]:
        """Rows and columns of the kept entries of each layer."""
        return [torch.nonzero(kept, as_tuple=True) for kept in self.kept]

    @property
    def vector(self) -> Tensor:
        """The kept entries, of shape (n,), in the order of layers, rows and columns."""
        return self.pick(self.tables)

    @property
    def n_removable(self) -> int:
        """Number of kept entries that may be removed."""
        return int(self.pick(self.removable).sum())

    def pick(self, tables: Sequence[Tensor]) -> Tensor:
        """Return the kept entries of other tables of the same shapes."""
        return torch.cat([table[kept] for table, kept in zip(tables, self.kept, strict=True)])

    def tables_of(self, values: Tensor) -> tuple[Tensor, ...]:
        """Return tables with a value for each kept entry, and 0 elsewhere."""
        parts = values.split([len(rows) for rows, _ in self.positions])
        tables = [torch.zeros(kept.shape, dtype=values.dtype) for kept in self.kept]
        for table, where, part in zip(tables, self.positions, parts, strict=True):
            table[where] = part
        return tuple(tables)

    def with_vector(self, values: Tensor) -> Self:
        """Replace the values of the kept entries."""
        return replace(self, tables=self.tables_of(values))

    def keep(self, kept: Sequence[Tensor]) -> Self:
        """Keep other entries: those that are new are 0."""
        tables = (table * still for table, still in zip(self.tables, kept, strict=True))
        return replace(self, tables=tuple(tables), kept=tuple(kept))

    def units(self) -> list[Tensor]:
        """List all inputs, the hidden units from which a path leads to an output, all outputs."""
        reached = [torch.ones(len(self.tables[-1]), dtype=torch.bool)]
        for kept in self.kept[:0:-1]:
            reached.append(kept[reached[-1], :-1].any(dim=0))
        reached.append(torch.ones(self.tables[0].shape[1] - 1, dtype=torch.bool))
        return [torch.nonzero(units).flatten() for units in reached[::-1]]

    def take(self, units: Sequence[Tensor]) -> Self:
        """Return the part between some of the inputs, hidden units and outputs."""

        def part(tables: Sequence[Tensor]) -> tuple[Tensor, ...]:
            return tuple(table[_block(units, i)] for i, table in enumerate(tables))

        return type(self)(part(self.tables), part(self.kept), part(self.removable))

    def put(self, part: Self, units: Sequence[Tensor]) -> Self:
        """Return this chain with a part replaced, and no removable entry kept elsewhere."""
        tables = tuple(
            torch.where(r, 0, t) for t, r in zip(self.tables, self.removable, strict=True)
        )
        kept = tuple(k & ~r for k, r in zip(self.kept, self.removable, strict=True))
        for i in range(len(tables)):
            tables[i][_block(units, i)] = part.tables[i]
            kept[i][_block(units, i)] = part.kept[i]
        return replace(self, tables=tables, kept=kept)

    def live(self) -> Self:
        """Return the part between the units that lead to an output."""
        return self.take(self.units())

    def map_live(self, change: Callable[[Self], Self]) -> Self:
        """Replace the live part by what a function makes of it."""
        units = self.units()
        return self.put(change(self.take(units)), units)

    def activations(self, X: Tensor) -> list[Tensor]:
        """Return the inputs of all layers, with a last row of ones for the biases.

        Parameters
        ----------
        X : float Tensor of shape (n_samples, n_inputs)
            The inputs.

        Returns
        -------
        activations : list of Tensor of shape (n_units + 1, n_samples)
        """
        activations = [pad(X.T, (0, 0, 0, 1), value=1.0)]
        for table in self.tables[:-1]:
            units = (table @ activations[-1]).clamp_min(0)
            activations.append(pad(units, (0, 0, 0, 1), value=1.0))
        return activations

    def outputs(self, X: Tensor) -> Tensor:
        """Compute the outputs, of shape (n_samples, n_outputs)."""
        return (self.tables[-1] @ self.activations(X)[-1]).T

    def jacobian(self, X: Tensor) -> Tensor:
        """Differentiate the outputs with respect to the kept entries.

        Parameters
        ----------
        X : float Tensor of shape (n_samples, n_inputs)
            The inputs.

        Returns
        -------
        jacobian : Tensor of shape (n_outputs, n, n_samples)
        """
        activations = self.activations(X)
        n_outputs = len(self.tables[-1])
        ends = np.cumsum([len(rows) for rows, _ in self.positions])
        jacobian = X.new_empty(n_outputs, ends[-1], len(X))
        for output in range(n_outputs):
            back = X.new_zeros(n_outputs, len(X))
            back[output] = 1
            for i in reversed(range(len(self.tables))):
                rows, inputs = self.positions[i]
                entries = slice(ends[i] - len(rows), ends[i])
                torch.mul(back[rows], activations[i][inputs], out=jacobian[output, entries])
                back = self.tables[i][:, :-1].T @ back * (activations[i][:-1] > 0)
        return jacobian


def _block(units: Sequence[Tensor], i: int) -> tuple[Tensor, Tensor]:
    """Index the rows and columns of layer i that belong to some units; biases are one column."""
    return units[i + 1][:, None], pad(units[i], (0, 1), value=-1)[None]
