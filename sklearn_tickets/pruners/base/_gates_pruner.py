"""Bases of pruners that learn masks with gates, on frozen or jointly trained weights."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from sklearn.base import is_classifier
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import infer, plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._parameters import (
    Count,
    FreeSparsity,
    NonNegative,
    Positive,
)
from sklearn_tickets.pruners.base._rounds import Run
from sklearn_tickets.pruners.base._scoring import RoundPruner
from sklearn_tickets.pruners.base._sparsity import SparsityPruner
from sklearn_tickets.training import (
    Gates,
    Layout,
    MaskLearner,
    PenalizedGates,
    Training,
    TrainingState,
    hold_mask,
)

# Chosen on the planted circle and helix; squared errors are smaller than cross entropies.
AUTO_PENALTY = {True: 10.0, False: 1.0}


class GatesPruner(SparsityPruner):
    """Base of pruners that learn a mask with gates. Subclasses implement ``_gates``.

    Parameters
    ----------
    <parameters>
    mask_lr : float > 0, default=0.01
        Learning rate of the mask's scores (Adam), with cosine annealing.

    Attributes
    ----------
    <attributes>
    """

    mask_lr: Positive = 0.01

    def _gates(self, weights: Tensor, layout: Layout, density: Any) -> Gates:
        """Make the gates of the weights in a layout, for a density unless it is None."""
        raise NotImplementedError(f"{type(self).__name__} does not implement _gates.")

    def _choose(self, run: Run, gates: Gates, layout: Layout, density: float | None) -> TicketMask:
        """Keep the highest scores or, without a density, the scores above the threshold."""
        scores = gates.scores
        scores = scores.masked_fill(layout.pruned.to(scores.device), scores.min() - 1)
        scores = layout.with_footholds(scores, above=gates.threshold)
        if density is None:
            return run.mask & TicketMask(layout.split(scores > gates.threshold))
        return run.mask.shrink(layout.split(scores), density, self.scope, run.rng)


class PenalizedGatesPruner(GatesPruner):
    """Base of pruners that penalize open gates.

    Parameters
    ----------
    <parameters>
    sparsity : float in [0, 1) or None, default=0.9
        Fraction of the prunable parameters to remove, met exactly; None leaves the
        sparsity to the method.
    mask_init : float, default=0.0
        Initial score of every parameter; the lower, the sparser the mask.
    penalty : float >= 0 or "auto", default="auto"
        Weight of the penalty, which is the mean openness of the gates of all prunable
        parameters in excess of the target density. With ``sparsity=None`` the whole mean is
        penalized, and a higher weight gives a sparser mask. "auto" uses 10 for classifiers
        and 1 for regressors.

    Attributes
    ----------
    <attributes>
    """

    sparsity: FreeSparsity = 0.9
    mask_init: float = 0.0
    penalty: NonNegative | Literal["auto"] = "auto"

    def _begin(
        self, kind: type[PenalizedGates], weights: Tensor, density: float | None, **settings: Any
    ) -> PenalizedGates:
        """Make gates of a class, with the same initial score for all weights."""
        auto = AUTO_PENALTY[is_classifier(self.estimator)]
        penalty = auto if self.penalty == "auto" else self.penalty
        scores = torch.full_like(weights, self.mask_init)
        return kind(scores, penalty=penalty, density=density, **settings)


class FrozenGatesPruner(GatesPruner):
    """Base of pruners that learn which of the frozen weights to keep.

    Parameters
    ----------
    <parameters>
    mask_epochs : int or None, default=None
        Number of epochs to train the mask; None uses the net's ``max_epochs``.
    learn_scale : bool, default=True
        Whether to learn a positive factor per output, too: the outputs of a pruned random
        network are in arbitrary units.

    Attributes
    ----------
    <attributes>
    """

    mask_epochs: Count | None = None
    learn_scale: bool = True
    train_ticket = False

    def _search(self, run: Run, density: Any) -> Generator[Training, None, TicketMask]:
        layout, net = Layout(run.mask, self.scope), run.net
        gates = self._gates(_weights(net, layout), layout, density)
        if self.learn_scale:
            n_outputs = infer(net.module_, run.X[:1]).shape[1]
            gates.log_scale = torch.zeros(n_outputs, device=net.device, requires_grad=True)
        n_epochs = run.rounds.n_epochs(self.mask_epochs)
        learner = MaskLearner(gates, layout, lr=self.mask_lr, n_epochs=n_epochs, frozen=True)
        yield replace(run.training(until=len(net.history) + n_epochs), learner=learner)
        return self._choose(run, learner.gates, layout, density)


@dataclass
class _Learned:
    """State that passes from one round of mask learning to the next."""

    learner: MaskLearner
    state: TrainingState


class JointGatesPruner(PenalizedGatesPruner, RoundPruner):
    """Base of pruners that train the weights and the gates together, in rounds.

    The weights are not rewound between rounds; only those of the ticket are.

    Parameters
    ----------
    <parameters>
    n_rounds : int, default=1
        Number of rounds of mask learning.
    round_epochs : int or None, default=None
        Number of epochs to train weights and mask in each round; None uses the net's
        ``max_epochs``.
    rewind_epoch : int or None, default=0
        Weights of the ticket: 0 for the initial weights, k for those after k epochs of the
        first round, None for the trained weights.

    Attributes
    ----------
    <attributes>
    """

    round_epochs: Count | None = None

    def _round_training(self, run: Run, density: Any) -> Training:
        layout = Layout(run.mask, self.scope)
        if run.carried is None:
            gates = self._gates(_weights(run.net, layout), layout, density)
            state = run.start
        else:
            gates, state = run.carried.learner.gates, run.carried.state
            state.restore(run.net)
            hold_mask(run.net, run.mask)
            gates.begin_round(density)
        n_epochs = run.rounds.n_epochs(self.round_epochs)
        learner = MaskLearner(gates, layout, lr=self.mask_lr, n_epochs=n_epochs, frozen=False)
        run.carried = _Learned(learner, state)
        return replace(run.training(until=n_epochs), learner=learner)

    def _search(self, run: Run, density: Any) -> TicketMask:
        gates, layout = run.carried.learner.gates, Layout(run.mask, self.scope)
        run.carried.state = replace(run.start, module=TrainingState.of(run.net).module)
        # Without gates the net computes the same, except for what is pruned.
        with torch.no_grad():
            for name, gate in layout.split(gates.expected()).items():
                plain_module(run.net.module_).get_parameter(name).mul_(gate)
        return self._choose(run, gates, layout, density)


def _weights(net: NeuralNet, layout: Layout) -> Tensor:
    return layout.join(dict(plain_module(net.module_).named_parameters())).detach()
