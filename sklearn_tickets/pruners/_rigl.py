"""RigL and SET: train a sparse network all along, its mask on the move."""

import math
from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, Literal

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import Scope, TicketMask
from sklearn_tickets.pruners.base import Count, Epochs, Run, Schedule, Search, SparsityPruner
from sklearn_tickets.training import HoldMask, check_held

Rule = Callable[[Tensor], Tensor]
# What is grown first, by its gradient (equal scores are drawn at random).
PROMISE: dict[str, Rule] = {"gradient": torch.abs, "random": torch.zeros_like}
# From which value it is grown, by its initial one.
START: dict[str, Rule] = {"gradient": torch.zeros_like, "random": torch.clone}


class RigLPruner(SparsityPruner):
    r"""Train a sparse network, and swap its smallest weights for promising ones (RigL, SET).

    The network is sparse from its first step to its last, and every layer keeps as many
    entries, k, all along: at first random ones. At every `update_every`-th step t before T,
    which is the share `update_until` of all steps, a layer's

    .. math:: n_t = \Big\lfloor \frac{\alpha}{2}
              \Big(1 + \cos \frac{\pi t}{T}\Big) k \Big\rfloor

    entries of smallest :math:`|w|` are dropped, and as many are grown among all that are
    not kept then, the dropped ones included: those of largest
    :math:`|\partial L / \partial w|` in the batch, from 0 (RigL [1]_), or any, from their
    initial values (SET [2]_). Their optimizer state is set to 0; what is dropped and grown
    at once stays as it is. Then the step is taken. What it could not move from 0, for want
    of a gradient, is not grown: a network that is disconnected from the start may stay so.

    A step costs what it costs a dense network, for pruned weights are held at 0.

    Parameters
    ----------
    <parameters>
    scope : {"global", "layer", "erk"}, default="erk"
        How many entries each layer keeps: "erk" gives small layers a higher density than
        large ones, "layer" gives all the same, and "global" draws the first mask from all.
    prune_bias : bool, default=False
        Whether biases are pruned, too; each belongs to the layer of its weight.
    mask_epochs : int or None, default=None
        Epochs of training while the mask moves; None takes the net's ``max_epochs``.
    grow : {"gradient", "random"}, default="gradient"
        Whether the entries of largest gradient are grown (RigL), or any (SET).
    update_every : int, default=100
        Steps from one change of the mask to the next.
    drop_fraction : float in (0, 1), default=0.3
        The fraction :math:`\alpha` of a layer's entries swapped at first; it falls to 0
        along a cosine.
    update_until : float in (0, 1], default=0.75
        Share of all steps after which the mask rests.
    rewind_epoch : {0, None}, default=None
        None leaves a sparse network, as trained; 0 returns what is kept to its initial
        values, a ticket that `final_epochs` trains.
    final_epochs : int or None, default=0
        Epochs of training under the final mask; None takes the net's ``max_epochs``.
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule of each training, begun anew: "one-cycle" rises to the
        net's rate and falls to 0. None leaves it to the net's callbacks.
    train_ticket : bool, default=True
        Whether `final_epochs` are trained at all.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    IterativeMagnitudePruner : Trains dense networks first.
    RandomPruner : A mask that stays as it is drawn.

    References
    ----------
    .. [1] Evci, Gale, Menick, Castro and Elsen, "Rigging the lottery: making all tickets
       winners", ICML 2020.
    .. [2] Mocanu, Mocanu, Stone, Nguyen, Gibescu and Liotta, "Scalable training of artificial
       neural networks with adaptive sparse connectivity inspired by network science", Nature
       Communications 9, 2018.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import RigLPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(1000)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = RigLPruner(net, update_every=5, random_state=0).fit(planted.X, planted.y)
    >>> pruner.mask_.summary()[["n_kept", "n_parameters"]]
                     n_kept  n_parameters
    parameter
    layers.0.weight      34            60
    layers.1.weight      64           900
    layers.2.weight      64           900
    layers.3.weight      36           120
    """

    scope: Scope = "erk"
    mask_epochs: Count | None = None
    grow: Literal["gradient", "random"] = "gradient"
    update_every: Count = 100
    drop_fraction: Annotated[float, Interval(Real, 0, 1, closed="neither")] = 0.3
    update_until: Annotated[float, Interval(Real, 0, 1, closed="right")] = 0.75
    rewind_epoch: Literal[0] | None = None
    final_epochs: Epochs = 0
    schedule: Schedule = None

    def _search(self, run: Run, density: float) -> Search:
        net, n_epochs = run.net, run.rounds.n_epochs(self.mask_epochs)
        dataset, _ = net.get_split_datasets(run.X, run.y)
        n_steps = n_epochs * len(net.get_iterator(dataset, training=True))
        anything = {name: torch.zeros(kept.shape) for name, kept in run.mask.items()}
        moving = DropAndGrow(
            run.mask.shrink(anything, density, self.scope, run.rng),
            grow=self.grow,
            every=self.update_every,
            fraction=self.drop_fraction,
            end=self.update_until * n_steps,
            rng=run.rng,
        )
        yield run.training(until=len(net.history) + n_epochs, drop_and_grow=moving)
        return moving.mask


class DropAndGrow(HoldMask):
    """Hold a mask that moves: now and then, the smallest weights go and others come.

    Parameters
    ----------
    mask : TicketMask
        The first mask, then the present one.
    grow : {"gradient", "random"}
        What comes.
    every : int
        Steps between two moves.
    fraction : float
        How much of each layer goes at first.
    end : float
        The step from which on the mask rests.
    rng : RandomState
        Draws ties, and what comes at random.
    """

    def __init__(
        self,
        mask: TicketMask,
        *,
        grow: str,
        every: int,
        fraction: float,
        end: float,
        rng: np.random.RandomState,
    ) -> None:
        super().__init__(mask)
        self.grow = grow
        self.every = every
        self.fraction = fraction
        self.end = end
        self.rng = rng

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        """Note where grown weights start; apply the mask."""
        parameters = dict(plain_module(net.module_).named_parameters())
        self.parameters_ = {name: parameters[name] for name in self.mask}
        self.start_ = {name: START[self.grow](p.detach()) for name, p in self.parameters_.items()}
        self.step_, self.in_step_ = 0, False
        super().on_train_begin(net)

    @torch.no_grad()
    def on_grad_computed(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Move the mask if it is time; the optimizer's step follows."""
        self.step_ += 1
        self.in_step_ = True
        if self.step_ % self.every or self.step_ >= self.end:
            return
        fraction = self.fraction / 2 * (1 + math.cos(math.pi * self.step_ / self.end))
        moved = dict(self.mask)
        for names in self.mask.allocation().groups:
            moved |= self._drop_and_grow(names, fraction)
        self._adopt(TicketMask(moved), net.optimizer_)

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Return the pruned weights to 0."""
        super().on_batch_end(net, training)
        self.in_step_ = False

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        """Refuse the weights of an earlier mask, which a callback may have loaded."""
        if not self.in_step_:
            check_held(net, self.mask)
        super().on_train_end(net)

    def _drop_and_grow(self, names: list[str], fraction: float) -> TicketMask:
        """The layer of these parameters, a fraction of its entries swapped for others."""
        kept = TicketMask({name: self.mask[name] for name in names})
        n = int(fraction * kept.n_kept)
        if n == 0:
            return kept
        w = {name: self.parameters_[name] for name in names}
        g = {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in w.items()}
        stay = _strongest(kept, {name: p.abs() for name, p in w.items()}, kept.n_kept - n, self.rng)
        # What is at 0 without a gradient would stay there; rather take back what was dropped.
        alive = TicketMask({name: (g[name] != 0) | (self.start_[name] != 0) for name in names})
        promise = {name: PROMISE[self.grow](gradient) for name, gradient in g.items()}
        return stay | _strongest((kept | alive) & ~stay, promise, n, self.rng)

    def _adopt(self, mask: TicketMask, optimizer: torch.optim.Optimizer) -> None:
        """Hold another mask from now on; what is new in it starts afresh."""
        for (name, p), factor in zip(self.parameters_.items(), self.factors_, strict=True):
            grown = (mask[name] & ~self.mask[name]).to(p.device)
            p[grown] = self.start_[name][grown]
            for moment in optimizer.state[p].values():
                if isinstance(moment, Tensor) and moment.shape == p.shape:
                    moment[grown] = 0
            factor.copy_(mask[name])
        self.mask = mask


def _strongest(
    candidates: TicketMask, scores: dict[str, Tensor], k: int, rng: np.random.RandomState
) -> TicketMask:
    """Keep the `k` best-scored of the candidates."""
    if k == 0:
        return candidates & ~candidates
    return candidates.shrink(scores, k / candidates.n_parameters, rng=rng)
