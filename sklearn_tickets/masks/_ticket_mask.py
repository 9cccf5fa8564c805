"""`TicketMask`: an immutable mask of the parameters of a network."""

import math
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from torch import Tensor, nn

from sklearn_tickets._network import plain_module, prunable_parameters, trace_paths
from sklearn_tickets.masks._allocation import Allocation, Scope
from sklearn_tickets.masks._arrays import as_array, as_floats
from sklearn_tickets.masks._file import read_bits, write_bits
from sklearn_tickets.masks._memory import equal_copies, shared_memory, with_ties
from sklearn_tickets.masks._read_only import ReadOnlyTensor
from sklearn_tickets.masks._top_k import top_k


class LayerCollapseWarning(UserWarning):
    """No path connects an input to an output: the sparse network is constant."""


class TicketMask(Mapping[str, Tensor]):
    """Immutable mapping of parameter names to boolean tensors on the CPU, True = kept.

    Bits are stored packed, an eighth of a byte per parameter. ``mask[name]`` is a read-only copy.

    Parameters
    ----------
    kept : mapping of str to array-like of bool
        One boolean (or 0/1) array per parameter. The data are copied.

    Raises
    ------
    ValueError
        If `kept` has no entries, or holds anything but booleans, zeros and ones.

    Examples
    --------
    >>> from sklearn_tickets.masks import TicketMask
    >>> mask = TicketMask({"0.weight": [[True, False], [False, False]]})
    >>> mask
    TicketMask(1 of 4 parameters)
    >>> mask.sparsity, mask.density
    (0.75, 0.25)
    >>> mask | ~mask
    TicketMask(4 of 4 parameters)
    """

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

    @classmethod
    def ones_like(
        cls, module: nn.Module, *, prune_bias: bool = False, exclude: Iterable[str] = ()
    ) -> Self:
        """Keep every prunable parameter of `module`.

        Parameters
        ----------
        module : torch.nn.Module
            The network.
        prune_bias : bool, default=False
            Whether the mask covers biases, too.
        exclude : iterable of str, default=()
            Glob patterns of names of parameters that the mask does not cover.

        Returns
        -------
        mask : TicketMask
        """
        prunable = prunable_parameters(module, prune_bias=prune_bias, exclude=exclude)
        return cls({name: np.ones(p.shape, dtype=bool) for name, p in prunable.items()})

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
        values = {name: as_floats(score, f"scores of {name}") for name, score in scores.items()}
        _check_fit(self._shapes, {name: score.shape for name, score in values.items()}, "scores")
        random = check_random_state(rng)
        alive = {name: self._array(name).ravel() for name in self}
        values = {name: score.ravel() for name, score in values.items()}
        for name, score in values.items():
            if not (np.isfinite(score) | ~alive[name]).all():
                raise ValueError(
                    f"scores of {name} contain NaN or infinite values for kept parameters. "
                    "Look for a diverging loss or overflowing weights."
                )
        allocation = self.allocation(scope)
        n_alive = [int(sum(np.count_nonzero(alive[n]) for n in g)) for g in allocation.groups]
        kept: dict[str, np.ndarray] = {}
        for names, k in zip(allocation.groups, allocation.counts(density, n_alive), strict=True):
            own = [values[name] for name in names], [alive[name] for name in names]
            kept |= zip(names, top_k(*own, k, random), strict=True)
        return type(self)({name: kept[name].reshape(self._shapes[name]) for name in self})

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
        if not isinstance(other, TicketMask):
            return NotImplemented
        _check_fit(self._shapes, other._shapes, "the other mask")
        return type(self)({n: operation(self._array(n), other._array(n)) for n in self})

    def __and__(self, other: "TicketMask") -> Self:
        return self._combine(other, np.logical_and)

    def __or__(self, other: "TicketMask") -> Self:
        return self._combine(other, np.logical_or)

    def __invert__(self) -> Self:
        return type(self)({name: ~self._array(name) for name in self})

    def check_fits(self, module: nn.Module) -> None:
        """Check that every name of the mask is a parameter of `module` with that shape.

        Parameters
        ----------
        module : torch.nn.Module
            The network.

        Raises
        ------
        ValueError
            Names the first parameter that does not fit, or that is a view of another one.
        """
        parameters = dict(plain_module(module).named_parameters())
        misfit = f"mask does not fit {type(plain_module(module)).__name__}:"
        for name, shape in self._shapes.items():
            if name not in parameters:
                raise ValueError(
                    f"{misfit} the module has no parameter {name!r}, only {', '.join(parameters)}."
                )
            if tuple(parameters[name].shape) != shape:
                raise ValueError(
                    f"{misfit} {name!r} has shape {tuple(parameters[name].shape)} in the module "
                    f"and {shape} in the mask."
                )
        for views in shared_memory(parameters):
            for name, view in views.items():
                if view.any():
                    raise ValueError(
                        f"{misfit} {name!r} shares entries with another of {', '.join(views)}, but "
                        "is a parameter of its own. Make it the same parameter, or compute it "
                        "in the forward."
                    )
                view.fill_(True)

    def apply(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Copy a state dict with the pruned entries set to 0.

        A tied parameter has several names in a state dict, of which the mask covers one. Those
        that share its memory are masked as well.

        Parameters
        ----------
        state : mapping of str to Tensor
            Values by name, for all names of the mask.

        Returns
        -------
        masked : dict of str to Tensor
            New tensors for the names of the mask and those tied to them; the others are those
            of `state`.

        Raises
        ------
        ValueError
            If a name of the mask is missing or has another shape.

        Warns
        -----
        UserWarning
            If an entry may have been tied to one of the mask, but no longer shares its memory.

        Examples
        --------
        >>> import torch
        >>> from sklearn_tickets.masks import TicketMask
        >>> weight = torch.tensor([[0.5, 2.0]])
        >>> TicketMask({"first": [[False, True]]}).apply({"first": weight, "tied": weight})
        {'first': tensor([[0., 2.]]), 'tied': tensor([[0., 2.]])}
        """
        shapes = {name: tuple(state[name].shape) for name in self if name in state}
        _check_fit(self._shapes, shapes, "state")
        pruned = with_ties({n: ~self[n].to(state[n].device) for n in self}, state)
        masked = {n: state[n].masked_fill(entries, 0) for n, entries in pruned.items()}
        for copy, name in equal_copies(state, masked):
            warnings.warn(
                f"state[{copy!r}] equals state[{name!r}], but is not masked, because it does not "
                "share its memory. If the two are tied, copy the state with copy.deepcopy, which "
                "keeps that.",
                stacklevel=2,
            )
        return dict(state) | masked

    @torch.no_grad()
    def apply_(self, module: nn.Module) -> None:
        """Set the pruned parameters of `module` to 0, in place.

        Parameters
        ----------
        module : torch.nn.Module
            The network; not modified if the mask does not fit.

        Raises
        ------
        ValueError
            If the mask does not fit the module.
        """
        self.check_fits(module)
        parameters = dict(plain_module(module).named_parameters())
        for name in self:
            parameters[name].masked_fill_(~self[name].to(parameters[name].device), 0)

    def effective(self, module: nn.Module, X: Tensor | np.ndarray) -> Self:
        """Keep only the parameters on a path from an input to an output.

        A kept parameter is effective if it is reached from an input *and* reaches an
        output through kept parameters; a bias counts if its unit does.

        Parameters
        ----------
        module : torch.nn.Module
            The network, which is not modified.
        X : Tensor or ndarray of shape (n_samples, ...)
            Inputs, of which one row suffices. Only its shape counts, unless the module looks up
            or compares its values.

        Returns
        -------
        mask : TicketMask

        Notes
        -----
        All that the outputs depend on counts. Paths are followed through layers, activations,
        normalization, pooling, arithmetic, and moved or selected entries. Every result of any
        other operation, such as recurrent layers and attention, counts as dependent on all of
        its inputs and parameters; once a module reads numbers out of tensors (``x.item()``,
        ``if x.sum() > 0``), everything counts. A product of two computed values depends on both.

        What is on no path does not respond to inputs, but it can be a constant other than 0: a
        unit that only its bias feeds. To remove it without a change of outputs, use
        `export.compact`, which adds the constants to the biases that remain;
        ``mask.effective(module, X).apply_(module)`` drops them.

        Examples
        --------
        >>> import torch
        >>> from sklearn_tickets.masks import TicketMask
        >>> from sklearn_tickets.models import MLP
        >>> net = MLP(n_features=1, n_outputs=1, hidden=(2,))
        >>> mask = TicketMask({"layers.0.weight": [[1], [1]], "layers.1.weight": [[1, 0]]})
        >>> mask.effective(net, torch.ones(1, 1))
        TicketMask(2 of 4 parameters)

        Here only its bias feeds the second unit, whose constant the smaller network keeps:

        >>> from sklearn_tickets.export import compact
        >>> for value in net.parameters():
        ...     _ = torch.nn.init.ones_(value)
        >>> mask = TicketMask({"layers.0.weight": [[1], [0]], "layers.1.weight": [[1, 1]]})
        >>> mask.apply_(net)
        >>> X = torch.ones(1, 1)
        >>> net(X).item(), compact(net)(X).item()
        (4.0, 4.0)
        >>> mask.effective(net, X).apply_(net)
        >>> net(X).item()
        3.0
        """
        self.check_fits(module)
        flow = trace_paths(plain_module(module), self, X).parameters
        return type(self)({name: self[name] & (flow[name].cpu() != 0) for name in self})

    def input_support(self, module: nn.Module, X: Tensor | np.ndarray) -> np.ndarray:
        """Mark the inputs from which a path leads to an output.

        Parameters
        ----------
        module : torch.nn.Module
            The network, which is not modified.
        X : Tensor or ndarray of shape (n_samples, ...)
            Inputs, as in `effective`.

        Returns
        -------
        support : bool ndarray of shape X.shape[1:]
        """
        self.check_fits(module)
        inputs = trace_paths(plain_module(module), self, X).inputs
        return (inputs != 0).cpu().numpy()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TicketMask):
            return NotImplemented
        same = (np.array_equal(bits, other._bits[name]) for name, bits in self._bits.items())
        return self._shapes == other._shapes and all(same)

    def __hash__(self) -> int:
        return hash(frozenset((n, self._shapes[n], self._bits[n].tobytes()) for n in self))

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


def _check_fit(expected: Mapping[str, tuple], given: Mapping[str, tuple], what: str) -> None:
    """Raise a ValueError unless `given` has the names and shapes of `expected`."""
    if expected != given:
        names = expected.keys() | given.keys()
        name = min((name for name in names if expected.get(name) != given.get(name)), key=str)
        raise ValueError(
            f"{what} must cover the mask's parameters, shape for shape: {name!r} is "
            f"{expected.get(name, 'missing')} in the mask and {given.get(name, 'missing')} there."
        )
