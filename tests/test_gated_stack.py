"""`GatedStack`: masks are learned as they would be alone."""

import logging

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from skorch.callbacks import EpochScoring
from skorch.dataset import ValidSplit

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV, _stack, fit_replicates
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    HardConcretePruner,
    StochasticSparsificationPruner,
)
from tests.instances import weights
from tests.searches import CIRCLE, check_same, stacked

PRUNERS = [
    (ContinuousSparsificationPruner, {}),
    (ContinuousSparsificationPruner, {"n_rounds": 2, "rewind_epoch": 1, "round_epochs": 2}),
    (StochasticSparsificationPruner, {"n_rounds": 2, "prune_bias": True}),
    (HardConcretePruner, {"sparsity": None}),
    (EdgePopupPruner, {"prune_bias": True}),
    (EdgePopupPruner, {"scope": "layer", "learn_scale": False}),
    (GemMinerPruner, {}),
    (BernoulliGatePruner, {}),
    (ConcreteTicketPruner, {"round_epochs": 1}),
    (ConcreteTicketPruner, {"objective": "labels", "learn_scale": True}),
]


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


def plant(task):
    return [
        PlantedTicketGenerator(task, depth=3, width=30, random_state=seed).generate(90)
        for seed in range(3)
    ]


HOSTS = {task: plant(task) for task in ("circle", "helix")}


@pytest.mark.parametrize(
    ("task", "record_from"), [("circle", 3), ("helix", 1000)], ids=["recorded", "not recorded"]
)
@pytest.mark.parametrize(
    ("cls", "settings"), PRUNERS, ids=lambda value: getattr(value, "__name__", None)
)
def test_replicates_learn_the_masks_that_they_learn_alone(
    cls, settings, task, record_from, caplog, monkeypatch
):
    monkeypatch.setattr(_stack, "_RECORD_FROM", record_from)
    hosts = HOSTS[task]
    net = hosts[0].make_net(max_epochs=3, batch_size=25)
    pruner = cls(net, random_state=0).set_params(**{"sparsity": 0.5} | settings)
    found = fit_replicates(pruner, hosts)
    assert set(stacked(caplog)) == {3}
    assert "not stacked" not in caplog.text
    for host, each in zip(hosts, found, strict=True):
        alone = clone(pruner).set_params(estimator__module=host.module).fit(host.X, host.y)
        assert each.mask_ == alone.mask_
        for name, weight in weights(alone).items():
            torch.testing.assert_close(weights(each)[name], weight, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(each.output_scale_, alone.output_scale_, rtol=1e-5)
        losses = [one.rounds_[-1]["train_loss"] for one in (each, alone)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize(
    ("cls", "grid"),
    [
        (ContinuousSparsificationPruner, {"mask_init": [-0.2, 0.0, 0.1], "mask_lr": [0.003, 0.1]}),
        (HardConcretePruner, {"penalty": [0.0, 1.0, "auto"], "temperature": [0.5, 1.0]}),
        (EdgePopupPruner, {"sparsity": [0.2, 0.3, 0.4]}),
    ],
)
def test_a_network_is_searched_with_many_settings(cls, grid, caplog):
    net = CIRCLE.make_net(max_epochs=2)
    pruner = cls(net, sparsity=0.4, train_ticket=False, random_state=0)
    check_same(pruner, grid)
    n_fits = 2 * np.prod([len(values) for values in grid.values()])
    assert stacked(caplog) == [n_fits]


def test_networks_that_diverge_say_so_and_leave_the_others_alone(caplog):
    pruner = EdgePopupPruner(CIRCLE.make_net(max_epochs=3), sparsity=0.3, random_state=0)
    grid = {"mask_lr": [0.1, 0.2, 1e30]}
    search = BatchedGridSearchCV(pruner, grid, cv=2, refit=False, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match=r"Lower mask_lr=1e\+30"):
        scores = search.fit(CIRCLE.X, CIRCLE.y).cv_results_["mean_test_score"]
    assert stacked(caplog) == [6]
    assert (scores > 0).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("task", "record_from"), [("circle", 3), ("helix", 1000)], ids=["recorded", "not recorded"]
)
@pytest.mark.parametrize(
    ("cls", "settings"), PRUNERS, ids=lambda value: getattr(value, "__name__", None)
)
def test_epochs_are_scored_with_the_gates_that_they_end_with(
    cls, settings, task, record_from, caplog, monkeypatch
):
    monkeypatch.setattr(_stack, "_RECORD_FROM", record_from)
    hosts = HOSTS[task]
    scoring = "neg_log_loss" if task == "circle" else "neg_mean_squared_error"
    callbacks = [
        EpochScoring(scoring, name="valid_score"),
        EpochScoring(scoring, on_train=True, name="train_score"),
    ]
    net = hosts[0].make_net(max_epochs=3, batch_size=25, callbacks=callbacks)
    net.set_params(train_split=ValidSplit(3))
    pruner = cls(net, random_state=0).set_params(**{"sparsity": 0.5, "mask_lr": 0.1} | settings)
    found = fit_replicates(pruner, hosts)
    assert set(stacked(caplog)) == {3}
    assert "not stacked" not in caplog.text
    names = ["train_loss", "train_score", "valid_loss", "valid_score"]
    for host, each in zip(hosts, found, strict=True):
        alone = clone(pruner).set_params(estimator__module=host.module).fit(host.X, host.y)
        assert each.mask_ == alone.mask_
        for own, expected in zip(each.rounds_, alone.rounds_, strict=True):
            for rows in zip(own["history"], expected["history"], strict=True):
                assert rows[0].keys() == rows[1].keys()
                values = [[row[name] for name in names] for row in rows]
                np.testing.assert_allclose(*values, rtol=1e-5)


def test_masks_are_learned_with_equal_numbers_of_samples(caplog):
    rows = np.arange(120)
    folds = [(rows[:60], rows[60:]), (rows[:61], rows[61:])]
    pruner = ContinuousSparsificationPruner(CIRCLE.make_net(max_epochs=1), sparsity=0.5)
    check_same(pruner, {"random_state": [0, 1, 2]}, cv=folds)
    # Masks, and then tickets.
    assert stacked(caplog) == [3, 3, 6]
