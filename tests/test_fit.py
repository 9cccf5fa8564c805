"""`Course`: fits that pause before their trainings end as they would without pauses."""

import logging
from itertools import count
from types import SimpleNamespace

import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring, ProgressBar
from skorch.dataset import ValidSplit

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import sparse_r2, strong_r2
from sklearn_tickets.model_selection import BatchedGridSearchCV, Log, Task, _fit, fit_in_batches
from sklearn_tickets.pruners import (
    ACDCPruner,
    EdgePopupPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    RigLPruner,
    SNIPPruner,
)
from tests.searches import CIRCLE, check_same, stacked, weigh


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


@pytest.mark.parametrize(
    "pruner",
    [
        SNIPPruner(CIRCLE.make_net(max_epochs=2), sparsity=0.2),
        GivenMaskPruner(CIRCLE.make_net(max_epochs=2), CIRCLE.mask),
        IterativeMagnitudePruner(
            CIRCLE.make_net(max_epochs=1), sparsity=0.5, n_rounds=2, rewind_epoch=None
        ),
        RigLPruner(CIRCLE.make_net(max_epochs=1), sparsity=0.5, update_every=1, final_epochs=1),
        EdgePopupPruner(
            CIRCLE.make_net(max_epochs=1), sparsity=0.5, mask_epochs=1, train_ticket=True
        ),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_all_pruners_train_their_tickets_in_a_stack(pruner, caplog):
    check_same(pruner, {"random_state": [0, 1]})
    assert set(stacked(caplog)) == {4}


def test_fits_to_transformed_targets_are_stacked(caplog):
    planted = PlantedTicketGenerator("relu", depth=3, width=20, random_state=0).generate(60)
    pipeline = make_pipeline(
        StandardScaler(), MagnitudePruner(planted.make_net(max_epochs=2), random_state=0)
    )
    regressor = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    grid = {"regressor__magnitudepruner__sparsity": [0.2, 0.5]}
    settings = {"cv": 2, "scoring": {"sparse": sparse_r2, "strong": strong_r2}, "refit": "sparse"}
    searches = [
        search(regressor, grid, **settings).fit(planted.X, 100 * planted.y)
        for search in (GridSearchCV, BatchedGridSearchCV)
    ]
    assert stacked(caplog) == [4]
    for name in ("mean_test_sparse", "mean_test_strong"):
        expected, found = (search.cv_results_[name] for search in searches)
        assert_allclose(found, expected, rtol=1e-5)
    # The candidate refitted to all data is an ordinary one.
    best = searches[1].best_estimator_
    assert best.regressor[-1] is not best.regressor_[-1]
    assert not hasattr(best.regressor[-1], "mask_")


@pytest.mark.parametrize("rewind_epoch", [0, 1, 2, None])
@pytest.mark.parametrize(
    "optimizer",
    [
        {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9, "lr": 0.1},
        {"optimizer": torch.optim.Adam, "optimizer__fused": True},
        {"optimizer": torch.optim.AdamW, "optimizer__amsgrad": True, "optimizer__fused": True},
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_rounds_are_stacked(rewind_epoch, optimizer, caplog):
    pruner = IterativeMagnitudePruner(
        CIRCLE.make_net(max_epochs=2, **optimizer), n_rounds=2, rewind_epoch=rewind_epoch
    )
    check_same(pruner, {"random_state": [0, 1], "sparsity": [0.5]})
    # To the state to return to, and from there, are trainings of their own.
    assert stacked(caplog) == [4] * ({1: 4, 2: 1}.get(rewind_epoch, 3))


def test_dense_and_sparse_phases_are_stacked(caplog):
    pruner = ACDCPruner(CIRCLE.make_net(max_epochs=2), n_rounds=3, round_epochs=1)
    check_same(pruner, {"random_state": [0, 1], "sparsity": [0.5]})
    assert stacked(caplog) == [4] * 4


def test_what_rounds_leave_is_the_same(caplog):
    pruner = IterativeMagnitudePruner(
        CIRCLE.make_net(max_epochs=2),
        sparsity=0.5,
        n_rounds=2,
        rewind_epoch=1,
        store_rounds=True,
        random_state=0,
    )
    seen = []

    def remember(estimator, X, y):
        seen.append(estimator)
        return 0.0

    for search in (BatchedGridSearchCV, GridSearchCV):
        search(pruner, {"scope": ["global"]}, cv=3, scoring=remember, refit=False).fit(
            CIRCLE.X, CIRCLE.y
        )
    for batched, ordinary in zip(seen[:3], seen[3:], strict=True):
        for own, expected in zip(batched.rounds_, ordinary.rounds_, strict=True):
            assert own.keys() == expected.keys()
            assert own["mask"] == expected["mask"]
            assert_allclose(own["train_loss"], expected["train_loss"], rtol=1e-5)
            for row, expected_row in zip(own["history"], expected["history"], strict=True):
                assert row.keys() == expected_row.keys()
                assert row["epoch"] == expected_row["epoch"]
                assert_allclose(row["train_loss"], expected_row["train_loss"], rtol=1e-5)
            for name, value in expected["state"].items():
                assert_allclose(own["state"][name], value, rtol=1e-4, atol=1e-7)
        states = [fitted.estimator_.optimizer_.state_dict() for fitted in (batched, ordinary)]
        assert states[0]["param_groups"] == states[1]["param_groups"]
        names = [name for name, _ in ordinary.estimator_.module_.named_parameters()]
        for index, expected in states[1]["state"].items():
            # What the optimizer remembers of pruned weights has no effect.
            kept = ordinary.mask_.get(names[index], torch.tensor(True))
            for name, value in expected.items():
                own = states[0]["state"][index][name]
                assert_allclose(own * kept, value * kept, rtol=1e-3, atol=1e-7)


def test_the_time_of_a_fit_is_that_of_all_its_parts(monkeypatch):
    monkeypatch.setattr(_fit, "time", SimpleNamespace(perf_counter=count().__next__))
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), sparsity=0.5, random_state=0)
    fit = _fit.Course(_fit.trainings_of(pruner, CIRCLE.X, CIRCLE.y))
    for n_trainings in range(2):
        assert fit.seconds == 1 + n_trainings
        fit.train()
    assert fit.training is None
    assert fit.seconds == 3


@pytest.mark.parametrize("split", [ValidSplit(3), ValidSplit(0.3, random_state=1), None])
def test_callbacks_that_read_epochs_see_what_they_would_see(split, caplog, capsys, monkeypatch):
    n_updates = []
    monkeypatch.setattr(ProgressBar, "on_batch_end", lambda *args, **kwargs: n_updates.append(1))
    scoring = EpochScoring("neg_log_loss", lower_is_better=False, name="nll")
    on_train = EpochScoring("neg_log_loss", on_train=True, name="train_nll")
    net = CIRCLE.make_net(
        max_epochs=3, train_split=split, verbose=1, callbacks=[scoring, on_train, ProgressBar()]
    )
    pruner = SNIPPruner(net, random_state=0)
    tasks = [Task(pruner, {"sparsity": s}, CIRCLE.X, CIRCLE.y) for s in (0.1, 0.2, 0.3)]
    outcomes = [*fit_in_batches(tasks, 2**30, Log())]
    assert stacked(caplog) == [3]
    printed, n_stacked = capsys.readouterr().out, len(n_updates)
    for task, outcome in zip(tasks, outcomes, strict=True):
        history = outcome.estimator.estimator_.history
        alone = clone(pruner).set_params(**task.parameters).fit(CIRCLE.X, CIRCLE.y)
        expected = alone.estimator_.history
        assert [row.keys() for row in history] == [row.keys() for row in expected]
        names = ["train_loss", "train_loss_best", "train_nll", "train_nll_best"]
        names += ["valid_loss", "valid_acc", "nll", "nll_best"] * bool(split)
        assert_allclose(history[:, names], expected[:, names], rtol=1e-5)
        batches, others = ([row for b in h[:, "batches"] for row in b] for h in (history, expected))
        assert [row.keys() for row in batches] == [row.keys() for row in others]
        assert_allclose(
            *([value for row in rows for value in row.values()] for rows in (batches, others)),
            rtol=1e-5,
        )
    assert len(n_updates) == 2 * n_stacked > 0
    assert printed.count("train_loss") == capsys.readouterr().out.count("train_loss") == 3


def test_weights_of_rows_and_scores_of_epochs_are_not_stacked():
    net = CIRCLE.make_net(max_epochs=1, train_split=ValidSplit(3))
    pruner = MagnitudePruner(net, random_state=0)
    with pytest.warns(UserWarning, match="epochs are scored, and rows have weights"):
        check_same(
            pruner,
            {"sparsity": [0.1, 0.2]},
            scoring=weigh,
            fit_params={"sample_weight": 1 + CIRCLE.X[:, 0] ** 2},
        )


class OwnFit(MagnitudePruner):
    """Starts from data of its own."""

    def fit(self, X, y=None):
        return super().fit(2 * X, y)


def test_pruners_with_a_fit_of_their_own_keep_it(caplog):
    pruner = OwnFit(CIRCLE.make_net(max_epochs=1), sparsity=0.2, random_state=0)
    check_same(pruner, {"sparsity": [0.2, 0.3]})
    assert stacked(caplog) == []
