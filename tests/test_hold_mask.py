"""`HoldMask`: pruned weights are exactly 0 after every step."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import Callback

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.training import HoldMask, hold_mask, last_train_loss
from tests.small_nets import MASK, MOMENTUM, X, Y, assert_same_state, initialized, make_net, weights

OPTIMIZERS = [
    MOMENTUM,
    {"optimizer": torch.optim.Adam},
    {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
    {"optimizer": torch.optim.LBFGS},
]


def assert_holds(net, mask=MASK):
    """Pruned entries are exactly 0 and kept ones are not."""
    for name, kept in mask.items():
        value = net.module_.get_parameter(name).detach()
        assert (value[~kept] == 0).all()
        assert (value[kept] != 0).all()


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda p: p["optimizer"].__name__)
def test_pruned_weights_stay_exactly_zero(optimizer):
    net = make_net(**optimizer, callbacks=[HoldMask(MASK)])
    assert_holds(net.fit(X, Y))


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda p: p["optimizer"].__name__)
def test_pruned_weights_do_not_revive_from_momentum(optimizer):
    net = initialized(**optimizer)
    net.partial_fit(X, Y)
    assert all((value != 0).any() for value in weights(net).values())
    hold_mask(net, MASK)
    assert_holds(net)
    before = weights(net)
    net.partial_fit(X, Y)
    assert_holds(net)
    assert not torch.equal(before["layers.0.weight"], net.module_.layers[0].weight)


class AtEveryBatch(Callback):
    def __init__(self, action):
        self.action = action

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.action(net)


def test_mask_holds_after_every_step_before_other_callbacks_look():
    seen = []
    net = initialized(callbacks=[AtEveryBatch(lambda net: seen.append(assert_holds(net)))])
    hold_mask(net, MASK)
    net.partial_fit(X, Y)
    assert len(seen) == 3 * 4


def test_mask_holds_in_a_training_that_is_interrupted_within_a_step():
    def stop(net):
        raise KeyboardInterrupt

    assert_holds(make_net(callbacks=[AtEveryBatch(stop), HoldMask(MASK)]).fit(X, Y))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_of_a_fitted_net_keep_holding(copied):
    net = make_net(**MOMENTUM, callbacks=[HoldMask(MASK)]).fit(X, Y)
    other = copied(net)
    before = weights(net)
    other.partial_fit(X, Y)
    assert_holds(other)
    assert_same_state(before, weights(net))
    assert not torch.equal(before["layers.1.weight"], other.module_.layers[1].weight)


def test_clones_hold_the_same_mask():
    net = clone(make_net(callbacks=[HoldMask(MASK)]))
    assert net.callbacks[0].mask == MASK
    assert_holds(net.fit(X, Y))


def test_callback_keeps_no_tensors_after_training():
    net = make_net(callbacks=[HoldMask(MASK)]).fit(X, Y)
    callback = dict(net.callbacks_)["HoldMask"]
    assert vars(callback).keys() == {"mask"}


def test_mask_holds_where_callbacks_are_disabled():
    net = initialized(callbacks="disable")
    hold_mask(net, MASK)
    net.partial_fit(X, Y)
    assert_holds(net)
    assert np.isfinite(last_train_loss(net))


def test_newer_mask_replaces_the_older():
    net = initialized()
    hold_mask(net, MASK)
    smaller = MASK & MASK.shuffled(rng=0)
    hold_mask(net, smaller)
    net.partial_fit(X, Y)
    assert_holds(net, smaller)
    assert [name for name, _ in net.callbacks_].count("sklearn_tickets.hold_mask") == 1


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
def test_mask_holds_in_a_compiled_module():
    net = initialized(compile=True, compile__backend="eager", **MOMENTUM)
    hold_mask(net, MASK)
    net.partial_fit(X, Y)
    for name, kept in MASK.items():
        value = net.module_._orig_mod.get_parameter(name).detach()
        assert (value[~kept] == 0).all()
        assert (value[kept] != 0).all()


def test_mask_that_does_not_fit_is_refused_before_training():
    net = make_net(callbacks=[HoldMask(TicketMask({"layers.0.weight": [[1]]}))])
    with pytest.raises(ValueError, match="mask does not fit MLP"):
        net.fit(X, Y)
    net = initialized()
    with pytest.raises(ValueError, match="mask does not fit MLP"):
        hold_mask(net, TicketMask({"layers.0.weight": [[1]]}))
