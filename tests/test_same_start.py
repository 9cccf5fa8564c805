"""`SameStart`: the first step of a training is taken from the weights that it begins with."""

import pytest
import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback, Checkpoint, Freezer, Initializer, LoadInitState
from torch import nn

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    RigLPruner,
    SNIPPruner,
)
from sklearn_tickets.training import HoldMask, Training
from sklearn_tickets.training._same_start import SameStart
from tests.small_nets import MASK, X, Y, assert_same_state, make_net, weights


def at(event, change):
    """A callback that calls a function of the module at an event."""
    method = {event: lambda self, net, **kwargs: change(net.module_)}
    return type("Own", (Callback,), method)()


@torch.no_grad()
def reset(module):
    nn.init.ones_(module.layers[0].weight)


@torch.no_grad()
def nudge(module):
    module.layers[1].bias.data += 1e-6


def checkpoint(tmp_path):
    """A checkpoint of a net that is like the others, but for its weights."""
    files = Checkpoint(dirname=str(tmp_path), monitor=None)
    torch.manual_seed(5)
    make_net(callbacks=[files], max_epochs=1).fit(X, Y)
    return LoadInitState(Checkpoint(dirname=str(tmp_path), monitor=None))


CALLBACKS = {
    "Initializer": lambda _: Initializer("*weight", fn=nn.init.xavier_uniform_),
    "Initializer-of-biases": lambda _: Initializer("*bias", fn=nn.init.ones_),
    "LoadInitState": checkpoint,
    "on_train_begin": lambda _: at("on_train_begin", reset),
    "on_epoch_begin": lambda _: at("on_epoch_begin", reset),
    "on_batch_begin": lambda _: at("on_batch_begin", reset),
    "a-little": lambda _: at("on_batch_begin", nudge),
    "HoldMask": lambda _: HoldMask(MASK),
}


@pytest.mark.parametrize(
    "pruner",
    [
        IterativeMagnitudePruner(None, n_rounds=2),
        SNIPPruner(None, sparsity=0.5),
        RigLPruner(None, sparsity=0.5, update_every=1),
        EdgePopupPruner(None, sparsity=0.5),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_that_set_weights_before_the_first_step_are_refused(name, pruner, tmp_path):
    callback = CALLBACKS[name](tmp_path)
    pruner = type(pruner)(**pruner.get_params() | {"estimator": make_net(callbacks=[callback])})
    with pytest.raises(ValueError, match=rf"^{type(callback).__name__} of estimator changed 'lay"):
        pruner.set_params(random_state=0).fit(X, Y[:, 0])


def test_the_callback_and_the_event_are_named():
    harmless = ("harmless", at("on_train_begin", lambda module: None))
    net = make_net(callbacks=[harmless, ("mine", at("on_epoch_begin", reset))])
    with pytest.raises(ValueError, match=r"^mine of .*weight' in on_epoch_begin, .*ModuleTemplate"):
        GivenMaskPruner(net, MASK).fit(X, Y[:, 0])


def test_callbacks_that_are_added_by_initialize_and_methods_of_the_net_are_seen():
    class Wired(NeuralNetRegressor):
        def initialize_callbacks(self):
            super().initialize_callbacks()
            self.callbacks_.append(("wired", at("on_train_begin", reset)))
            return self

    class Begins(NeuralNetRegressor):
        def on_train_begin(self, net, **kwargs):
            reset(self.module_)

    for net_class, name in [(Wired, "wired"), (Begins, "Begins")]:
        with pytest.raises(ValueError, match=f"^{name} of estimator changed"):
            GivenMaskPruner(make_net(net_class), MASK).fit(X, Y[:, 0])


@pytest.mark.parametrize(
    "callback",
    [
        Freezer("layers.0.*"),
        Initializer("layers.0.weight", fn=nn.init.xavier_uniform_, at=2),
        at("on_batch_end", nudge),
        at("on_grad_computed", nudge),
        at("on_train_end", nudge),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_other_callbacks_are_welcome(callback):
    pruner = IterativeMagnitudePruner(
        make_net(callbacks=[callback]), sparsity=0.5, n_rounds=2, random_state=0
    )
    pruner.fit(X, Y[:, 0])
    assert len(pruner.estimator_.history) == 3


def test_weights_are_compared_in_the_first_epoch_only():
    net = make_net(callbacks=[Callback()]).initialize()
    start = SameStart(net)
    start.on_epoch_begin(net)
    reset(net.module_)
    with pytest.raises(ValueError, match="in on_epoch_begin, before the first step"):
        start.on_epoch_begin(net)
    reset(net.module_)
    # A loop that only loads results notifies of epochs, but of no batches.
    start.on_epoch_end(net)
    start.on_epoch_begin(net)


def test_the_first_step_is_taken_from_the_weights_returned_to():
    firsts = []

    class Seen(MLP):
        def forward(self, X):
            if self.training:
                firsts[-1].append({n: p.clone() for n, p in self.named_parameters()})
            return super().forward(X)

    begin = at("on_train_begin", lambda module: firsts.append([]))
    pruner = IterativeMagnitudePruner(
        make_net(module=Seen, callbacks=[begin]), sparsity=0.5, n_rounds=2, random_state=0
    ).fit(X, Y[:, 0])
    for forwards, record in zip(firsts[1:], pruner.rounds_, strict=True):
        assert_same_state(forwards[0], record["mask"].apply(pruner.initial_state_))


def test_a_refusal_leaves_the_weights_as_they_were():
    net = make_net(callbacks=[at("on_train_begin", reset)])
    net.initialize()
    before = weights(net)
    with pytest.raises(ValueError, match="changed"):
        Training(net, X, Y, 1).run()
    assert_same_state(weights(net), before)


class Odd(MLP):
    def __init__(self, **params):
        super().__init__(**params)
        self.register_buffer("odd", torch.tensor([float("nan"), 1]))
        self.register_buffer("flags", torch.tensor([True, False]))


def test_weights_that_are_not_numbers_are_no_change():
    pruner = GivenMaskPruner(make_net(module=Odd), MASK).fit(X, Y[:, 0])
    assert len(pruner.estimator_.history) == 3


def test_a_number_instead_of_none_is_a_change():
    fill = at("on_train_begin", lambda module: module.odd.nan_to_num_())
    with pytest.raises(ValueError, match="changed 'odd' in on_train_begin"):
        GivenMaskPruner(make_net(module=Odd, callbacks=[fill]), MASK).fit(X, Y[:, 0])
