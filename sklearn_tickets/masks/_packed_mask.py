"""`PackedMask`: a mask without a network, an immutable value that is stored as bits."""

import math
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import Tensor

from sklearn_tickets.masks._allocation import Allocation, Scope
from sklearn_tickets.masks._arrays import as_array
from sklearn_tickets.masks._file import read_bits, write_bits
from sklearn_tickets.masks._place import place_of
from sklearn_tickets.masks._read_only import ReadOnlyTensor


class PackedMask(Mapping[str, Tensor]):
    """The part of `TicketMask` that needs no network; see there for its parameters and errors."""

    __slots__ = ("_bits", "_shapes")
    _bits: dict[str, np.ndarray]
    _shapes: dict[str, tuple[int, ...]]

    def __init__(self, kept: Mapping[str, ArrayLike | Tensor]) -> None:
        bits, shapes = {}, {}
        for name, values in kept.items():
            if not isinstance(name, str):
                raise ValueError(f"kept must have names of parameters as keys; got {name!r}.")
            array = as_array(values, f"kept[{name!r}]")
            if array.dtype != bool and not np.isin(array, (0, 1)).all():
                raise ValueError(
                    f"kept[{name!r}] must hold booleans (or 0 and 1) only; "
                    f"compare the {array.dtype} values with a threshold first."
                )
            bits[name] = np.packbits(array.astype(bool))
            shapes[name] = array.shape
        if not any(map(math.prod, shapes.values())):
            raise ValueError(f"A TicketMask needs at least one parameter with entries; got {kept}.")
        self._bits, self._shapes = bits, shapes

    def _array(self, name: str) -> np.ndarray:
        shape = self._shapes[name]
        return np.unpackbits(self._bits[name], count=math.prod(shape)).view(bool).reshape(shape)

    def __getitem__(self, name: str) -> Tensor:
        return Tensor._make_subclass(ReadOnlyTensor, torch.from_numpy(self._array(name)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._bits)

    def __len__(self) -> int:
        return len(self._bits)

    def __contains__(self, name: object) -> bool:
        return name in self._bits

    @property
    def n_kept(self) -> int:
        """Number of kept parameters."""
        return int(sum(np.bitwise_count(bits).sum(dtype=np.int64) for bits in self._bits.values()))

    @property
    def n_parameters(self) -> int:
        """Number of parameters the mask covers."""
        return sum(math.prod(shape) for shape in self._shapes.values())

    @property
    def density(self) -> float:
        """Fraction of parameters kept."""
        return self.n_kept / self.n_parameters

    @property
    def sparsity(self) -> float:
        """Fraction of parameters removed."""
        return 1 - self.density

    def to_vector(self) -> np.ndarray:
        """Flatten the mask, parameter by parameter, in its order.

        Returns
        -------
        vector : bool ndarray of shape (n_parameters,)
        """
        return np.concatenate([self._array(name).ravel() for name in self])

    def summary(self) -> pd.DataFrame:
        """Summarize each parameter in one row.

        Returns
        -------
        summary : DataFrame of shape (len(mask), 5)
            Columns ``shape, n_kept, n_parameters, density, sparsity``, indexed by name.
        """
        rows = {
            name: (shape, int(np.bitwise_count(self._bits[name]).sum()), math.prod(shape))
            for name, shape in self._shapes.items()
        }
        columns = ["shape", "n_kept", "n_parameters"]
        table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
        table["density"] = table["n_kept"] / table["n_parameters"]
        table["sparsity"] = 1 - table["density"]
        return table.rename_axis("parameter")

    def allocation(self, scope: Scope = "layer") -> Allocation:
        """Distribute densities over the layers of the mask.

        Parameters
        ----------
        scope : {"global", "layer", "erk"}, default="layer"
            Which parameters compete with each other, as in `Allocation`.

        Returns
        -------
        allocation : Allocation
        """
        return Allocation(self._shapes, scope)

    def counts(self, density: float, scope: Scope = "global") -> list[int]:
        """Compute how many entries of each group `shrink` keeps.

        Parameters
        ----------
        density : float in (0, 1]
            The fraction of all parameters to keep.
        scope : {"global", "layer", "erk"}, default="global"
            Which parameters compete with each other, as in `Allocation`.

        Returns
        -------
        counts : list of int
            One per group, at most the number of its entries that the mask keeps.
        """
        allocation = self.allocation(scope)
        n_kept = {name: int(np.bitwise_count(bits).sum()) for name, bits in self._bits.items()}
        limits = [sum(n_kept[name] for name in names) for names in allocation.groups]
        return allocation.counts(density, limits)

    def shrink(
        self,
        scores: Mapping[str, Tensor | ArrayLike],
        density: float,
        scope: Scope = "global",
        rng: int | np.random.RandomState | None = None,
    ) -> Self:
        """Keep the best-scored of the kept parameters.

        Exactly ``max(1, round(density * n))`` are kept (or all that are left, if fewer).
        Pruned parameters stay pruned; ties at the border are broken at random.

        Parameters
        ----------
        scores : mapping of str to Tensor or array-like
            Real numbers by name, higher is kept; those of pruned parameters are ignored.
        density : float in (0, 1]
            The fraction of all n parameters to keep.
        scope : {"global", "layer", "erk"}, default="global"
            What n counts: all, each layer, or all with a share per layer; see `Allocation`.
        rng : int, RandomState or None, default=None
            Breaks ties.

        Returns
        -------
        mask : TicketMask

        Raises
        ------
        ValueError
            If a score of a kept parameter is not finite, scores are not real numbers, names or
            shapes differ from the mask's, or `density` or `scope` is out of range.

        Examples
        --------
        >>> import torch
        >>> from sklearn_tickets.masks import TicketMask
        >>> mask = TicketMask({"weight": [[True, True, True, False]]})
        >>> scores = {"weight": torch.tensor([[0.1, 3.0, 2.0, 9.0]])}
        >>> mask.shrink(scores, density=0.5)["weight"]
        tensor([[False,  True,  True, False]])
        """
        place = place_of(scores.values())
        values = {name: place.read(score, f"scores of {name}") for name, score in scores.items()}
        check_fit(self._shapes, {n: tuple(score.shape) for n, score in values.items()}, "scores")
        random = check_random_state(rng)
        values = {name: score.ravel() for name, score in values.items()}
        alive = {n: place.unpack(bits, len(values[n])) for n, bits in self._bits.items()}
        for name, score in values.items():
            if not (place.is_finite(score) | ~alive[name]).all():
                raise ValueError(
                    f"scores of {name} contain NaN or infinite values for kept parameters. "
                    "Look for a diverging loss or overflowing weights."
                )
        kept: dict[str, np.ndarray] = {}
        counts = self.counts(density, scope)
        for names, k in zip(self.allocation(scope).groups, counts, strict=True):
            own = [values[name] for name in names], [alive[name] for name in names]
            marked = place.top_k(*own, k, random)
            kept |= zip(names, map(place.pack, marked), strict=True)
        shrunk = type(self).__new__(type(self))
        shrunk._bits, shrunk._shapes = {name: kept[name] for name in self}, self._shapes
        return shrunk

    def shuffled(self, rng: int | np.random.RandomState | None = None) -> Self:
        """Permute the entries within each parameter, which keeps their counts.

        Parameters
        ----------
        rng : int, RandomState or None, default=None
            Draws the permutations.

        Returns
        -------
        mask : TicketMask
        """
        random = check_random_state(rng)
        return type(self)(
            {n: random.permutation(self._array(n).ravel()).reshape(self._shapes[n]) for n in self}
        )

    def _combine(self, other: object, operation: Callable) -> Self:
        if not isinstance(other, PackedMask):
            return NotImplemented
        check_fit(self._shapes, other._shapes, "the other mask")
        return type(self)({n: operation(self._array(n), other._array(n)) for n in self})

    def __and__(self, other: "PackedMask") -> Self:
        return self._combine(other, np.logical_and)

    def __or__(self, other: "PackedMask") -> Self:
        return self._combine(other, np.logical_or)

    def __invert__(self) -> Self:
        return type(self)({name: ~self._array(name) for name in self})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedMask):
            return NotImplemented
        same = (np.array_equal(bits, other._bits[name]) for name, bits in self._bits.items())
        return self._shapes == other._shapes and all(same)

    def __hash__(self) -> int:
        return hash(frozenset((n, self._shapes[n], self._bits[n].tobytes()) for n in self))

    def __getstate__(self) -> dict[str, Any]:
        # Plain arrays and numbers, which skops can write as well.
        return {"bits": self._bits, "shapes": self._shapes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._bits, self._shapes = state["bits"], state["shapes"]

    def __repr__(self) -> str:
        return f"TicketMask({self.n_kept:,} of {self.n_parameters:,} parameters)"

    def _repr_html_(self) -> str:
        return f"<p><b>{self!r}</b></p>{self.summary().to_html(float_format='{:.4g}'.format)}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the mask to a safetensors file, with eight entries per byte.

        Parameters
        ----------
        path : path-like
            The file to write. An existing file is replaced atomically and keeps its mode; links
            are followed.
        """
        write_bits(path, self._bits, self._shapes)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a mask written by `save`; this never runs code from the file.

        Parameters
        ----------
        path : path-like
            The file to read.

        Returns
        -------
        mask : TicketMask

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If the file is truncated or is not a mask file.
        """
        return cls(read_bits(path))


def check_fit(expected: Mapping[str, tuple], given: Mapping[str, tuple], what: str) -> None:
    """Raise a ValueError unless `given` has the names and shapes of `expected`."""
    if expected != given:
        names = expected.keys() | given.keys()
        name = min((name for name in names if expected.get(name) != given.get(name)), key=str)
        raise ValueError(
            f"{what} must cover the mask's parameters, shape for shape: {name!r} is "
            f"{expected.get(name, 'missing')} in the mask and {given.get(name, 'missing')} there."
        )
