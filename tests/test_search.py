"""Searches that stack their fits find what scikit-learn's searches find."""

import gc
import inspect
import logging
import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import uniform
from sklearn import config_context
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, RandomizedSearchCV, ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import InvalidParameterError

from sklearn_tickets.model_selection import BatchedGridSearchCV, BatchedRandomizedSearchCV
from sklearn_tickets.pruners import MagnitudePruner
from tests.searches import CIRCLE, GRID, check_same, stacked, weigh


@pytest.fixture(autouse=True)
def _logged(caplog):
    caplog.set_level(logging.DEBUG, logger="sklearn_tickets")


def test_scores_and_weights_are_those_of_grid_search(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=3), prune_bias=True, random_state=0)
    rows = np.arange(120)
    folds = [(rows[:60], rows[60:]), (rows[60:], rows[:60]), (rows[:61], rows[61:])]
    search = check_same(pruner, GRID, cv=folds, return_train_score=True)
    # Their last batches have 28 and 29 rows.
    assert stacked(caplog) == [12]
    assert search.cv_results_["mean_fit_time"].min() > 0


def test_pipelines_fit_their_transformers_per_fold(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), sparsity=0.3, random_state=0)
    pipeline = make_pipeline(StandardScaler(copy=False), pruner)
    grid = {"standardscaler": [StandardScaler(copy=False), "passthrough"]}
    check_same(pipeline, grid | {"magnitudepruner__prune_bias": [False, True]})
    assert stacked(caplog) == [8]


@pytest.mark.parametrize("is_routed", [False, True])
def test_weights_of_rows_reach_the_pruner_of_a_pipeline(is_routed, caplog):
    name = "sample_weight" if is_routed else "magnitudepruner__sample_weight"
    weights = 1 + 9 * (CIRCLE.y > 0)
    with config_context(enable_metadata_routing=is_routed):
        pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
        scaler = StandardScaler()
        if is_routed:
            pruner.set_fit_request(sample_weight=True)
            scaler.set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, pruner)
        grid = {f"magnitudepruner__{parameter}": values for parameter, values in GRID.items()}
        search = check_same(
            pipeline,
            grid,
            scoring=weigh,
            refit=True,
            fit_params={name: weights},
        )
    assert stacked(caplog) == [8]
    best = clone(pruner).set_params(**{k[17:]: v for k, v in search.best_params_.items()})
    best.fit(StandardScaler().fit_transform(CIRCLE.X), CIRCLE.y, sample_weight=weights)
    assert weigh(best, None, None) == weigh(search.best_estimator_, None, None)


def test_a_score_may_have_weights_too():
    weights = 1 + 9 * (CIRCLE.y > 0)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
    check_same(pruner, GRID, scoring="accuracy", fit_params={"sample_weight": weights})


def test_wrong_weights_are_the_error_of_the_fit():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    search = BatchedGridSearchCV(pruner, GRID, error_score="raise")
    with pytest.raises(ValueError, match="Negative values in data passed to `sample_weight`"):
        search.fit(CIRCLE.X, CIRCLE.y, sample_weight=-np.ones(120))


def test_random_splits_are_drawn_once():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    weights = [
        search(pruner, GRID, scoring=weigh, cv=cv, refit=False)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
        for cv in [ShuffleSplit(1, random_state=np.random.RandomState(0))]
    ]
    assert_allclose(*weights, rtol=1e-5)


def test_groups_reach_the_splitter(caplog):
    groups = np.arange(120) % 3
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    scores = [
        search(pruner, {"sparsity": [0.5]}, cv=GroupKFold(3), refit=False)
        .fit(CIRCLE.X, CIRCLE.y, groups=groups)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    assert_array_equal(*scores)
    assert stacked(caplog) == [3]


def test_randomized_search_draws_the_same_candidates(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    results = [
        search(pruner, {"sparsity": uniform(0, 0.8)}, n_iter=2, cv=2, random_state=0)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_
        for search in (BatchedRandomizedSearchCV, RandomizedSearchCV)
    ]
    assert results[0]["params"] == results[1]["params"]
    assert_array_equal(results[0]["mean_test_score"], results[1]["mean_test_score"])
    assert stacked(caplog) == [4]


def test_the_best_is_refitted_in_the_ordinary_way():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
    search = BatchedGridSearchCV(pruner, GRID, cv=2).fit(CIRCLE.X, CIRCLE.y)
    expected = GridSearchCV(pruner, GRID, cv=2).fit(CIRCLE.X, CIRCLE.y)
    assert search.estimator is pruner
    assert search.best_params_ == expected.best_params_
    assert search.best_score_ == expected.best_score_
    assert vars(search).keys() - {"max_batch_bytes"} == vars(expected).keys()
    assert vars(search.best_estimator_).keys() == vars(expected.best_estimator_).keys()
    again = pickle.loads(pickle.dumps(search))
    assert_array_equal(again.predict(CIRCLE.X), expected.predict(CIRCLE.X))
    assert_array_equal(search.fit(CIRCLE.X, CIRCLE.y).predict(CIRCLE.X), again.predict(CIRCLE.X))


def test_scorers_see_what_an_ordinary_fit_leaves():
    seen = []
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), random_state=0)
    for search in (BatchedGridSearchCV, GridSearchCV):

        def remember(estimator, X, y):
            seen.append(estimator)
            return 0.0

        search(pruner, {"sparsity": [0.2]}, cv=3, scoring=remember, refit=False).fit(
            CIRCLE.X, CIRCLE.y
        )
    for batched, ordinary in zip(seen[:3], seen[3:], strict=True):
        assert vars(batched).keys() == vars(ordinary).keys()
        assert batched.mask_ == ordinary.mask_
        assert_array_equal(batched.output_scale_, ordinary.output_scale_)
        histories = [fitted.estimator_.history for fitted in (batched, ordinary)]
        losses = [history[:, ("epoch", "train_loss", "train_batch_count")] for history in histories]
        assert_allclose(*losses, rtol=1e-5)
        assert histories[0][-1].keys() == histories[1][-1].keys()
        pickle.dumps(clone(batched))


def test_a_candidate_that_fails_gets_the_error_score(caplog):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=2), sparsity=0.5, random_state=0)
    grid = [{"estimator__lr": [1e-3]}, {"estimator__lr": [1e30]}, {"sparsity": [2.0]}]
    search = BatchedGridSearchCV(pruner, grid, cv=3, error_score=-1.0)
    stream = torch.get_rng_state()
    with pytest.warns(FitFailedWarning, match=r"(?s)6 fits failed.*training loss.*'sparsity'"):
        search.fit(CIRCLE.X, CIRCLE.y)
    assert_array_equal(search.cv_results_["mean_test_score"][1:], -1)
    assert search.best_index_ == 0
    with pytest.raises(ValueError, match=r"The training loss .* is nan after 2 epochs"):
        search.set_params(error_score="raise").fit(CIRCLE.X, CIRCLE.y)
    gc.collect()
    assert torch.equal(torch.get_rng_state(), stream)


@pytest.mark.parametrize(
    ("estimator", "grid", "reason"),
    [
        (LogisticRegression(), {"C": [1.0, 2.0]}, "the estimator is neither a pruner nor"),
        (
            MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0).set_callbacks(
                ScoringMonitor(scoring="accuracy")
            ),
            {"sparsity": [0.1, 0.2]},
            "there are callbacks of scikit-learn",
        ),
    ],
    ids=["no pruner", "callbacks"],
)
def test_scikit_learn_takes_over(estimator, grid, reason):
    with pytest.warns(UserWarning, match=f"BatchedGridSearchCV stacks no networks.*: {reason}"):
        batched = BatchedGridSearchCV(estimator, grid, cv=2).fit(CIRCLE.X, CIRCLE.y)
    expected = GridSearchCV(estimator, grid, cv=2).fit(CIRCLE.X, CIRCLE.y)
    name = "mean_test_score"
    assert_array_equal(batched.cv_results_[name], expected.cv_results_[name])


def test_global_random_streams_are_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)
    expected = torch.rand(2), np.random.uniform(size=2)
    torch.manual_seed(3)
    np.random.seed(3)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    BatchedGridSearchCV(pruner, GRID, cv=2, refit=False, n_jobs=2).fit(CIRCLE.X, CIRCLE.y)
    assert torch.equal(torch.rand(2), expected[0])
    assert_array_equal(np.random.uniform(size=2), expected[1])


def test_fits_that_an_error_leaves_unfinished_reset_no_random_streams():
    torch.manual_seed(3)
    expected = torch.rand(2), torch.rand(2)
    torch.manual_seed(3)
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    search = BatchedGridSearchCV(pruner, [{"sparsity": [0.5]}, {"density": [0.5]}], cv=2)
    with pytest.raises(ValueError, match="Invalid parameter 'density'") as raised:
        search.fit(CIRCLE.X, CIRCLE.y)
    assert torch.equal(torch.rand(2), expected[0])
    del raised
    gc.collect()
    assert torch.equal(torch.rand(2), expected[1])


def test_a_limit_of_memory_must_be_positive():
    search = BatchedGridSearchCV(MagnitudePruner(CIRCLE.make_net()), {}, max_batch_bytes=0)
    with pytest.raises(InvalidParameterError, match="'max_batch_bytes' parameter"):
        search.fit(CIRCLE.X, CIRCLE.y)


def test_an_unknown_parameter_is_an_error_and_leaves_the_search_as_it_was():
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1))
    search = BatchedGridSearchCV(pruner, {"density": [0.5]})
    with pytest.raises(ValueError, match="Invalid parameter 'density'"):
        search.fit(CIRCLE.X, CIRCLE.y)
    assert search.estimator is pruner
    assert "__sklearn_clone__" not in vars(pruner)


def test_parameters_are_those_of_scikit_learn():
    for batched, ordinary in [
        (BatchedGridSearchCV, GridSearchCV),
        (BatchedRandomizedSearchCV, RandomizedSearchCV),
    ]:
        names = [*inspect.signature(batched).parameters]
        assert names == [*inspect.signature(ordinary).parameters, "max_batch_bytes"]
        search = batched(MagnitudePruner(CIRCLE.make_net()), {"sparsity": [0.5]}, cv=4)
        assert clone(search).get_params()["cv"] == 4


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_search_turns_gradients_on(mode):
    pruner = MagnitudePruner(CIRCLE.make_net(max_epochs=1), random_state=0)
    search = BatchedGridSearchCV(pruner, {"sparsity": [0.2, 0.3]}, cv=2)
    expected = search.fit(CIRCLE.X, CIRCLE.y).cv_results_["mean_test_score"]
    with mode():
        found = search.fit(CIRCLE.X, CIRCLE.y).cv_results_["mean_test_score"]
    assert_array_equal(found, expected)
