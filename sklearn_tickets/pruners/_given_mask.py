"""Train a given mask: controls, and tickets loaded from a file."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

import torch
from numpy.typing import ArrayLike
from skorch import NeuralNet

from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base import BasePruner, Epochs, Run, Schedule
from sklearn_tickets.training import TrainingState


class GivenMaskPruner(BasePruner):
    """Train the network under a given mask.

    A ground-truth mask shows how good the planted ticket is; ``mask.shuffled()`` or
    ``reinitialize=True`` is the control for a claim about a ticket; without a mask, the
    network is dense.

    Parameters
    ----------
    <parameters>
    mask : TicketMask or None, default=None
        The mask; None keeps everything.
    reinitialize : bool or "sparsity-aware", default=False
        Whether to start from other weights of the same distribution: the initial values
        are permuted within each parameter. "sparsity-aware" draws the weights of a unit that
        keeps k inputs from N(0, 2 / k), so that signals keep their size, as in [1]_.
    signs : mapping of str to array-like or None, default=None
        Values by parameter name, such as a trained network's ``state_dict()``, whose signs
        are given to the initial values; signs are unchanged where the values are 0. Mask
        and signs explain much of a ticket, see [2]_.
    round_epochs : int or None, default=0
        Number of epochs to train the dense network before the mask is applied; None uses
        the net's ``max_epochs``.
    rewind_epoch : int or None, default=0
        Epoch to rewind kept weights to when the mask is applied: 0 restores their initial
        values, k their values after k epochs, None keeps them as trained.
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule that restarts with each training: "one-cycle" rises to the
        net's rate and falls to 0. None leaves it to the net's callbacks.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    RandomPruner : A random mask of a given sparsity.

    References
    ----------
    .. [1] U. Evci, Y. Ioannou, C. Keskin and Y. Dauphin, "Gradient Flow in Sparse Neural
       Networks and How Lottery Tickets Win", AAAI, 2022. arXiv:2010.03533.
    .. [2] H. Zhou, J. Lan, R. Liu and J. Yosinski, "Deconstructing Lottery Tickets: Zeros,
       Signs, and the Supermask", Advances in Neural Information Processing Systems, 2019.
       arXiv:1905.01067.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import GivenMaskPruner
    >>> planted = PlantedTicketGenerator(random_state=0).generate(1000)
    >>> strong = GivenMaskPruner(planted.make_net(), planted.mask, train_ticket=False)
    >>> strong.fit(planted.X, planted.y).mask_ == planted.mask
    True
    """

    mask: TicketMask | None = field(default=None, kw_only=False)
    reinitialize: bool | Literal["sparsity-aware"] = False
    signs: Mapping[str, ArrayLike] | None = None
    round_epochs: Epochs = 0
    rewind_epoch: Epochs = 0
    schedule: Schedule = None

    @torch.no_grad()
    def _starting_point(self, net: NeuralNet) -> TrainingState:
        parameters = dict(plain_module(net.module_).named_parameters())
        if self.reinitialize is not False:
            for value in parameters.values():
                shuffled = value.flatten()[torch.randperm(value.numel())]
                value.copy_(shuffled.view_as(value))
        if self.reinitialize == "sparsity-aware":
            for name, kept in self._initial_mask(net).items():
                kept = kept if self.mask is None else self.mask[name]
                if kept.ndim > 1:
                    n_inputs = kept.flatten(1).sum(dim=1).clamp(min=1)
                    deviation = (2 / n_inputs).sqrt().view(-1, *[1] * (kept.ndim - 1))
                    parameters[name].copy_(torch.randn(kept.shape) * deviation)
        for name, values in (self.signs or {}).items():
            if name in parameters:
                value, signs = parameters[name], torch.as_tensor(values).sign()
                if signs.shape != value.shape:
                    raise ValueError(
                        f"signs[{name!r}] has shape {tuple(signs.shape)}, but the parameter of "
                        f"estimator's module has shape {tuple(value.shape)}."
                    )
                value.copy_(torch.where(signs == 0, value, value.abs() * signs.to(value)))
        return TrainingState.of(net)

    def _initial_mask(self, net: NeuralNet) -> TicketMask:
        if self.mask is None:
            return TicketMask.ones_like(net.module_, prune_bias=True)
        if not self.mask.n_kept:
            raise ValueError("mask keeps nothing; a network without parameters cannot be trained.")
        self.mask.check_fits(net.module_)
        return self.mask | ~self.mask

    def _search(self, run: Run, density: float | None) -> TicketMask:
        return run.mask if self.mask is None else self.mask
