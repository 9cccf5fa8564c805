"""A mask that moves while a plain skorch net trains."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.training import DropAndGrow

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
        ({"drop_fraction": 2.0}, "drop_fraction=2.0 must be above 0 and below 1"),
        ({"end_step": float("nan")}, "end_step=nan must be a number of steps"),
        ({"mask": TicketMask({"weight": [1]})}, "has no parameter 'weight'"),
    ],
)
def test_settings_are_checked_before_anything_is_trained(settings, message):
    with pytest.raises(ValueError, match=message):
        make_net(**settings).fit(X, X[:, :1])
