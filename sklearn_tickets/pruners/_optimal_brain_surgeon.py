"""Optimal Brain Surgeon: prune by the curvature of the loss, and correct what is left."""

from dataclasses import dataclass
from numbers import Integral
from typing import Annotated, Literal

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from sklearn_tickets._curvature import (
    SmallNetwork,
    inverse_fisher,
    operate,
    saliencies,
    without_in_blocks,
)
from sklearn_tickets._network import plain_module
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners.base import (
    BatchLosses,
    Count,
    Run,
    Scores,
    WeightScoringPruner,
    gradient,
    masked_leaves,
    scoring_sample,
)
from sklearn_tickets.training import Layout

# Number of gradients in an empirical Fisher matrix.
_N_GRADIENTS = 512
# Entries come back as soon as so many times the final number are left.
_SETTLED = 1.3


class OptimalBrainSurgeonPruner(WeightScoringPruner):
    r"""Prune what raises the loss least when all other weights are corrected for it.

    Around the weights w, the loss is about quadratic, with a curvature H. The least rise after
    entry q is removed, and the correction of the others that achieves it, are

    .. math:: s_q = \frac{w_q^2}{2 \, [H^{-1}]_{qq}}, \qquad
              w \leftarrow w - \frac{w_q}{[H^{-1}]_{qq}} \, H^{-1} e_q.

    As in learning-rate rewinding, rounds train and prune in turn, and weights are never rewound.
    While many parameters are left, H consists of blocks of the empirical Fisher matrix,
    :math:`\delta I + \frac{1}{m} \sum_i g_i g_i^T` with the gradients g of m batches [2]_.

    As soon as the live part of the network has at most `max_exact` parameters, second-order steps
    follow the training of each round, and H is the full Gauss-Newton matrix. The `n_candidates`
    entries of lowest saliency are then tried, the best one is removed, and the others are trained
    by Levenberg-Marquardt before the next one goes. Close to the final sparsity, entries with the
    largest expected gain come back and others go, `n_regrowths` times in each stage of at most 8 %
    of the entries; the network with the lowest loss on the training data is kept.

    Parameters
    ----------
    <parameters>
    scope : {"global"}, default="global"
        All parameters compete with each other.
    n_score_samples : int or None, default=1000
        Number of rows for H; None uses all rows. The last steps use all rows.
    curvature : {"auto", "exact", "blocks"}, default="auto"
        Whether small live parts have their full Gauss-Newton matrix: "auto" uses it where it
        applies (see Notes), "exact" raises an error where it does not, "blocks" never uses it.
    max_exact : int, default=200
        Largest number of live parameters for the full matrix. Biases that are not pruned come on
        top.
    block_size : int, default=50
        Number of parameters in a block of the empirical Fisher matrix.
    n_candidates : int, default=6
        Number of removals that are tried for each one that is made.
    n_regrowths : int, default=4
        Number of times that entries come back in each stage close to the final sparsity.

    Attributes
    ----------
    <attributes>

    Raises
    ------
    ValueError
        By ``fit``, if parameters to prune are frozen, or if ``curvature="exact"`` does not apply.

    See Also
    --------
    LearningRateRewindingPruner : The same rounds, without curvature and correction.

    Notes
    -----
    The full matrix applies to chains of ``Linear`` layers with ReLU between them whose weights are
    all trained and prunable and shared with no other layer, with a loss whose second derivatives
    are not all 0 and a net that does not override ``get_loss``, if no more
    parameters are to be kept than `max_exact` and the number of rows. A round uses it as soon as
    at most `max_exact` parameters are live: kept, and on a path to an output.

    For classes, second-order steps have a small penalty on squared weights, so that probabilities
    do not become 0 and 1 where few rows are separable.

    Decisions between single parameters amplify rounding: in a `BatchedGridSearchCV`, which trains
    networks in stacks, and on other machines, scores can differ by a few thousandths.

    The network is a *sparse network*, and has no training of its own after pruning
    (``final_epochs=0``), since second-order steps have trained it. Where they do not apply, it is
    trained as long as in a round. With ``rewind_epoch=0``, kept weights return to their initial
    values in the end, and need a training.

    References
    ----------
    .. [1] Hassibi and Stork, "Second order derivatives for network pruning: optimal brain
       surgeon", NeurIPS 1992.
    .. [2] Kurtic et al., "The optimal BERT surgeon: scalable and accurate second-order pruning
       for large language models", EMNLP 2022.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import OptimalBrainSurgeonPruner
    >>> planted = PlantedTicketGenerator("relu", width=10, random_state=0).generate(500)
    >>> net = planted.make_net(lr=1e-2)
    >>> pruner = OptimalBrainSurgeonPruner(
    ...     net, sparsity=0.98, n_rounds=5, n_regrowths=1, random_state=0
    ... )
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(4 of 220 parameters)
    >>> round(pruner.score(planted.X, planted.y), 2)
    1.0
    """

    scope: Literal["global"] = "global"
    n_rounds = 25
    round_epochs = 6
    rewind_epoch = None
    final_epochs = 0
    l1 = "auto"
    connected = True
    schedule = "one-cycle"
    n_score_samples: Count | None = 1000
    curvature: Literal["auto", "exact", "blocks"] = "auto"
    max_exact: Count = 200
    block_size: Count = 50
    n_candidates: Count = 6
    n_regrowths: Annotated[int, Interval(Integral, 0, None, closed="left")] = 4

    def _check_network(self, run: Run) -> None:
        super()._check_network(run)
        parameters = dict(plain_module(run.net.module_).named_parameters())
        for name in run.mask:
            if not parameters[name].requires_grad:
                raise ValueError(
                    f"{type(self).__name__} corrects weights, but {name!r} of estimator's module "
                    f"is frozen (requires_grad=False). Add {name!r} to exclude={self.exclude!r}."
                )
        run.carried = _Carried()
        if self.curvature != "blocks":
            try:
                run.carried.network = SmallNetwork.of(run, self.max_exact)
            except ValueError as error:
                if self.curvature == "exact":
                    raise ValueError(
                        f"curvature='exact' of {type(self).__name__} does not apply: {error} "
                        "curvature='auto' takes blocks of the Fisher matrix where that is so."
                    ) from error

    def _search(self, run: Run, density: float) -> TicketMask:
        if not self._is_small(run):
            found = super()._search(run, density)
            assert isinstance(found, TicketMask)
            if found & run.mask != run.mask:
                self._correct(run, found)
            run.mask = found
        return self._operate(run, density) if self._is_small(run) else run.mask

    def _final_epochs(self, run: Run) -> int:
        n_epochs = super()._final_epochs(run)
        if n_epochs or run.rounds.rewind_epoch is not None or self._is_small(run):
            return n_epochs
        # Blocks correct the weights roughly, and no second-order steps have followed.
        return run.rounds.n_epochs(self.round_epochs)

    def _is_small(self, run: Run) -> bool:
        """Tell whether the live part has its full matrix from now on."""
        network = run.carried.network
        return network is not None and 0 < network.chain(run).live().n_removable <= self.max_exact

    def _score(self, run: Run) -> Scores:
        X, y, sample_weight = scoring_sample(run, self.n_score_samples)
        theta, layout = masked_leaves(run.net, run.mask), Layout(run.mask, self.scope)
        live = ~layout.pruned
        # The gradients are squared.
        root = None if sample_weight is None else np.sqrt(sample_weight)
        if getattr(run.net.criterion_, "weight", None) is not None:
            # A mean that class weights divide would undo them in batches of few rows.
            root = np.ones(len(X))
        batch_size = -(-len(X) // _N_GRADIENTS)
        losses = BatchLosses(run.net, theta, X, y, root, batch_size=batch_size)
        gradients = (layout.join(gradient(loss, theta)).cpu()[live] for loss in losses)
        inverse = inverse_fisher(gradients, run.mask.n_kept, self.block_size)
        run.carried.inverse = inverse
        values = layout.join(theta).detach().cpu()[live]
        own = inverse.diagonal(dim1=1, dim2=2).flatten()[: len(values)]
        scores = torch.zeros(live.shape).masked_scatter(live, saliencies(values, own))
        return layout.split(scores)

    @torch.no_grad()
    def _correct(self, run: Run, found: TicketMask) -> None:
        """Correct the weights that stay for those that go."""
        theta, layout = masked_leaves(run.net, run.mask), Layout(run.mask, self.scope)
        live, values = ~layout.pruned, layout.join(theta).cpu()
        gone = ~layout.join(found)[live]
        corrected = without_in_blocks(values[live], run.carried.inverse, gone)
        for name, value in layout.split(values.masked_scatter(live, corrected)).items():
            plain_module(run.net.module_).get_parameter(name).copy_(value)

    def _operate(self, run: Run, density: float) -> TicketMask:
        """Prune the live part entry by entry, and train it."""
        network = run.carried.network
        (n_kept,) = network.whole.counts(density, self.scope)
        chain = operate(
            network.objective,
            network.chain(run),
            n_kept,
            n_settled=round(_SETTLED * network.n_kept),
            n_rows=self.n_score_samples or len(run.X),
            n_candidates=self.n_candidates,
            n_regrowths=self.n_regrowths,
            rng=torch.Generator().manual_seed(run.rng.randint(2**31)),
        )
        kept = network.load(run, chain)
        # Entries that lead nowhere make up for the number that is asked for.
        preference = {n: np.where(k, 2.0, run.rng.random_sample(k.shape)) for n, k in kept.items()}
        return network.whole.shrink(preference, density, self.scope, run.rng)


@dataclass
class _Carried:
    """What one round hands to the next.

    Parameters
    ----------
    network : SmallNetwork or None, default=None
        None if the network never has its full matrix.
    inverse : Tensor or None, default=None
        The inverses of the blocks of the Fisher matrix.
    """

    network: SmallNetwork | None = None
    inverse: Tensor | None = None
