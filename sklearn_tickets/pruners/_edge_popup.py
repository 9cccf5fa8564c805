"""Edge-popup: search for a strong ticket, the weights frozen."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor
from torch.optim.lr_scheduler import CosineAnnealingLR

from sklearn_tickets._inference import infer
from sklearn_tickets._module import plain_module
from sklearn_tickets.pruners._base import BasePruner
from sklearn_tickets.pruners._gradients import loss_at


class EdgePopupPruner(BasePruner):
    r"""Learn which random weights to keep, and leave them as they are (edge-popup).

    Every parameter has a score s. The network runs with the best-scored fraction of its
    frozen initial weights, and gradients pass straight through the selection,

    .. math:: \theta = w \odot \mathrm{top}_\rho(s), \qquad
              \frac{\partial L}{\partial s} := w \odot \frac{\partial L}{\partial \theta},

    so that what would lower the loss pops up. With `anneal`, the density falls to its
    target as :math:`\rho^{i/E}` in epoch i of E; with `learn_scale`, a positive factor per
    output is learned besides, because the outputs of a pruned random network are in
    arbitrary units. The best entry of each weight is always kept: no layer is emptied.

    Parameters
    ----------
    estimator : NeuralNetClassifier, NeuralNetBinaryClassifier or NeuralNetRegressor
        An unfitted skorch net around a module *class* or factory whose modules return
        logits or regression outputs. It is cloned, never changed.
    sparsity : float in [0, 1), default=0.9
        Fraction of the prunable parameters to remove; met exactly.
    scope : {"global", "layer"}, default="global"
        Whether parameters compete with all others or within their layer.
    prune_bias : bool, default=False
        Whether biases are pruned, too.
    exclude : tuple of str, default=()
        Glob patterns of parameter names left dense, such as ``"head.*"``.
    mask_epochs : int or None, default=None
        Epochs of learning scores; None takes the net's ``max_epochs``.
    mask_lr : float > 0, default=0.1
        Learning rate of the scores: SGD with momentum 0.9 and weight decay 5e-4, annealed
        along a cosine.
    anneal : bool, default=True
        Whether the density falls to its target, or is the target from the start.
    learn_scale : bool, default=True
        Whether a positive factor per output is learned.
    final_epochs : int or None, default=None
        Epochs of the ticket's own training; None takes the net's ``max_epochs``.
    train_ticket : bool, default=False
        Whether to train the ticket. If not, `estimator_` holds it at its initial weights,
        and ``strong_predict`` is the way to predict.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, scores and batches.

    Attributes
    ----------
    <attributes>

    See Also
    --------
    strong_accuracy : Scores the strong ticket.

    References
    ----------
    .. [1] Ramanujan, Wortsman, Kembhavi, Farhadi and Rastegari, "What's hidden in a randomly
       weighted neural network?", CVPR 2020.
    .. [2] Fischer and Burkholz, "Plant 'n' Seek: Can You Find the Winning Ticket?", ICLR 2022.

    Examples
    --------
    >>> from sklearn_tickets import EdgePopupPruner, PlantedTicketGenerator
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(100)
    >>> net = planted.make_net(max_epochs=1)
    >>> pruner = EdgePopupPruner(net, sparsity=0.5, prune_bias=True, random_state=0)
    >>> pruner.fit(planted.X, planted.y).mask_
    TicketMask(1,037 of 2,074 parameters)
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
        "anneal": ["boolean"],
        "learn_scale": ["boolean"],
    }

    n_rounds = 1
    round_epochs = 0
    rewind_epoch = 0
    schedule = None

    def __init__(
        self,
        estimator,
        *,
        sparsity=0.9,
        scope="global",
        prune_bias=False,
        exclude=(),
        mask_epochs=None,
        mask_lr=0.1,
        anneal=True,
        learn_scale=True,
        final_epochs=None,
        train_ticket=False,
        random_state=None,
    ):
        self.estimator = estimator
        self.sparsity = sparsity
        self.scope = scope
        self.prune_bias = prune_bias
        self.exclude = exclude
        self.mask_epochs = mask_epochs
        self.mask_lr = mask_lr
        self.anneal = anneal
        self.learn_scale = learn_scale
        self.final_epochs = final_epochs
        self.train_ticket = train_ticket
        self.random_state = random_state

    def _search(self, net, mask, density, X, y, rng):
        module = plain_module(net.module_).train()
        w = {name: p.detach() for name, p in module.named_parameters() if name in mask}
        s = {name: _initial_scores(value) for name, value in w.items()}
        log_scale = torch.zeros(infer(module, X[:1]).shape[1], device=net.device)
        groups = [{"params": list(s.values()), "weight_decay": 5e-4}]
        if self.learn_scale:
            groups.append({"params": [log_scale.requires_grad_()]})
        optimizer = torch.optim.SGD(groups, lr=self.mask_lr, momentum=0.9)

        batches = net.get_iterator(net.get_dataset(X, y), training=True)
        n_epochs = self._n_epochs(self.mask_epochs)
        cosine = CosineAnnealingLR(optimizer, n_epochs * len(batches))
        for epoch in range(1, n_epochs + 1):
            net.history.new_epoch()
            now = density ** (epoch / n_epochs) if self.anneal else density
            for X_batch, y_batch in batches:
                kept = _best(mask.layers(self.scope), _with_a_foothold(s), now)
                # The selection forwards, the scores backwards.
                theta = {name: w[name] * (kept[name] + s[name] - s[name].detach()) for name in mask}
                loss = loss_at(net, theta, X_batch, y_batch, log_scale.exp())
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                cosine.step()
                net.history.new_batch()
                net.history.record_batch("train_loss", loss.item())
                net.history.record_batch("train_batch_size", len(X_batch))
        if not np.isfinite(loss.item()):
            raise ValueError(
                f"The loss of {type(self).__name__} is {loss.item()} after {n_epochs} epochs. "
                f"Lower mask_lr={self.mask_lr!r}, or scale X."
            )
        return mask.shrink(_with_a_foothold(s), density, self.scope, rng)


def _initial_scores(weight: Tensor) -> Tensor:
    """Uniform scores, smaller for units that read more inputs."""
    fan_in = weight[0].numel() if weight.ndim > 1 else weight.numel()
    return (torch.rand_like(weight) * fan_in**-0.5).requires_grad_()


def _with_a_foothold(scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Put the best entry of each weight above all others, so that no layer is emptied."""
    detached = {name: score.detach() for name, score in scores.items()}
    top = max(score.max() for score in detached.values()) + 1
    return {
        name: score.where(score < score.max(), top) if score.ndim > 1 else score
        for name, score in detached.items()
    }


def _best(layers: list[list[str]], scores: dict[str, Tensor], density: float) -> dict[str, Tensor]:
    """Mark the best-scored fraction of each group of parameters, without sorting them."""
    kept: dict[str, Tensor] = {}
    for names in layers:
        values = torch.cat([scores[name].flatten() for name in names])
        k = max(1, round(density * values.numel()))
        threshold = values.kthvalue(values.numel() - k + 1).values
        kept |= {name: scores[name] >= threshold for name in names}
    return kept
