"""`TicketMask`: an immutable mask of the parameters of a network."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from sklearn_tickets._network import Rows, plain_module, prunable_parameters, trace_paths
from sklearn_tickets.masks._memory import equal_copies, shared_memory, with_ties
from sklearn_tickets.masks._packed_mask import PackedMask, check_fit


class LayerCollapseWarning(UserWarning):
    """No path connects an input to an output: the sparse network is constant."""


class TicketMask(PackedMask):
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

    __slots__ = ()

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

    @classmethod
    def from_nonzero(
        cls, module: nn.Module, *, prune_bias: bool = False, exclude: Iterable[str] = ()
    ) -> Self:
        """Keep the prunable parameters of a sparse `module` that are not 0.

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

        Raises
        ------
        TypeError
            If `module` is no module, such as a skorch net.
        ValueError
            If an entry of `exclude` matches no parameter, there is nothing to cover, or a layer
            computes its weight from other parameters, as with ``torch.nn.utils.prune``.

        Examples
        --------
        >>> import torch
        >>> from sklearn_tickets.masks import TicketMask
        >>> module = torch.nn.Linear(4, 1)
        >>> _ = module.weight.data.copy_(torch.tensor([0.3, 0.0, -2.0, 0.0]))
        >>> TicketMask.from_nonzero(module)["weight"]
        tensor([[ True, False,  True, False]])
        """
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"module must be a torch.nn.Module; got {type(module).__name__}. Of a fitted "
                "skorch net, pass net.module_, and of a fitted pruner pruner.estimator_.module_."
            )
        prunable = prunable_parameters(module, prune_bias=prune_bias, exclude=exclude)
        return cls({name: p.detach().to_dense() != 0 for name, p in prunable.items()})

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
        check_fit(self._shapes, shapes, "state")
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
        for name, kept in self.items():
            if not kept.all():
                parameters[name].masked_fill_(~kept.to(parameters[name].device), 0)

    def effective(self, module: nn.Module, X: Rows) -> Self:
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
        return self.trace(module, X)[0]

    def input_support(self, module: nn.Module, X: Rows) -> np.ndarray:
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
        return self.trace(module, X)[1]

    def trace(self, module: nn.Module, X: Rows) -> tuple[Self, np.ndarray]:
        """Follow the paths of `module` once, for both `effective` and `input_support`.

        Parameters
        ----------
        module : torch.nn.Module
            The network, which is not modified.
        X : Tensor or ndarray of shape (n_samples, ...)
            Inputs, as in `effective`.

        Returns
        -------
        effective : TicketMask
            The parameters on a path.
        support : bool ndarray of shape X.shape[1:]
            The inputs on a path.
        """
        self.check_fits(module)
        flow = trace_paths(plain_module(module), self, X)
        on_path = {name: self[name] & (flow.parameters[name].cpu() != 0) for name in self}
        return type(self)(on_path), (flow.inputs != 0).cpu().numpy()
