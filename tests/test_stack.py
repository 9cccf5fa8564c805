"""`Stack`: networks are trained as they would be alone."""

import logging

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils import Bunch
from skorch import NeuralNetRegressor
from skorch.callbacks import EpochScoring
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import Log, Task, _stack, fit_in_batches
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
)
from tests.searches import CIRCLE, GRID, HELIX, check_same, make_net, stacked, weigh


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


class Convolutional(nn.Sequential):
    def __init__(self, n_outputs):
        super().__init__(
            nn.Unflatten(1, (1, 2)),
            nn.Conv1d(1, 6, 2),
            nn.LayerNorm([6, 1]),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(6, n_outputs, bias=False),
        )


class Normalized(nn.Sequential):
    def __init__(self, n_outputs):
        super().__init__(
            nn.Unflatten(1, (2, 1)),
            nn.Conv1d(2, 6, 1, bias=False),
            nn.BatchNorm1d(6),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(6, 5),
            nn.BatchNorm1d(5, momentum=0.3),
            nn.Linear(5, n_outputs),
        )


def weigh_buffers(estimator, X, y):
    """A sum of the running statistics, with factors that tell them apart."""
    values = torch.cat([b.flatten() for b in estimator.estimator_.module_.buffers()]).double()
    return float(values @ torch.arange(1.0, len(values) + 1, dtype=torch.float64))


@pytest.mark.parametrize("record_from", [3, 1000])
def test_batch_normalization_keeps_the_statistics_of_each_network(record_from, caplog, monkeypatch):
    monkeypatch.setattr(_stack, "_RECORD_FROM", record_from)
    net = make_net(Normalized, batch_size=25, optimizer=torch.optim.SGD)
    pruner = IterativeMagnitudePruner(net, n_rounds=2, rewind_epoch=1, random_state=0)
    scores = {"weights": weigh, "buffers": weigh_buffers, "quality": "accuracy"}
    check_same(pruner, {"sparsity": [0.3, 0.6], "scope": ["global", "layer"]}, scoring=scores)
    assert set(stacked(caplog)) == {8}


@pytest.mark.parametrize("record_from", [3, 1000])
def test_last_batches_may_have_different_sizes(record_from, caplog, monkeypatch):
    monkeypatch.setattr(_stack, "_RECORD_FROM", record_from)
    rows, parts = np.arange(120), (slice(75), slice(63), slice(45, None), slice(53))
    net = make_net(Normalized, batch_size=25, max_epochs=3)
    scores = {"weights": weigh, "buffers": weigh_buffers, "quality": "accuracy"}
    check_same(
        MagnitudePruner(net, sparsity=0.5, random_state=0),
        {"estimator__lr": [0.1, 0.01], "schedule": [None, "one-cycle"]},
        cv=[(rows[part], rows) for part in parts],
        scoring=scores,
    )
    assert stacked(caplog) == [8, 8]


def test_outputs_of_last_batches_of_different_sizes_are_scored(caplog):
    scores = EpochScoring("neg_log_loss", on_train=True, name="train_score")
    net = CIRCLE.make_net(max_epochs=3, batch_size=25, callbacks=[scores])
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0)
    tasks = [Task(pruner, {}, CIRCLE.X, CIRCLE.y, np.arange(n)) for n in (63, 75, 70, 63, 55)]
    for task, outcome in zip(tasks, fit_in_batches(tasks, 2**30, Log()), strict=True):
        alone = clone(pruner).fit(CIRCLE.X[task.rows], CIRCLE.y[task.rows])
        names = ("train_loss", "train_score")
        own, expected = (p.estimator_.history[:, names] for p in (outcome.estimator, alone))
        np.testing.assert_allclose(own, expected, rtol=1e-5)
    assert stacked(caplog) == [5]


def test_recorded_steps_are_those_of_grid_search(caplog, monkeypatch):
    monkeypatch.setattr(_stack, "_RECORD_FROM", 3)
    net = CIRCLE.make_net(max_epochs=3, batch_size=25)
    check_same(MagnitudePruner(net, random_state=0), GRID, cv=2)
    assert stacked(caplog) == [8]


@pytest.mark.parametrize("record_from", [3, 1000])
@pytest.mark.parametrize("planted", [CIRCLE, HELIX], ids=["classifier", "regressor"])
def test_rows_with_weights_are_stacked(planted, record_from, caplog, monkeypatch):
    monkeypatch.setattr(_stack, "_RECORD_FROM", record_from)
    pruner = MagnitudePruner(planted.make_net(max_epochs=3, batch_size=25), random_state=0)
    weights = {"sample_weight": np.random.RandomState(0).uniform(0.5, 9, size=120)}
    search = check_same(pruner, GRID, planted, scoring=weigh, fit_params=weights)
    assert stacked(caplog) == [8]
    name = "mean_test_score"
    plain = clone(search).fit(planted.X, planted.y)
    assert not np.allclose(plain.cv_results_[name], search.cv_results_[name], rtol=1e-4)


def test_regression_in_another_order_with_a_schedule(caplog):
    net = HELIX.make_net(max_epochs=3, iterator_train__shuffle=False)
    pruner = MagnitudePruner(net, schedule="one-cycle", random_state=0)
    check_same(pruner, {"estimator__lr": [1e-2, 1e-3], "sparsity": [0.3]}, HELIX)
    assert stacked(caplog) == [4]


@pytest.mark.parametrize("record_from", [3, 1000])
def test_several_labels_with_weights(record_from, caplog, monkeypatch):
    monkeypatch.setattr(_stack, "_RECORD_FROM", record_from)
    y = (np.abs(CIRCLE.X[:, :1]) > [0.1, 0.2, 0.4]).astype(np.int64)
    net = make_net(MLP, criterion=nn.BCEWithLogitsLoss, criterion__pos_weight=torch.ones(3) / 2)
    pruner = MagnitudePruner(net, sparsity=0.3, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]}, Bunch(X=CIRCLE.X, y=y))
    assert stacked(caplog) == [4]


def test_a_single_output_and_a_single_row(caplog):
    relu = PlantedTicketGenerator("relu", width=10, depth=3, random_state=0).generate(54)
    net = relu.make_net(max_epochs=2, batch_size=13)
    pruner = MagnitudePruner(net, sparsity=0.2, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]}, relu)
    assert stacked(caplog) == [4]


def test_outputs_without_an_axis(caplog):
    relu = PlantedTicketGenerator("relu", width=10, depth=3, random_state=0).generate(54)
    module = nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Linear(8, 1), nn.Flatten(0))
    net = NeuralNetRegressor(
        ModuleTemplate(module), batch_size=13, max_epochs=2, train_split=None, verbose=0
    )
    pruner = MagnitudePruner(net, sparsity=0.2, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]}, relu)
    assert stacked(caplog) == [4]


def test_other_layers_than_linear(caplog):
    pruner = MagnitudePruner(make_net(Convolutional), sparsity=0.3, random_state=0)
    check_same(pruner, {"scope": ["global", "layer"]}, rtol=1e-4)
    assert stacked(caplog) == [4]


def test_frozen_parameters_stay(caplog):
    module = MLP(2, 4, hidden=(8,))
    module.layers[0].weight.requires_grad_(False)
    pruner = MagnitudePruner(make_net(ModuleTemplate(module)), sparsity=0.5, random_state=0)
    check_same(pruner, {"prune_bias": [True, False]})
    assert stacked(caplog) == [4]


def test_penalties_differ_from_fit_to_fit(caplog):
    pruner = LearningRateRewindingPruner(
        CIRCLE.make_net(max_epochs=2), n_rounds=2, sparsity=0.6, random_state=0
    )
    check_same(pruner, {"l1": [0.0, 1e-3, "auto"], "schedule": [None, "one-cycle"]})
    assert stacked(caplog) == [6] * 6
