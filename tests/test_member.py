"""`Member`: which trainings can be stacked, and with which others."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from skorch.callbacks import EarlyStopping, EpochScoring
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_tickets.model_selection._member import Member, n_bytes
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    MagnitudePruner,
    RigLPruner,
)
from sklearn_tickets.training import Training, batch_iterator, hold_mask
from tests.searches import CIRCLE, GRID, check_same, make_net, stacked
from tests.small_nets import MASK, X, Y, initialized


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


class Noisy(nn.Module):
    """Random in training, though none of its layers is."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return nn.functional.dropout(self.layer(X), 0.5, self.training)


class Idle(MLP):
    """Has a parameter that it does not use."""

    def __init__(self, n_features, n_outputs):
        super().__init__(n_features, n_outputs, hidden=(5,))
        self.idle = nn.Parameter(torch.ones(3))


class Scaled(nn.Module):
    """Networks that look the same but differ in an attribute."""

    def __init__(self, n_features, n_outputs, scale=1.0):
        super().__init__()
        self._scale = scale
        self.layers = nn.Sequential(nn.Linear(n_features, 9), nn.Tanh(), nn.Linear(9, n_outputs))

    def forward(self, X):
        return self.layers(self._scale * X)


class Centered(nn.Module):
    """Replaces its buffer instead of changing it in place."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)
        self.register_buffer("mean", torch.zeros(n_features))

    def forward(self, X):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * X.detach().mean(dim=0)
        return self.layer(X - self.mean)


OBSTACLES = {
    "training is random": (
        make_net(Noisy),
        "torch cannot stack the module: its forward draws random numbers in training, as Dropout",
    ),
    "buffer": (make_net(Centered), "a stack changes the module's buffer mean in another way"),
    "unused": (make_net(Idle), "torch cannot stack the module: "),
    "local class": (make_net(type("Local", (MLP,), {})), "the module cannot be pickled"),
    "callback": (
        CIRCLE.make_net(max_epochs=1, callbacks=[EpochScoring("accuracy", use_caching=False)]),
        "the net has callbacks that do more than read an epoch's results",
    ),
    "criterion": (
        make_net(MLP, criterion=nn.MultiMarginLoss),
        "the criterion is not CrossEntropyLoss, BCEWithLogitsLoss or MSELoss",
    ),
    "optimizer": (make_net(MLP, optimizer=torch.optim.RMSprop), "the optimizer is not SGD"),
    "iterator": (
        make_net(MLP, iterator_train__drop_last=True),
        "batches come from another iterator",
    ),
    "callback with a default's name": (
        CIRCLE.make_net(max_epochs=2, callbacks__valid_acc=EarlyStopping("train_loss", 1)),
        "the net has callbacks that do more than read an epoch's results: EarlyStopping",
    ),
    "train_split": (
        make_net(MLP, train_split=ValidSplit(0.3, stratified=False)),
        "the net has a train_split that may differ from time to time",
    ),
    "iterator_valid": (
        make_net(MLP, train_split=ValidSplit(3), iterator_valid__num_workers=0),
        "batches come from another iterator",
    ),
}


@pytest.mark.parametrize(("net", "obstacle"), OBSTACLES.values(), ids=OBSTACLES)
def test_what_cannot_be_stacked_is_fitted_alone(net, obstacle, caplog):
    with pytest.warns(UserWarning, match="No networks are stacked") as warned:
        check_same(MagnitudePruner(net, random_state=0), {"sparsity": [0.3, 0.4]})
    assert stacked(caplog) == []
    [message] = caplog.messages
    assert message.startswith(f"Trainings are not stacked: {obstacle}")
    assert [message in str(each.message) for each in warned] == [True]


def test_hooks_are_not_stacked():
    module = MLP(2, 4, hidden=(8,))
    module.register_forward_hook(double)
    pruner = MagnitudePruner(make_net(ModuleTemplate(module)), sparsity=0.3, random_state=0)
    with pytest.warns(UserWarning, match="the module has hooks"):
        check_same(pruner, {"scope": ["global", "layer"]})


def double(module, args, output):
    return 2 * output


def test_masks_that_move_are_trained_one_by_one(caplog):
    net = CIRCLE.make_net(max_epochs=1)
    pruner = RigLPruner(net, sparsity=0.5, update_every=1, final_epochs=1)
    check_same(pruner, {"random_state": [0, 1]})
    assert "Trainings are not stacked: the pruner defines the training itself." in caplog.messages
    assert stacked(caplog) == [4]


def test_architectures_are_stacked_apart_however_alike_they_look(caplog):
    pruner = MagnitudePruner(make_net(Scaled), sparsity=0.3, random_state=0)
    check_same(pruner, {"estimator__module__scale": [0.5, 2], "scope": ["global", "layer"]})
    assert stacked(caplog) == [4, 4]


def test_candidates_that_can_be_stacked_are_stacked_beside_others(caplog):
    pruner = MagnitudePruner(make_net(MLP), sparsity=0.5, random_state=0)
    optimizers = {"estimator__optimizer": [torch.optim.Adam, torch.optim.RMSprop]}
    check_same(pruner, [optimizers | {"scope": GRID["scope"]}, {"estimator__max_epochs": [0]}])
    assert stacked(caplog) == [4]
    assert "Trainings are not stacked: the optimizer is not SGD" in caplog.text


def test_memory_holds_what_epochs_are_scored_by():
    scored = [EpochScoring("r2", on_train=True)]
    sizes = []
    for settings in ({}, {"train_split": ValidSplit(3)}, {"callbacks": scored}):
        net = initialized(**settings)
        n_weights = sum(weight.nbytes for weight in net.module_.parameters())
        sizes.append(n_bytes(Training(net, X, Y, until=3)))
    # One output in float32 for each row.
    assert np.diff(sizes).tolist() == [3 * n_weights, 3 * (Y.nbytes + 4 * len(X))]


def test_rows_with_weights_are_stacked_apart():
    net = initialized(iterator_train=batch_iterator)
    hold_mask(net, MASK)
    plain = Training(net, X, Y, until=1)
    keys = {
        Member.of(replace(plain, sample_weight=weights)).key
        for weights in (None, np.ones(60), np.full(60, 2.0))
    }
    assert len(keys) == 2
