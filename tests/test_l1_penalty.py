"""`L1Penalty` and other gradients of a training's own: callbacks of the net see them."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn, optim

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    HardConcretePruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    StochasticSparsificationPruner,
)
from sklearn_tickets.training import L1Penalty, RepelOptima, Training, hold_mask
from tests.small_nets import MASK, X, Y, initialized, make_net, weights

LIMIT = 1e-6


class Notes(Callback):
    """Notes the gradients, and how far the weights are moved in a step."""

    def on_train_begin(self, net, **kwargs):
        self.norms_, self.moves_ = [], []

    def on_grad_computed(self, net, **kwargs):
        self.before_ = weights(net)
        gradients = {n: p.grad.clone() for n, p in net.module_.named_parameters()}
        self.norms_.append(torch.cat([g.flatten() for g in gradients.values()]).norm().item())
        assert all(not gradients[name][p == 0].any() for name, p in self.before_.items())

    def on_batch_end(self, net, **kwargs):
        after = weights(net)
        parts = [(after[n] - value).flatten() for n, value in self.before_.items()]
        self.moves_.append(torch.cat(parts).norm().item())


class ValueClipping(Callback):
    def on_grad_computed(self, net, **kwargs):
        nn.utils.clip_grad_value_(net.module_.parameters(), LIMIT / 10)


class Scaling(Callback):
    def on_grad_computed(self, net, **kwargs):
        for p in net.module_.parameters():
            p.grad *= 0


CLIPPERS = [GradientNormClipping(LIMIT), ValueClipping(), Scaling()]
PRUNERS = [
    IterativeMagnitudePruner(None, n_rounds=2, sparsity=0.6, l1=10.0),
    LearningRateRewindingPruner(None, n_rounds=2, sparsity=0.6, l1=10.0),
    StochasticSparsificationPruner(None, n_rounds=2, sparsity=0.6),
    ContinuousSparsificationPruner(None, n_rounds=2, sparsity=0.6),
    HardConcretePruner(None, n_rounds=2, sparsity=0.6),
]


@pytest.mark.parametrize("clipper", CLIPPERS, ids=lambda clipper: type(clipper).__name__)
@pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: type(pruner).__name__)
def test_steps_are_as_short_as_callbacks_make_the_gradient(pruner, clipper):
    """With plain SGD at rate 1, a step is as long as the gradient after clipping."""
    notes = Notes()
    net = make_net(optimizer=optim.SGD, lr=1.0, callbacks=[clipper, ("notes", notes)])
    pruner = type(pruner)(**pruner.get_params() | {"estimator": net, "random_state": 0})
    pruner.fit(X, Y[:, 0])
    seen = dict(pruner.estimator_.callbacks_)["notes"]
    assert len(seen.norms_) == len(seen.moves_) > 0
    assert max(seen.norms_) <= LIMIT * 1.01
    # Rounding of the weights, about 1, is larger than the gradients.
    assert max(seen.moves_) <= LIMIT * 1.5


@pytest.mark.parametrize("l1", [0.1, 10.0])
def test_clipping_sees_the_penalty_but_no_pruned_weight(l1):
    net = initialized(callbacks=[("seen", Notes())], optimizer=optim.SGD, lr=0.0)
    with torch.no_grad():
        for layer in net.module_.layers:
            layer.bias.zero_()
    hold_mask(net, MASK)
    names = ["layers.0.weight", "layers.1.weight"]
    Training(net, np.zeros_like(X), np.zeros_like(Y), 1, penalty=L1Penalty(l1, names)).run()
    # With biases of 0, there is no gradient but that of the penalty.
    n_kept = sum(MASK[name].sum().item() for name in names)
    assert dict(net.callbacks_)["seen"].norms_ == pytest.approx([l1 * n_kept**0.5] * 4)


def test_frozen_weights_are_not_pulled():
    net = initialized(optimizer=optim.SGD, lr=0.1)
    net.module_.layers[0].weight.requires_grad_(False)
    before = weights(net)
    names = ["layers.0.weight", "layers.1.weight"]
    Training(net, np.zeros_like(X), np.zeros_like(Y), 1, penalty=L1Penalty(1.0, names)).run()
    after = weights(net)
    assert [torch.equal(before[name], after[name]) for name in names] == [True, False]


@pytest.mark.parametrize("of", ["l1", "strength"])
def test_line_searches_that_do_not_see_a_penalty_are_refused(of):
    params = {"optimizer": optim.LBFGS, "optimizer__line_search_fn": "strong_wolfe"}
    if of == "strength":
        params["callbacks"] = [RepelOptima()]
    pruner = IterativeMagnitudePruner(
        make_net(**params), sparsity=0.5, n_rounds=2, l1=0.1 if of == "l1" else 0.0, random_state=0
    )
    with pytest.raises(ValueError, match=rf"penalty of {of}=.*_line_search_fn='strong_wolfe' by"):
        pruner.fit(X, Y[:, 0])
    plain = pruner.set_params(estimator__optimizer__line_search_fn=None)
    assert isinstance(plain.fit(X, Y[:, 0]).mask_, TicketMask)
