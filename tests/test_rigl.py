"""RigL and SET: what is dropped, what is grown, and what stays the same all along."""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import RigLPruner
from tests.instances import make_net

FUSED_ADAM = {"optimizer": torch.optim.Adam, "optimizer__fused": True}
MOMENTUM = {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9}
NEVER = 10**9

# Least squares with one sample per weight: dL/dw = (w - target) / 3 in each by itself, and a
# step at rate 3 takes every kept weight to its target. Two of six weights matter.
EYE = np.eye(6, dtype=np.float32)
TARGETS = np.float32([0, 3, 0, 0, -2, 0])
INITIAL = [0.1, 0.5, 0.2, 0.3, 0.4, 0.6]


@pytest.fixture(scope="module")
def data():
    X, y = make_classification(n_samples=120, n_features=6, n_informative=4, random_state=0)
    return X.astype(np.float32), y


class Watch(Callback):
    """Notes weights, gradients and the optimizer's moments, step by step."""

    def on_train_begin(self, net, **kwargs):
        self.steps_ = []

    def on_batch_begin(self, net, **kwargs):
        self.steps_.append({"w": {n: p.detach().clone() for n, p in parameters(net)}})

    def on_batch_end(self, net, **kwargs):
        self.steps_[-1]["g"] = {n: p.grad.clone() for n, p in parameters(net)}
        self.steps_[-1]["moments"] = {
            n: {k: v.clone() for k, v in net.optimizer_.state[p].items() if v.shape == p.shape}
            for n, p in parameters(net)
        }


def parameters(net):
    return net.module_.named_parameters()


def steps_of(pruner):
    return dict(pruner.estimator_.callbacks_)["Watch"].steps_


def weights(pruner):
    return {name: p.detach() for name, p in parameters(pruner.estimator_)}


def linear_pruner(lr=3.0, **params):
    """Two of six weights are kept; a batch of all samples per epoch, a change at each."""
    module = nn.Linear(6, 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([INITIAL]))
    net = make_net(
        "regressor",
        module=ModuleTemplate(module),
        optimizer=torch.optim.SGD,
        lr=lr,
        max_epochs=20,
        callbacks=[Watch()],
    )
    defaults = {"sparsity": 2 / 3, "update_every": 1, "drop_fraction": 0.9, "random_state": 0}
    return RigLPruner(net, **defaults | params)


def mlp_pruner(net_params=FUSED_ADAM, max_epochs=5, **params):
    """Half of a small network, changed at every fourth step."""
    net = make_net(
        "classifier",
        module=partial(MLP, hidden=(16, 8)),
        max_epochs=max_epochs,
        callbacks=[Watch()],
        **net_params,
    )
    defaults = {"sparsity": 0.5, "update_every": 4, "random_state": 0}
    return RigLPruner(net, **defaults | params)


# By hand --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_that_matter_are_found_and_kept(seed):
    pruner = linear_pruner(random_state=seed).fit(EYE, TARGETS)
    assert pruner.mask_ == TicketMask({"weight": [[0, 1, 0, 0, 1, 0]]})
    # Once they are at their targets no gradient is left: what is dropped is taken back.
    assert_allclose(weights(pruner)["weight"], [TARGETS], atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_smallest_goes_and_the_largest_gradient_comes(seed):
    # T = 5: one of two is dropped after 2 steps, none after 4.
    pruner = linear_pruner(random_state=seed, update_every=2, mask_epochs=5, update_until=1.0)
    w = [step["w"]["weight"][0].numpy() for step in steps_of(pruner.fit(EYE, TARGETS))]
    first = np.flatnonzero(w[0])
    assert_allclose(w[0][first], np.take(INITIAL, first))
    assert_allclose(w[1][first], TARGETS[first], atol=1e-6)
    stays = first[np.abs(w[1][first]).argmax()]
    comes = np.where(np.arange(6) == stays, 0, np.abs(w[1] - TARGETS)).argmax()
    assert set(np.flatnonzero(pruner.mask_["weight"][0])) == {stays, comes}
    # The step is taken: what has come is at its target at once.
    assert_allclose(w[2][comes], TARGETS[comes], atol=1e-6)


def test_the_fraction_dropped_falls_along_a_cosine():
    # Targets are far: what is at 0 has the largest gradients, and nothing comes back at once.
    module = nn.Linear(100, 1, bias=False)
    module.weight.data.abs_()
    X, y = np.eye(100, dtype=np.float32), np.full(100, 10, dtype=np.float32)
    net = make_net(
        "regressor", module=ModuleTemplate(module), lr=1e-3, batch_size=100, callbacks=[Watch()]
    )
    pruner = RigLPruner(
        net, sparsity=0.5, update_every=5, drop_fraction=0.6, mask_epochs=40, update_until=0.5
    )
    kept = [step["w"]["weight"] != 0 for step in steps_of(pruner.fit(X, y))]
    dropped = [(before & ~after).sum().item() for before, after in pairwise(kept)]
    # 50 are kept and T = 20: the floors of 15 (1 + cos(pi t / 20)).
    assert {t: n for t, n in enumerate(dropped, 1) if n} == {5: 25, 10: 15, 15: 4}


# All along ------------------------------------------------------------------------------


@pytest.mark.parametrize("net_params", [FUSED_ADAM, MOMENTUM], ids=["adam", "momentum"])
@pytest.mark.parametrize("grow", ["gradient", "random"])
@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_every_layer_keeps_its_number(scope, grow, net_params, data):
    pruner = mlp_pruner(net_params, scope=scope, grow=grow, prune_bias=True).fit(*data)
    layers = pruner.mask_.allocation("layer").groups
    steps = [step["w"] for step in steps_of(pruner)] + [weights(pruner)]
    counts = [[int(sum((w[n] != 0).sum() for n in names)) for names in layers] for w in steps]
    assert all(count == counts[0] for count in counts)
    if scope == "global":
        assert sum(counts[0]) == round(0.5 * pruner.mask_.n_parameters)
    else:
        assert counts[0] == pruner.mask_.allocation(scope).counts(0.5)
    assert pruner.mask_ == TicketMask({name: steps[-1][name] != 0 for name in pruner.mask_})
    assert pruner.mask_ != TicketMask({name: steps[0][name] != 0 for name in pruner.mask_})


@pytest.mark.parametrize("net_params", [FUSED_ADAM, MOMENTUM], ids=["adam", "momentum"])
def test_what_is_grown_has_no_past(net_params, data):
    steps = steps_of(mlp_pruner(net_params, drop_fraction=0.9).fit(*data))
    n_grown = 0
    for before, after in pairwise(steps):
        for name in ("layers.0.weight", "layers.1.weight"):
            grown = (before["w"][name] == 0) & (after["w"][name] != 0)
            g, moments = before["g"][name][grown], before["moments"][name]
            of_one_step = (
                {"momentum_buffer": g}
                if net_params is MOMENTUM
                else {"exp_avg": 0.1 * g, "exp_avg_sq": 0.001 * g**2}
            )
            assert set(moments) == set(of_one_step)
            for key, expected in of_one_step.items():
                torch.testing.assert_close(moments[key][grown], expected)
            n_grown += grown.sum()
    assert n_grown > 50


@pytest.mark.filterwarnings("ignore:The mask did not move")
def test_random_growth_starts_from_initial_weights(data):
    pruner = mlp_pruner(MOMENTUM | {"lr": 0.0}, grow="random").fit(*data)
    still = mlp_pruner(MOMENTUM | {"lr": 0.0}, update_every=NEVER).fit(*data)
    assert pruner.mask_ != still.mask_
    expected = pruner.mask_.apply(pruner.initial_state_)
    for name, weight in weights(pruner).items():
        assert torch.equal(weight, expected[name])


@pytest.mark.parametrize("seed", range(5))
def test_only_random_growth_takes_what_has_no_gradient(seed):
    X = EYE * np.float32([0, 0, 0, 0, 1, 1])
    for grow, expected in [("gradient", False), ("random", True)]:
        pruner = linear_pruner(lr=0.1, grow=grow, random_state=seed).fit(X, TARGETS)
        kept = [step["w"]["weight"][0, :4] != 0 for step in steps_of(pruner)]
        assert any((after & ~before).any() for before, after in pairwise(kept)) == expected


def test_without_a_change_it_is_static_sparse_training(data):
    with pytest.warns(UserWarning, match=r"did not move: update_every=1000000000, but .* 40 steps"):
        pruner = mlp_pruner(update_every=NEVER).fit(*data)
    first = steps_of(pruner)[0]["w"]
    assert pruner.mask_ == TicketMask({name: first[name] != 0 for name in pruner.mask_})
    assert pruner.rounds_[0]["train_loss"] < np.log(2)


def test_the_mask_rests_in_the_end(data):
    # 5 epochs of 8 batches; changes come before half of the steps are done.
    steps = steps_of(mlp_pruner(update_until=0.5, update_every=1).fit(*data))
    masks = [TicketMask({"w": step["w"]["layers.1.weight"] != 0}) for step in steps]
    assert len(masks) == 40
    assert masks[17] != masks[10]
    assert all(mask == masks[-1] for mask in masks[19:])


# What comes after -----------------------------------------------------------------------


def test_the_network_stays_as_trained_or_returns_to_initial_weights(data):
    trained = mlp_pruner().fit(*data)
    ticket = mlp_pruner(rewind_epoch=0).fit(*data)
    assert trained.mask_ == ticket.mask_
    assert trained.rounds_[0]["train_loss"] == ticket.rounds_[0]["train_loss"] < 1
    initial = ticket.mask_.apply(ticket.initial_state_)
    for name in initial:
        assert torch.equal(weights(ticket)[name], initial[name])
        assert not torch.equal(weights(trained)[name], initial[name])
    assert len(ticket.estimator_.history) == 0
    weak = mlp_pruner(rewind_epoch=0, final_epochs=None, schedule="one-cycle").fit(*data)
    assert len(weak.estimator_.history) == 5
    assert weak.estimator_.history[-1, "train_loss"] < np.log(2)


def test_the_same_seed_gives_the_same(data):
    for grow in ("gradient", "random"):
        one, same, other = (
            mlp_pruner(grow=grow, random_state=seed).fit(*data) for seed in (0, 0, 1)
        )
        assert one.mask_ == same.mask_ != other.mask_
        for name, weight in weights(one).items():
            assert torch.equal(weight, weights(same)[name])


def test_weights_of_an_earlier_mask_are_refused(data):
    def pruner_stopped_early(load_best):
        # No epoch is better than the first by 10; the third is the last.
        pruner = mlp_pruner()
        pruner.estimator.callbacks = [
            EarlyStopping("train_loss", 2, threshold=10, threshold_mode="abs", load_best=load_best)
        ]
        return pruner

    fitted = pruner_stopped_early(load_best=False).fit(*data)
    assert all((weights(fitted)[name] != 0).equal(kept) for name, kept in fitted.mask_.items())
    with pytest.raises(ValueError, match=r"changed pruned entries .* load_best=False"):
        pruner_stopped_early(load_best=True).fit(*data)


def test_its_parameters_can_be_searched(data):
    search = GridSearchCV(
        mlp_pruner(max_epochs=2),
        {"grow": ["gradient", "random"], "drop_fraction": [0.1, 0.5], "update_every": [2, 5]},
        cv=2,
        error_score="raise",
    ).fit(*data)
    assert search.best_estimator_.mask_.sparsity == 0.5
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_convolutions_and_batch_norm():
    X, y = load_digits(n_class=3, return_X_y=True)
    X = (X[:150] / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)
    )
    net = make_net("classifier", module=ModuleTemplate(module), max_epochs=5)
    pruner = RigLPruner(net, sparsity=0.8, update_every=5, random_state=0).fit(X, y[:150])
    # 36 of 4 x 1 x 3 x 3 and 432 of 3 x 144: 11/36 and 147/432, with the factor 94/158.
    assert pruner.mask_.summary()["n_kept"].to_dict() == {"0.weight": 7, "4.weight": 87}
    assert pruner.score(X, y[:150]) > 0.9


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("drop_fraction", 0),
        ("drop_fraction", 1.0),
        ("update_every", 0),
        ("update_until", 0.0),
        ("update_until", 1.5),
        ("mask_epochs", 0),
        ("rewind_epoch", 2),
        ("grow", "largest"),
    ],
)
def test_errors_name_parameter_and_value(name, value, data):
    with pytest.raises(ValueError, match=f"'{name}' parameter .* Got {value!r} instead"):
        mlp_pruner(**{name: value}).fit(*data)
