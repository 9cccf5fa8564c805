"""Concrete ticket search: find a mask that preserves the dense network's outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from sklearn.base import is_classifier
from torch import Tensor, nn

from sklearn_tickets.pruners.base import Epochs, FrozenGatesPruner, Positive, is_multilabel
from sklearn_tickets.training import Gates, Gating, Layout, Loss

# The density that is free of penalty, in units of the target; the weight of the newest ratio.
SLACK, AVERAGING = 1.1, 0.01

# A loss of outputs and targets with a parameter `reduction`.
Distance: TypeAlias = Callable[..., Tensor]


class ConcreteTicketPruner(FrozenGatesPruner):
    r"""Learn which weights to keep to match the dense network's outputs (CTS).

    The gate of a frozen weight with score a is a concrete variable,

    .. math:: z = \sigma\Big(\frac{\mathrm{logit}(u) + a}{\tau}\Big), \qquad u \sim U(0, 1),

    and the search minimizes the divergence of the sparse network's class probabilities from
    the dense network's (in regression, the squared difference of outputs),

    .. math:: D_{KL}(p(w \odot z) \,\|\, p(w)) + \Lambda
              \Big(\frac{\mathrm{mean}\, \sigma(a)}{1.1 \rho} - 1\Big)_+ .

    The penalty needs no weight: :math:`\Lambda` balances the norms of both gradients, by a
    moving average. Scores start at the target density, :math:`a = \mathrm{logit}(\rho)`, and
    the highest are kept.

    The dense network has the initial weights, or those after `round_epochs` of training; the
    ticket has the same weights (``rewind_epoch=None``) or the initial ones.

    Parameters
    ----------
    <parameters>
    round_epochs : int or None, default=0
        Number of epochs to train the dense network before the search; None uses the net's
        ``max_epochs``.
    objective : {"dense", "labels"}, default="dense"
        Targets of the search: the dense network's outputs, or y with the net's criterion,
        which finds strong tickets with ``learn_scale=True``.
    temperature : float > 0, default=2/3
        Temperature of the concrete variables; the lower, the closer they are to 0 or 1.
    rewind_epoch : int or None, default=0
        Weights of the ticket: 0 for the initial weights, k for those after k of the
        `round_epochs`, None for those of the search.

    Attributes
    ----------
    <attributes>

    References
    ----------
    .. [1] Arora and Teuscher, "Concrete ticket search", 2025, arXiv:2512.07142.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import ConcreteTicketPruner
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=2)
    >>> pruner = ConcreteTicketPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
    """

    round_epochs: Epochs = 0
    mask_lr = 0.1
    objective: Literal["dense", "labels"] = "dense"
    temperature: Positive = 2 / 3
    learn_scale = False
    rewind_epoch: Epochs = 0
    train_ticket = True

    def _gates(self, weights: Tensor, layout: Layout, density: float) -> Gates:
        scores = torch.full_like(weights, density / layout.density).logit(eps=1e-6)
        if self.objective == "labels":
            return _Concrete(scores, density=density, temperature=self.temperature)
        distance: Distance = nn.functional.mse_loss
        if is_classifier(self.estimator):
            distance = _labels_kl if is_multilabel(self.estimator) else _reverse_kl
        return _LikeDense(scores, density=density, temperature=self.temperature, distance=distance)


@dataclass(eq=False, kw_only=True)
class _Concrete(Gates):
    """Binary concrete variables with a balanced penalty on the open fraction."""

    density: float
    temperature: float
    # Norm of the loss's gradient in units of the penalty's, a moving average.
    ratio: Tensor | None = None

    def __call__(self, generator: torch.Generator | None = None) -> Gating:
        noise = self.uniform(generator).logit_(eps=1e-6)
        gate = torch.sigmoid((noise + self.scores) / self.temperature)
        kept = self.expected()
        pull = kept * (1 - kept) if kept.mean() > SLACK * self.density else None
        return Gating(gate, gate * (1 - gate) / self.temperature, pull)

    def expected(self) -> Tensor:
        return torch.sigmoid(self.scores)

    def balance(self, task: Tensor, pull: Tensor) -> Tensor:
        ratio = task.norm() / pull.norm()
        self.ratio = ratio if self.ratio is None else self.ratio.lerp(ratio, AVERAGING)
        return task + self.ratio * pull


@dataclass(eq=False, kw_only=True)
class _LikeDense(_Concrete):
    """The same gates, with the dense network's outputs as targets instead of labels."""

    imitates = True

    distance: Distance

    def loss(self, criterion: Loss, output: Tensor, target: Tensor) -> Tensor:
        # Where rows have weights, the criterion does not reduce their losses at all.
        given = getattr(criterion, "reduction", "mean")
        reduction = given if given in ("none", "sum") else "mean"
        return self.distance(output, target, reduction=reduction)


def _reverse_kl(output: Tensor, dense: Tensor, reduction: str) -> Tensor:
    """Divergence of the sparse network's class probabilities from the dense network's."""
    log_p, log_q = _log_probabilities(output), _log_probabilities(dense)
    return _reduce((log_p.exp() * (log_p - log_q)).sum(dim=1), reduction)


def _labels_kl(output: Tensor, dense: Tensor, reduction: str) -> Tensor:
    """The same for logits of labels, each of which is there or not."""
    by_label = _reverse_kl(output.flatten(), dense.flatten(), "none").view_as(output)
    return _reduce(by_label, reduction)


def _reduce(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.mean()


def _log_probabilities(logits: Tensor) -> Tensor:
    if logits.ndim == 1:
        logits = torch.stack([torch.zeros_like(logits), logits], dim=1)
    return logits.log_softmax(dim=1)
