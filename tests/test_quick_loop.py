"""`quick_loop`: only calls without effect are skipped."""

import pytest
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit

from sklearn_tickets.models import MLP
from tests.small_nets import X, Y, initialized, train


class Listener(Callback):
    """Records its calls; one of its methods is an attribute of the instance."""

    def __init__(self):
        self.calls = []
        self.on_grad_computed = lambda net, **kwargs: self.calls.append("grad")

    def on_batch_begin(self, net, training=False, **kwargs):
        self.calls.append("begin")
        net.module_.layers[0].eval()

    def on_batch_end(self, net, training=False, **kwargs):
        self.calls.append(net.module_.layers[0].training)


def test_callbacks_that_do_something_are_called_for_every_batch():
    listener = Listener()
    net = initialized(callbacks=[("listener", listener)], batch_size=len(X))
    train(net, X, Y, 2)
    # A layer that a callback puts in evaluation mode is in training mode during the step.
    assert dict(net.callbacks_)["listener"].calls == ["begin", "grad", True] * 2


def test_modules_are_validated_in_evaluation_mode():
    modes = []

    class Watched(MLP):
        def forward(self, X):
            modes.append([layer.training for layer in self.modules()])
            return super().forward(X)

    net = initialized(module=Watched, train_split=ValidSplit(2), batch_size=len(X))
    train(net, X, Y, 2)
    assert [set(mode) for mode in modes] == [{True}, {False}] * 2


def test_nets_that_override_notify_are_left_alone():
    events = []

    class Talking(NeuralNetRegressor):
        def notify(self, method_name, **kwargs):
            events.append(method_name)
            super().notify(method_name, **kwargs)

    net = initialized(net_class=Talking, batch_size=len(X))
    train(net, X, Y, 1)
    assert events.count("on_batch_end") == 1


def test_a_net_has_its_own_methods_again_after_training():
    net = initialized()
    names = vars(net).keys()
    train(net, X, Y, 1)
    assert vars(net).keys() == names
    with pytest.raises(ValueError, match="loss of estimator"):
        train(initialized(lr=1e30), X, Y, 3)
