"""`SearchBackend`: where a search fits and scores, and what its jobs leave to others."""

import logging
import os

import numpy as np
import pytest
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline, make_union

from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner, RandomPruner
from tests.searches import CIRCLE, GRID, check_same, make_net, stacked, weigh

PRUNER = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)


def tell_process(estimator, X, y):
    """A score by which one sees where it was computed; no fitted pruner gets out of there."""
    estimator.secret = lambda: None
    return float(os.getpid())


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1, 20])
def test_fits_are_scored_where_they_are_fitted(n_jobs):
    search = BatchedGridSearchCV(PRUNER, GRID, cv=2, scoring=tell_process, n_jobs=n_jobs)
    results = search.set_params(refit=False).fit(CIRCLE.X, CIRCLE.y).cv_results_
    processes = {*results["split0_test_score"], *results["split1_test_score"]}
    assert (processes == {os.getpid()}) == (n_jobs in (None, 1) or os.cpu_count() == 1)
    assert results["mean_fit_time"].min() > 0


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing", "sequential"])
def test_jobs_are_those_of_the_backend_around(backend):
    with parallel_config(backend):
        check_same(PRUNER, GRID, n_jobs=2, return_train_score=True, pre_dispatch=1)


def jobs_within(estimator, X, y):
    """A score that runs jobs of its own, and tells how many there would be by default."""
    jobs = Parallel(n_jobs=2, return_as="generator")
    return effective_n_jobs(None) * sum(jobs(delayed(weigh)(estimator, X, y) for _ in range(2)))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_scores_may_run_jobs_of_their_own(n_jobs):
    scores = [
        search(PRUNER, GRID, cv=2, scoring=jobs_within, n_jobs=n_jobs, refit=False)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)


def test_progress_is_printed_as_usual(capsys):
    printed = []
    for search in (BatchedGridSearchCV, GridSearchCV):
        search(PRUNER, GRID, cv=2, verbose=3, refit=False).fit(CIRCLE.X, CIRCLE.y)
        lines = capsys.readouterr().out.splitlines()
        printed.append([line.partition(" total time")[0].replace(".", "") for line in lines])
    assert printed[0] == printed[1]
    assert len(printed[0]) == 9


class Twice(BaseSearchCV):
    """Evaluates candidates two times."""

    def _run_search(self, evaluate):
        for sparsity in (0.2, 0.5):
            evaluate([{"sparsity": sparsity}, {"sparsity": sparsity, "prune_bias": True}])


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_searches_may_evaluate_several_times(n_jobs, caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")
    scores = [
        type("Search", (Twice, search), {})(PRUNER, {}, cv=3, scoring=weigh, n_jobs=n_jobs)
        .set_params(refit=False)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*scores, rtol=1e-5)
    assert len(scores[0]) == 4
    assert sum(stacked(caplog)) == 12


def test_what_comes_before_a_pruner_may_fit_pruners_in_threads():
    def make(cls):
        return cls(make_net(MLP, max_epochs=1), sparsity=0.3, random_state=0)

    union = make_union(make(RandomPruner), make(MagnitudePruner), n_jobs=2)
    pipeline = Pipeline([("hidden", union), ("pruner", make(MagnitudePruner))])
    with parallel_config("threading"):
        check_same(pipeline, {"pruner__sparsity": [0.2, 0.4]}, n_jobs=None)
