"""RigL and SET: sparse training with a moving mask."""

from numbers import Real
from typing import Annotated, Literal

import torch
from sklearn.utils._param_validation import Interval

from sklearn_tickets.pruners.base import Count, Run, Schedule, Search, SparsityPruner
from sklearn_tickets.training import DropAndGrow, n_batches


class RigLPruner(SparsityPruner):
    r"""Train a sparse network, and swap its smallest weights for promising ones (RigL, SET).

    The network is sparse from its first step to its last. Every layer has a constant number
    k of entries, which are random at first. At every `update_every`-th step t before T, the
    fraction `update_until` of all steps, each layer drops the

    .. math:: n_t = \Big\lfloor \frac{\alpha}{2}
              \Big(1 + \cos \frac{\pi t}{T}\Big) k \Big\rfloor

    entries of smallest :math:`|w|`, and grows as many of the entries that are then not kept,
    including the dropped ones: those of largest :math:`|\partial L / \partial w|` in the
    batch, from 0 (RigL [1]_), or random ones, from their initial values (SET [2]_). Their
    optimizer state is set to 0; entries that are dropped and grown at once do not change.
    Then the step is taken. Entries that would stay at 0 for lack of a gradient are not grown:
    a network that is disconnected from the start may remain so.

    A step costs as much as for a dense network, because pruned weights are held at 0.

    Parameters
    ----------
    <parameters>
    scope : {"global", "layer", "erk"}, default="erk"
        How many entries each layer keeps: "erk" gives small layers a higher density than
        large ones, "layer" the same density, and "global" a number drawn at random.
    prune_bias : bool, default=False
        Whether to prune biases, too; each belongs to the layer of its weight.
    mask_epochs : int or None, default=None
        Number of epochs to train with a moving mask; None uses the net's ``max_epochs``.
    grow : {"gradient", "random"}, default="gradient"
        Whether to grow entries of largest gradient (RigL) or random entries (SET).
    update_every : int, default=100
        Number of steps between changes of the mask.
    drop_fraction : float in (0, 1), default=0.3
        Initial fraction :math:`\alpha` of a layer's entries to swap; it falls to 0 along a
        cosine.
    update_until : float in (0, 1], default=0.75
        Fraction of all steps after which the mask is fixed.
    rewind_epoch : {0, None}, default=None
        None keeps the sparse network as trained; 0 rewinds kept weights to their initial
        values, for a ticket that is trained for `final_epochs`.
    final_epochs : int or None, default=0
        Number of epochs to train under the final mask; None uses the net's ``max_epochs``.
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule that restarts with each training: "one-cycle" rises to the
        net's rate and falls to 0. None leaves it to the net's callbacks.
    train_ticket : bool, default=True
        Whether to train for `final_epochs`.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    IterativeMagnitudePruner : Train dense networks first.
    RandomPruner : Train under a random mask that does not move.

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

    scope = "erk"
    mask_epochs: Count | None = None
    grow: Literal["gradient", "random"] = "gradient"
    update_every: Count = 100
    drop_fraction: Annotated[float, Interval(Real, 0, 1, closed="neither")] = 0.3
    update_until: Annotated[float, Interval(Real, 0, 1, closed="right")] = 0.75
    rewind_epoch: Literal[0] | None = None
    final_epochs = 0
    schedule: Schedule = None

    def _search(self, run: Run, density: float) -> Search:
        net, n_epochs = run.net, run.rounds.n_epochs(self.mask_epochs)
        n_steps = n_epochs * n_batches(net, run.X, run.y)
        anything = {name: torch.zeros(kept.shape) for name, kept in run.mask.items()}
        moving = DropAndGrow(
            run.mask.shrink(anything, density, self.scope, run.rng),
            grow=self.grow,
            update_every=self.update_every,
            drop_fraction=self.drop_fraction,
            end_step=self.update_until * n_steps,
            random_state=run.rng,
        )
        yield run.training(until=len(net.history) + n_epochs, drop_and_grow=moving)
        return moving.mask_
