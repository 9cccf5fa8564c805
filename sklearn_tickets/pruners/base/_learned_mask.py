"""Bases of pruners that learn their masks: weights frozen, or trained with the mask."""

import time
from dataclasses import replace
from numbers import Integral, Real

import torch
from sklearn.base import is_classifier
from sklearn.utils._param_validation import Interval, StrOptions
from skorch import NeuralNet
from torch import Tensor

from sklearn_tickets._network import infer, plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._base import BasePruner
from sklearn_tickets.pruners.base._gates import Gates, Layout, LearnMask, with_a_foothold
from sklearn_tickets.training import TrainingState, hold_mask, last_train_loss

# Chosen on the planted circle and helix: errors are smaller than cross entropies.
AUTO_PENALTY = {True: 10.0, False: 1.0}


class LearnedMaskPruner(BasePruner):
    """Base of pruners that learn which of the frozen weights to keep.

    An algorithm implements ``_gates``.
    """

    _parameter_constraints = {
        name: BasePruner._parameter_constraints[name]
        for name in (
            *("estimator", "sparsity", "scope", "prune_bias", "exclude"),
            *("final_epochs", "train_ticket", "random_state"),
        )
    } | {
        "mask_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "mask_lr": [Interval(Real, 0, None, closed="neither")],
    }

    n_rounds = 1
    round_epochs = 0
    rewind_epoch = 0
    schedule = None
    store_rounds = False
    l1 = 0.0
    learn_scale = False
    _frozen = True

    def _gates(
        self,
        parameters: dict[str, Tensor],
        layout: Layout,
        density: float | None,
        log_scale: Tensor | None,
    ) -> Gates:
        """Make the gates of `parameters`, laid out like that, for a density if one is given."""
        raise NotImplementedError

    def _make_gates(self, net: NeuralNet, layout: Layout, density: float | None, X) -> Gates:
        parameters = {n: p.detach() for n, p in plain_module(net.module_).named_parameters()}
        n_outputs = infer(net.module_, X[:1]).shape[1]
        log_scale = torch.zeros(n_outputs, device=net.device) if self.learn_scale else None
        return self._gates(parameters, layout, density, log_scale)

    def _penalty(self) -> float:
        auto = AUTO_PENALTY[is_classifier(self.estimator)]
        return auto if self.penalty == "auto" else self.penalty

    def _learning(self, net, layout, gates, X, y, n_epochs, snapshot=None):
        """A training of the gates, and of the net's weights unless they are frozen."""
        learn = LearnMask(gates, layout, lr=self.mask_lr, n_epochs=n_epochs, frozen=self._frozen)
        until = len(net.history) + n_epochs
        return self._training(net, X, y, until, snapshot, learn_mask=learn)

    def _choose(self, gates, layout, mask, density, rng) -> TicketMask:
        """Keep the best-scored; or, without a density, what the gates let through."""
        alive = layout.join({name: kept.to(gates.scores.device) for name, kept in mask.items()})
        scores = gates.scores.detach()
        scores = scores.where(alive, scores.min() - 1)
        scores = with_a_foothold(scores, layout.weights, above=gates.threshold)
        if density is None:
            return mask & TicketMask(layout.split(scores > gates.threshold))
        return mask.shrink(layout.split(scores), density, self.scope, rng)

    def _search(self, net, mask, density, X, y, rng):
        layout = Layout(mask, self.scope)
        gates = self._make_gates(net, layout, density, X)
        yield self._learning(net, layout, gates, X, y, self._n_epochs(self.mask_epochs))
        return self._choose(gates, layout, mask, density, rng)


class TrainedMaskPruner(LearnedMaskPruner):
    """Base of pruners that train the weights and the gates together, in rounds.

    Between rounds the weights go on as they are; only the ticket is rewound.
    """

    _parameter_constraints = {
        name: constraints
        for name, constraints in LearnedMaskPruner._parameter_constraints.items()
        if name != "mask_epochs"
    } | {
        "sparsity": [Interval(Real, 0, 1, closed="left"), None],
        "mask_init": [Interval(Real, None, None, closed="neither")],
        "penalty": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "round_epochs": [Interval(Integral, 1, None, closed="left"), None],
        "n_rounds": [Interval(Integral, 1, None, closed="left")],
        "rewind_epoch": [Interval(Integral, 0, None, closed="left"), None],
        "schedule": [StrOptions({"one-cycle"}), None],
        "store_rounds": ["boolean"],
    }

    _parameter_docs = {
        "n_rounds": """n_rounds : int, default=%(n_rounds)s
        Number of rounds of learning the mask.""",
        "round_epochs": """round_epochs : int or None, default=None
        Epochs of a round, in which weights and mask are trained; None takes the net's
        ``max_epochs``.""",
        "rewind_epoch": """rewind_epoch : int or None, default=0
        Which weights the ticket has: 0 the initial ones, k those after k epochs of the first
        round, None the trained ones.""",
    }

    _frozen = False

    def _round(self, t, run):
        began = time.perf_counter()
        net = run.net
        if t == 1:
            run.layout = Layout(run.mask, self.scope)
            run.gates = self._make_gates(net, run.layout, self._density(t), run.X)
        else:
            run.trained.restore(net)
            hold_mask(net, run.mask)
            pruned = run.layout.join(dict(~run.mask)).to(net.device)
            run.gates.begin_round(pruned, self._density(t))
        n_epochs = self._n_epochs(self.round_epochs)
        learning = self._learning(
            net, run.layout, run.gates, run.X, run.y, n_epochs, self.rewind_epoch
        )
        yield learning
        if t == 1 and self.rewind_epoch:
            run.rewind_to = self._passed(learning)
        run.mask = self._choose(run.gates, run.layout, run.mask, self._density(t), run.rng)
        run.trained = replace(run.start, module=TrainingState.of(net).module)
        train_loss = last_train_loss(net)
        # What the net computes stays the same without gates, but for what is pruned.
        with torch.no_grad():
            for name, gate in run.layout.split(run.gates.expected()).items():
                plain_module(net.module_).get_parameter(name).mul_(gate)
        stored = self._stored(net)
        run.rewind_to.restore(net, keep_weights=self.rewind_epoch is None)
        hold_mask(net, run.mask)
        return self._record(t, run, train_loss, began) | stored
