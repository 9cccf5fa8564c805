"""Bases of pruners with rounds, and with scores."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from sklearn.base import is_classifier
from torch import Tensor

from sklearn_tickets._network import plain_module, trace_paths
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base._base import Search
from sklearn_tickets.pruners.base._gradients import (
    BatchLosses,
    Scores,
    masked_leaves,
    scoring_sample,
    total_gradient,
)
from sklearn_tickets.pruners.base._parameters import (
    Count,
    DensitySchedule,
    Epochs,
    NonNegative,
    Schedule,
)
from sklearn_tickets.pruners.base._rounds import Run
from sklearn_tickets.pruners.base._sparsity import SparsityPruner
from sklearn_tickets.pruners.base._units import check_units, shrink_units
from sklearn_tickets.training import L1Penalty, Training

# Chosen on the planted circle and helix; cross entropy tolerates more than the squared error.
# A penalty on the sum of the rows' losses, as a prior is: the fewer the rows, the more it counts.
# With fewer rows than the minimum, it would outweigh their loss; so it would in deep networks with
# small initial weights, whose gradients are small at first: everything would shrink to 0.
AUTO_L1, MIN_ROWS = {True: 2.7, False: 0.9}, 300


class RoundPruner(SparsityPruner):
    """Base of pruners that work in rounds.

    Parameters
    ----------
    <parameters>
    n_rounds : int, default=1
        Number of rounds R; after round t the fraction ``(1 - sparsity) ** (t / R)`` is kept,
        or ``d ** (1 - t / R) * (1 - sparsity) ** (t / R)`` with an `initial_mask` of density d.
    round_epochs : int or None, default=0
        Number of epochs to train before each scoring; 0 scores the initialized network,
        None uses the net's ``max_epochs``.
    rewind_epoch : int or None, default=0
        Epoch to rewind kept weights to after each round: 0 restores their initial values,
        k their values after k epochs, with the optimizer's state and the schedule. None
        only restarts the optimizer and the schedule (learning-rate rewinding).
    schedule : {"one-cycle"} or None, default=None
        Learning-rate schedule that restarts with each training: "one-cycle" rises to the
        net's rate and falls to 0, step by step. None leaves it to the net's callbacks.
    store_rounds : bool, default=False
        Whether `rounds_` also stores the network's weights and buffers as trained in each
        round, before pruning and rewinding.

    Attributes
    ----------
    <attributes>
    """

    n_rounds: Count = 1
    round_epochs: Epochs = 0
    rewind_epoch: Epochs = 0
    schedule: Schedule = None
    store_rounds: bool = False


class WeightScoringPruner(RoundPruner):
    """Base of pruners that score and prune single parameters. Subclasses implement ``_score``.

    Parameters
    ----------
    <parameters>
    l1 : float >= 0 or "auto", default=0.0
        Weight of an L1 penalty on the prunable weights in the training of rounds, but not
        of the ticket; "auto" uses 2.7 / n for classifiers and 0.9 / n for regressors, where n
        is the number of rows or 300, whichever is larger, but no more than the mean size of
        the loss's gradient at the initial weights.
    connected : bool, default=False
        Whether to prune parameters on no path from an input to an output first. Parameters
        that the last round disconnects are kept, so this takes several rounds. Networks with
        operations through which paths cannot be followed are refused; see `TicketMask.effective`.
    density_schedule : {"geometric", "one-shot", "alternating"}, default="geometric"
        How densities go from d, that of the `initial_mask` or 1, to ``1 - sparsity``: by the same
        factor in each round, all at once in the last round, or at once in rounds 1, 3, ... and in
        the last, while all pruned parameters return in rounds 2, 4, ...

    Attributes
    ----------
    <attributes>
    """

    l1: NonNegative | Literal["auto"] = 0.0
    connected: bool = False
    density_schedule: DensitySchedule = "geometric"

    def _candidates(self, run: Run) -> TicketMask:
        """Return the parameters that may be kept: those that were pruned never return."""
        return run.mask

    def _score(self, run: Run) -> Scores:
        """Score the parameters of ``run.mask`` at the weights of ``run.net``; higher is kept."""
        raise NotImplementedError(f"{type(self).__name__} does not implement _score.")

    def _select(
        self, run: Run, scores: Scores, dead_ends: TicketMask | None, density: float
    ) -> TicketMask:
        """Keep the best-scored candidates, and dead ends only if there are too few others."""
        ranked = scores if dead_ends is None else _dead_ends_last(scores, dead_ends)
        return self._candidates(run).shrink(ranked, density, self.scope, run.rng)

    def _check_network(self, run: Run) -> None:
        module = plain_module(run.net.module_)
        if self.connected and (unknown := trace_paths(module, run.mask, run.X).unknown):
            raise ValueError(
                f"connected=True of {type(self).__name__} needs to know which parameters are on no "
                f"path, but paths cannot be followed through {unknown[0]} inside estimator's "
                f"module {type(module).__name__}. Set connected=False."
            )

    def _round_training(self, run: Run, density: Any) -> Training | None:
        training = super()._round_training(run, density)
        if training is None or not self.l1:
            return training
        if run.penalty is None:
            weights = [name for name, kept in run.mask.items() if kept.ndim > 1]
            strength = self._auto_l1(run, weights) if self.l1 == "auto" else self.l1
            run.penalty = L1Penalty(strength, weights)
        return replace(training, penalty=run.penalty)

    def _auto_l1(self, run: Run, weights: Sequence[str]) -> float:
        """Choose a penalty that does not outweigh the loss when training begins."""
        leaves = masked_leaves(run.net, run.mask)
        theta = {name: leaves[name] for name in weights}
        losses = BatchLosses(run.net, theta, run.X, run.y, run.sample_weight)
        slopes = total_gradient(theta, losses)
        size = sum(float(slopes[name][run.mask[name]].abs().sum()) for name in weights)
        n_kept = sum(int(run.mask[name].sum()) for name in weights)
        by_rows = AUTO_L1[is_classifier(self.estimator)] / max(MIN_ROWS, len(run.X))
        return min(by_rows, size / max(1, n_kept))

    def _search(self, run: Run, density: float) -> Search:
        if density == run.rounds.initial_density:
            return run.initial_mask
        scores = self._score(run)
        dead_ends = None
        if self.connected:
            dead_ends = run.mask & ~run.mask.effective(run.net.module_, run.X)
        found = self._select(run, scores, dead_ends, density)
        if run.mask.density == run.rounds.initial_density and found != run.mask:
            # One after the other, the smallest first: the first one usually tells.
            by_size = sorted(scores, key=lambda name: scores[name].numel())
            kept = (scores[name][run.mask[name]] for name in by_size)
            extremes = (value for score in kept if len(score) for value in score.aminmax())
            first = next(extremes)
            if all(value == first for value in extremes):
                raise ValueError(
                    f"{type(self).__name__} scores all parameters of estimator's module "
                    f"{type(plain_module(run.net.module_)).__name__} the same ({first:.3g}): "
                    "none can be preferred. Check for constant weights or a softmax inside."
                )
        return found


class ScoringPruner(WeightScoringPruner):
    """Base of pruners that score parameters or whole units. Subclasses implement ``_score``.

    Parameters
    ----------
    <parameters>
    sparsity : float in [0, 1), default=0.9
        Fraction of the prunable parameters to remove; met exactly. With ``granularity="unit"``
        it is met as nearly as whole units allow, and no more are kept than of single parameters.
    granularity : {"weight", "unit"}, default="weight"
        Whether single parameters are removed or whole units, which `export.compact` takes out: the
        neurons and channels of hidden ``Linear`` and convolution layers.

        With a unit go its incoming weights and bias and the weights that read it, all of which
        count towards the `sparsity`. The score of a unit is the sum of their scores, that of the
        bias only with `prune_bias`. With ``scope="global"`` it counts in multiples of the mean in
        its layer; with ``scope="layer"``, every layer keeps the same share of its units. Each
        keeps one at least. Units that are added, as in residual networks, go together.

        Units of which a weight is excluded stay. Networks through which units cannot be followed
        are refused.

    Attributes
    ----------
    <attributes>
    """

    granularity: Literal["weight", "unit"] = "weight"

    def _select(
        self, run: Run, scores: Scores, dead_ends: TicketMask | None, density: float
    ) -> TicketMask:
        if self.granularity == "weight":
            return super()._select(run, scores, dead_ends, density)
        candidates = self._candidates(run)
        if dead_ends is not None:
            # They must not count in the scores of their units.
            candidates &= ~dead_ends
        return shrink_units(candidates, run.unit_groups, scores, density, self.scope, run.rng)

    def _check_network(self, run: Run) -> None:
        super()._check_network(run)
        if self.granularity == "unit":
            assert self.sparsity is not None
            check_units(run.initial_mask, run.unit_groups, self.sparsity, self.scope)


class GradientPruner(ScoringPruner):
    """Base of pruners that score by gradients of the loss. Subclasses implement ``_saliency``.

    Parameters
    ----------
    <parameters>
    n_score_samples : int or None, default=None
        Number of rows to score on, drawn equally often from all classes; None uses all rows.
    regrow : bool, default=False
        Whether pruned parameters compete again in each round, at the weights that they would be
        rewound to. Masks of rounds are then not nested.

    Attributes
    ----------
    <attributes>

    Notes
    -----
    Scores are computed in evaluation mode: without dropout, and with the running statistics
    of normalization layers, which are 0 and 1 before any training.
    """

    n_score_samples: Count | None = None
    regrow: bool = False

    def _saliency(
        self, weights: Scores, theta: Scores, losses: Callable[..., Iterable[Tensor]]
    ) -> Scores:
        """Score weights by ``losses(temperature)``, which sum to the training loss at theta.

        The weights are those that parameters have if they are kept; theta are those of the
        network, in which pruned ones are 0. They differ only with `regrow`.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement _saliency.")

    def _check_network(self, run: Run) -> None:
        super()._check_network(run)
        if self.regrow and run.rounds.rewind_epoch is None:
            raise ValueError(
                f"regrow=True of {type(self).__name__} returns parameters to the weights of "
                "rewind_epoch, but rewind_epoch=None rewinds none. Set it to 0 or another epoch."
            )

    def _candidates(self, run: Run) -> TicketMask:
        return run.initial_mask if self.regrow else run.mask

    def _score(self, run: Run) -> Scores:
        rows = scoring_sample(run, self.n_score_samples)
        theta = masked_leaves(run.net, run.mask)
        weights = run.rewind_to.module if self.regrow else theta
        return self._saliency(weights, theta, partial(BatchLosses, run.net, theta, *rows))


def _dead_ends_last(scores: Scores, dead_ends: TicketMask) -> Scores:
    """Rank parameters on no path from an input to an output below all others."""
    lowest = min(score.min() for score in scores.values())
    return {
        name: score.where(~dead_ends[name].to(score.device), lowest - 1)
        for name, score in scores.items()
    }
