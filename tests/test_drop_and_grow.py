"""A mask that moves while a plain skorch net trains."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from skorch.callbacks import Callback
from torch import optim

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.training import DropAndGrow, HoldMask

X = np.random.RandomState(0).randn(40, 4).astype("float32")
MASK = TicketMask({"layers.0.weight": [[1, 1, 0, 0]]})


def make_net(mask=MASK, **settings):
    settings = {"update_every": 1, "drop_fraction": 0.5, "random_state": 0} | settings
    torch.manual_seed(0)
    return NeuralNetRegressor(
        MLP,
        module__n_features=4,
        module__n_outputs=1,
        module__hidden=(),
        train_split=None,
        callbacks=[("moving", DropAndGrow(mask, **settings))],
        max_epochs=5,
        verbose=0,
    )


def moving(net):
    return dict(net.callbacks_)["moving"]


def test_the_mask_moves_to_where_the_gradient_is():
    net = make_net().fit(X, 2 * X[:, 3:])
    mask = moving(net).mask_
    assert mask["layers.0.weight"][0, 3]
    assert mask.n_kept == 2
    assert torch.equal(net.module_.layers[0].weight != 0, mask["layers.0.weight"])


def test_a_fit_begins_with_the_first_mask_and_a_partial_fit_with_the_present():
    net = make_net().fit(X, 2 * X[:, 3:])
    found, weight = moving(net).mask_, net.module_.layers[0].weight.detach().clone()
    net.set_params(max_epochs=0).partial_fit(X, 2 * X[:, 3:])
    assert moving(net).mask_ == found
    assert torch.equal(net.module_.layers[0].weight, weight)
    net.fit(X, 2 * X[:, 3:])
    assert moving(net).mask_ == MASK == moving(net).mask


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grow": "all"}, "grow='all' must be 'gradient' or 'random'"),
        ({"update_every": 0}, "update_every=0 must be an integer of at least 1"),
        ({"update_every": 2.5}, "update_every=2.5 must be an integer of at least 1"),
        ({"drop_fraction": 2.0}, "drop_fraction=2.0 must be above 0 and below 1"),
        ({"end_step": float("nan")}, "end_step=nan must be a number of steps"),
        ({"mask": TicketMask({"weight": [1]})}, "has no parameter 'weight'"),
    ],
)
def test_settings_are_checked_before_anything_is_trained(settings, message):
    with pytest.raises(ValueError, match=message):
        make_net(**settings).fit(X, X[:, :1])


@pytest.mark.parametrize("other", [HoldMask(MASK), DropAndGrow(~MASK)], ids=["hold", "move"])
@pytest.mark.parametrize("is_first", [True, False])
def test_two_masks_that_undo_each_other_are_refused(other, is_first):
    net = make_net()
    net.callbacks.insert(0 if is_first else 1, ("other", other))
    with pytest.raises(ValueError, match=r"DropAndGrow grows .* holds at 0; remove one of them"):
        net.fit(X, X[:, :1])


@pytest.mark.parametrize(
    "settings", [{"update_every": 6}, {"update_every": 5, "end_step": 5}, {"end_step": 1}]
)
def test_a_mask_that_had_no_time_to_move_is_told(settings):
    with pytest.warns(UserWarning, match=r"did not move: update_every=.* had 5 steps, .* step "):
        net = make_net(**settings).fit(X, 2 * X[:, 3:])
    assert moving(net).mask_ == MASK


@pytest.mark.parametrize("settings", [{"update_every": 5}, {"update_every": 4, "end_step": 5}])
def test_a_mask_that_had_time_for_one_move_is_fine(settings):
    assert moving(make_net(**settings).fit(X, 2 * X[:, 3:])).mask_.n_kept == 2


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_optimizers_that_evaluate_the_loss_several_times_are_refused(line_search):
    net = make_net().set_params(optimizer=optim.LBFGS, optimizer__line_search_fn=line_search)
    with pytest.raises(ValueError, match="optimizer=LBFGS of estimator evaluates the loss several"):
        net.fit(X, X[:, :1])


def test_optimizers_that_may_but_do_not_evaluate_the_loss_again_are_fine():
    net = make_net().set_params(optimizer=optim.LBFGS, optimizer__max_iter=1)
    assert moving(net.fit(X, 2 * X[:, 3:])).mask_ != MASK


def test_gradients_are_those_of_the_moved_mask():
    class Seen(Callback):
        def on_grad_computed(self, net, **kwargs):
            kept = moving(net).mask_["layers.0.weight"]
            assert not net.module_.layers[0].weight.grad[~kept].any()
            assert net.module_.layers[0].weight.grad[kept].all()

    net = make_net()
    net.callbacks.append(Seen())
    assert moving(net.fit(X, 2 * X[:, 3:])).mask_ != MASK
