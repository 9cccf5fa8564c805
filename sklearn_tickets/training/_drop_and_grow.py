"""`DropAndGrow`: a mask that moves while a net trains."""

import math
import warnings
from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import plain_module
from sklearn_tickets._random import independent_rng
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training._hold_mask import HoldMask

Grow: TypeAlias = Literal["gradient", "random"]
Rule: TypeAlias = Callable[[Tensor], Tensor]

# Priority of an entry to grow by its gradient; ties are broken at random.
PROMISE: dict[Grow, Rule] = {"gradient": torch.abs, "random": torch.zeros_like}
# Value that an entry is grown from, by its initial value.
START: dict[Grow, Rule] = {"gradient": torch.zeros_like, "random": torch.clone}


class DropAndGrow(HoldMask):
    """Hold a moving mask: at intervals, small weights are dropped and others are grown.

    Parameters
    ----------
    mask : TicketMask
        The initial mask of a training.
    grow : {"gradient", "random"}, default="gradient"
        Whether to grow entries of largest gradient, from 0, or random entries, from their
        initial values.
    update_every : int, default=100
        Number of steps between changes of the mask.
    drop_fraction : float in (0, 1), default=0.3
        Initial fraction of each layer's entries to swap; it falls to 0 along a cosine.
    end_step : float, default=inf
        The step from which on the mask is fixed.
    random_state : int, RandomState instance or None, default=None
        Breaks ties, and draws the entries that are grown at random.

    Attributes
    ----------
    mask_ : TicketMask
        The current mask.

    See Also
    --------
    sklearn_tickets.pruners.RigLPruner : Describes the method in detail.

    Notes
    -----
    A ``partial_fit`` continues with the current mask. Callbacks that load earlier weights, such
    as ``EarlyStopping(load_best=True)``, belong before this one, which then refuses weights of
    an earlier mask.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch import NeuralNetRegressor
    >>> from sklearn_tickets.masks import TicketMask
    >>> from sklearn_tickets.models import MLP
    >>> from sklearn_tickets.training import DropAndGrow
    >>> mask = TicketMask({"layers.0.weight": [[1, 1, 0, 0]]})
    >>> moving = DropAndGrow(mask, update_every=1, drop_fraction=0.5)
    >>> net = NeuralNetRegressor(
    ...     MLP, module__n_features=4, module__n_outputs=1, module__hidden=(), max_epochs=9,
    ...     train_split=None, callbacks=[("moving", moving)], verbose=0,
    ... )
    >>> X = np.eye(4, dtype="float32")
    >>> dict(net.fit(X, 2 * X[:, 3:]).callbacks_)["moving"].mask_["layers.0.weight"][0, 3]
    tensor(True)
    """

    def __init__(
        self,
        mask: TicketMask,
        *,
        grow: Grow = "gradient",
        update_every: int = 100,
        drop_fraction: float = 0.3,
        end_step: float = math.inf,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        super().__init__(mask)
        self.grow = grow
        self.update_every = update_every
        self.drop_fraction = drop_fraction
        self.end_step = end_step
        self.random_state = random_state

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Store the values that weights are grown from, and apply the mask."""
        self._check_settings(net)
        self.mask.check_fits(net.module_)
        parameters = dict(plain_module(net.module_).named_parameters())
        self.parameters_ = {name: parameters[name] for name in self.mask}
        self.start_ = {name: START[self.grow](p.detach()) for name, p in self.parameters_.items()}
        self.step_ = 0
        # A partial_fit continues with the present mask.
        if not (net.history and hasattr(self, "mask_")):
            self.mask_, self.rng_ = self.mask, independent_rng(self.random_state)
        self._hold(net, self.mask_)

    def _check_settings(self, net: NeuralNet) -> None:
        """Raise a ValueError that names the first setting that cannot be used."""
        for name, other in net.callbacks_:
            if isinstance(other, HoldMask) and other is not self:
                raise ValueError(
                    f"{type(self).__name__} grows weights that {type(other).__name__} (callback "
                    f"{name!r}) of the same net holds at 0; remove one of them."
                )
        for name, is_usable, expected in [
            ("grow", self.grow in PROMISE, "'gradient' or 'random'"),
            (
                "update_every",
                isinstance(self.update_every, Integral) and self.update_every >= 1,
                "an integer of at least 1",
            ),
            ("drop_fraction", 0 < self.drop_fraction < 1, "above 0 and below 1"),
            ("end_step", self.end_step >= 0, "a number of steps, or inf"),
        ]:
            if not is_usable:
                raise ValueError(f"{name}={getattr(self, name)!r} must be {expected}.")

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Move the mask if an update is due, before the optimizer's step."""
        if self.in_step_:
            raise ValueError(
                f"The mask moves once in a step, but optimizer={type(net.optimizer_).__name__} of "
                "estimator evaluates the loss several times. Use another, such as Adam."
            )
        self.step_ += 1
        if self.step_ % self.update_every == 0 and self.step_ < self.end_step:
            fraction = self.drop_fraction / 2 * (1 + math.cos(math.pi * self.step_ / self.end_step))
            moved = dict(self.mask_)
            for names in self.mask_.allocation().groups:
                moved |= self._drop_and_grow(names, fraction)
            self._adopt(TicketMask(moved), net.optimizer_)
        super().on_grad_computed(net, training)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Refuse weights of an earlier mask, and warn if there were too few steps to move it."""
        super().on_train_end(net)
        del self.parameters_, self.start_
        if self.step_ and self.update_every >= min(self.step_ + 1, self.end_step):
            warnings.warn(
                f"The mask did not move: update_every={self.update_every}, but the training had "
                f"{self.step_} steps, and the mask is fixed from step {self.end_step:g} on. Lower "
                "update_every, or train for more epochs.",
                stacklevel=2,
            )

    def _drop_and_grow(self, names: list[str], fraction: float) -> TicketMask:
        """Swap a fraction of the entries of the layer of these parameters for others."""
        kept = TicketMask({name: self.mask_[name] for name in names})
        n = int(fraction * kept.n_kept)
        if n == 0:
            return kept
        w = {name: self.parameters_[name] for name in names}
        g = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in w.items()}
        stay = _strongest(
            kept, {name: p.abs() for name, p in w.items()}, kept.n_kept - n, self.rng_
        )
        # Entries at 0 without a gradient would stay at 0; dropped entries are kept instead.
        alive = TicketMask({name: (g[name] != 0) | (self.start_[name] != 0) for name in names})
        promise = {name: PROMISE[self.grow](gradient) for name, gradient in g.items()}
        return stay | _strongest((kept | alive) & ~stay, promise, n, self.rng_)

    def _adopt(self, mask: TicketMask, optimizer: torch.optim.Optimizer) -> None:
        """Hold another mask from now on, and reset the optimizer state of its new entries."""
        for name, factor in self.factors_.items():
            p = self.parameters_[name]
            grown = (mask[name] & ~self.mask_[name]).to(p.device)
            p[grown] = self.start_[name][grown]
            for moment in optimizer.state[p].values():
                if isinstance(moment, Tensor) and moment.shape == p.shape:
                    moment[grown] = 0
            factor.copy_(mask[name])
        self.mask_ = mask


def _strongest(
    candidates: TicketMask, scores: dict[str, Tensor], k: int, rng: np.random.RandomState
) -> TicketMask:
    """Keep the `k` candidates of highest score."""
    if k == 0:
        return candidates & ~candidates
    return candidates.shrink(scores, k / candidates.n_parameters, rng=rng)
