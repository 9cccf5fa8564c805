"""Base of pruners with a given sparsity, and the mask that they prune on from."""

from numbers import Real
from typing import Annotated, Literal

from sklearn.utils._param_validation import Interval
from skorch import NeuralNet

from sklearn_tickets.masks import Scope, TicketMask
from sklearn_tickets.pruners.base._base import BasePruner


class SparsityPruner(BasePruner):
    """Base of pruners that search for a mask of a given sparsity.

    Parameters
    ----------
    <parameters>
    sparsity : float in [0, 1), default=0.9
        Fraction of the prunable parameters to remove; met exactly.
    scope : {"global", "layer", "erk"}, default="global"
        Whether parameters compete with all others or within their layer, where all layers
        have the same density ("layer") or small ones a higher one ("erk"); see `Allocation`.
    prune_bias : bool, default=False
        Whether to prune biases, too.
    exclude : tuple of str, default=()
        Glob patterns of names of parameters to leave dense, such as ``"head.*"``.
    initial_mask : TicketMask, "nonzero" or None, default=None
        The mask to prune on from: what it prunes stays pruned and counts towards the
        `sparsity`, and densities that fall in rounds or epochs fall from its density. "nonzero"
        keeps the entries of the initialized module that are not 0, as of a `ModuleTemplate` of
        a sparse network; None keeps all prunable parameters.

    Attributes
    ----------
    <attributes>
    """

    # None is for algorithms that choose the density; they document it.
    sparsity: Annotated[float | None, Interval(Real, 0, 1, closed="left")] = 0.9
    scope: Scope = "global"
    prune_bias: bool = False
    exclude: tuple[str, ...] | list[str] = ()
    initial_mask: TicketMask | Literal["nonzero"] | None = None

    def _initial_mask(self, net: NeuralNet) -> TicketMask:
        module, prune_bias, exclude = net.module_, self.prune_bias, self.exclude
        full = TicketMask.ones_like(module, prune_bias=prune_bias, exclude=exclude)
        if self.initial_mask is None:
            return full
        if self.initial_mask == "nonzero":
            mask = TicketMask.from_nonzero(module, prune_bias=prune_bias, exclude=exclude)
        else:
            self._check_covers(self.initial_mask, full)
            # In the order of the network's parameters.
            mask = full & self.initial_mask
        self._check_dense_enough(mask, full)
        return mask

    def _check_covers(self, mask: TicketMask, full: TicketMask) -> None:
        """Refuse an initial mask of other parameters than the prunable ones."""
        given, prunable = ({n: tuple(kept.shape) for n, kept in m.items()} for m in (mask, full))
        for name in given | prunable:
            if given.get(name) != prunable.get(name):
                raise ValueError(
                    f"initial_mask={mask!r} must cover the prunable parameters of estimator's "
                    f"module, shape for shape: {name!r} is {given.get(name, 'missing')} in the "
                    f"mask and {prunable.get(name, 'missing')} in the module. Make a mask of this "
                    f"module with prune_bias={self.prune_bias!r} and exclude={self.exclude!r}, or "
                    "set these two as they were for the mask."
                )

    def _check_dense_enough(self, mask: TicketMask, full: TicketMask) -> None:
        """Refuse an initial mask that keeps nothing, or less than is asked for."""
        if not mask.n_kept:
            raise ValueError(
                f"initial_mask={self.initial_mask!r} keeps none of {mask.n_parameters:,} "
                "parameters; pass a mask that keeps some."
            )
        if self.sparsity is None:
            return
        left, asked = (sum(m.counts(1 - self.sparsity, self.scope)) for m in (mask, full))
        if left < asked:
            where = "in every layer, or use scope='global'" if self.scope == "layer" else "in all"
            raise ValueError(
                f"initial_mask={self.initial_mask!r} is too sparse for sparsity={self.sparsity!r} "
                f"with scope={self.scope!r}: {left:,} of {asked:,} parameters to keep are left. "
                f"Raise sparsity (that of the mask is {mask.sparsity:.4g}), or pass a mask that "
                f"keeps more {where}."
            )
