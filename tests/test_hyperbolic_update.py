"""`HyperbolicUpdate`: steps that multiply the weights."""

import math
import pickle

import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import LRScheduler
from torch import nn, optim

from sklearn_tickets.pruners import MagnitudePruner
from sklearn_tickets.training import HoldMask, HyperbolicUpdate
from tests.searches import CIRCLE, check_same
from tests.small_nets import MASK, X, Y, initialized, make_net, train, weights

ONE = torch.ones(1, 1)


def one_weight(weight, *callbacks, **params):
    """A net that computes weight * x + 0, and trains by SGD at a rate of .1."""
    net = make_net(
        module__n_features=1,
        module__hidden=(),
        optimizer=optim.SGD,
        lr=0.1,
        batch_size=1,
        callbacks=list(callbacks),
        **params,
    ).initialize()
    [layer] = net.module_.layers
    nn.init.constant_(layer.weight, weight)
    nn.init.zeros_(layer.bias)
    return net


def step(net, target=0.0):
    """The weight and the bias after a step on one row."""
    [layer] = net.partial_fit(ONE, target * ONE, epochs=1).module_.layers
    return layer.weight.item(), layer.bias.item()


@pytest.mark.parametrize("sign", [1, -1])
def test_one_step_by_hand(sign):
    """The gradient of (w x - 0)^2 at w = .5 and x = 1 is 1, so SGD moves w to .4."""
    weight, bias = step(one_weight(0.5 * sign, HyperbolicUpdate(alpha=2.0, beta=0.5)))
    assert weight == pytest.approx(sign * 0.4 * math.exp(0.1 * (-2 - 0.5)))
    assert bias == pytest.approx(sign * -0.1)


@pytest.mark.parametrize(("target", "expected"), [(0, 0.4 * math.exp(-5)), (1, 0.6 * math.exp(5))])
def test_the_exponent_is_clipped(target, expected):
    weight, _ = step(one_weight(0.5, HyperbolicUpdate(alpha=1e6)), target)
    assert weight == pytest.approx(expected)


def test_the_rate_is_that_of_the_step():
    """Schedules that come first have changed the rate when the batch ends."""
    halved = LRScheduler("StepLR", step_size=1, gamma=0.5, step_every="batch")
    net = one_weight(1.0, halved, HyperbolicUpdate(alpha=0.0, beta=1.0))
    net.partial_fit(torch.zeros(2, 1), torch.zeros(2, 1), epochs=1)
    assert net.module_.layers[0].weight.item() == pytest.approx(math.exp(-0.1 - 0.05))


def test_parameter_groups_have_rates_of_their_own():
    groups = [("*.weight", {"lr": 0.0})]
    weight, bias = step(one_weight(1.0, HyperbolicUpdate(), optimizer__param_groups=groups))
    assert weight == 1 != bias != 0


@pytest.mark.parametrize("optimizer", [optim.SGD, optim.Adam])
@pytest.mark.parametrize("is_first", [True, False])
def test_pruned_weights_stay_at_zero(optimizer, is_first):
    callbacks = [HyperbolicUpdate(alpha=1.0), HoldMask(MASK)][:: 1 if is_first else -1]
    net = initialized(optimizer=optimizer, callbacks=callbacks)
    before = weights(net)
    for name, weight in weights(net.partial_fit(X, Y)).items():
        if name in MASK:
            assert not weight[~MASK[name]].any()
        assert not torch.equal(weight, before[name])


def test_a_pruner_trains_like_skorch():
    """The loop of `Training` skips calls without effect, not these."""
    nets = [initialized(callbacks=[HyperbolicUpdate(alpha=1.0)]) for _ in range(2)]
    plain = initialized()
    nets[0].partial_fit(X, Y, epochs=2)
    train(nets[1], X, Y, 2)
    train(plain, X, Y, 2)
    for name, weight in weights(nets[0]).items():
        assert torch.equal(weight, weights(nets[1])[name])
        assert not torch.equal(weight, weights(plain)[name])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"alpha": -1.0}, "alpha=-1.0 of HyperbolicUpdate"),
        ({"beta": -0.1}, "beta=-0.1 of HyperbolicUpdate"),
        ({"alpha": math.inf}, "alpha=inf of HyperbolicUpdate"),
        ({"beta": math.nan}, "beta=nan of HyperbolicUpdate"),
    ],
)
def test_bad_values_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        step(one_weight(1.0, HyperbolicUpdate(**params)))


def test_optimizers_that_evaluate_several_times_are_refused():
    net = initialized(optimizer=optim.LBFGS, callbacks=[HyperbolicUpdate()])
    with pytest.raises(ValueError, match="optimizer=LBFGS of estimator evaluates the loss several"):
        net.partial_fit(X, Y)


def test_copies_and_pickles_are_small():
    net = initialized(callbacks=[HyperbolicUpdate(alpha=3.0)])
    assert clone(net).callbacks[0].alpha == 3
    trained = pickle.loads(pickle.dumps(net.partial_fit(X, Y)))
    assert dict(trained.callbacks_)["HyperbolicUpdate"].pending_ == []


def test_searches_fit_one_by_one():
    net = CIRCLE.make_net(max_epochs=1, callbacks=[HyperbolicUpdate(alpha=1.0)])
    pruner = MagnitudePruner(net, random_state=0)
    with pytest.warns(UserWarning, match="the net has callbacks"):
        check_same(pruner, {"sparsity": [0.4, 0.5]})
