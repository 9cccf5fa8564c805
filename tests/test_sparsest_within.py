"""`sparsest_within`: agrees with exact computations by hand, and works in every search."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import effective_sparsity, sparse_accuracy
from sklearn_tickets.model_selection import (
    BatchedGridSearchCV,
    BatchedRandomizedSearchCV,
    sparsest_within,
)
from sklearn_tickets.pruners import MagnitudePruner

KINDS = ("absolute", "relative", "standard-error")


# Computations by hand -----------------------------------------------------------------


def table(sparsities, means, *, name="sparsity", **more):
    """What a search over sparsity has in its cv_results_."""
    params = [{name: sparsity} for sparsity in sparsities]
    return {"params": params, "mean_test_score": np.array(means, dtype=float)} | more


@pytest.mark.parametrize(
    ("tolerance", "kind", "expected"),
    [
        (0, "absolute", 1),
        # 0.95 - 0.94 is a bit more than 0.01 in floating point.
        (0.01, "absolute", 2),
        (0.02, "absolute", 2),
        (0.2, "absolute", 3),
        (0.2, "relative", 2),
        (0.25, "relative", 3),
        (1, "standard-error", 2),
        (20, "standard-error", 3),
    ],
)
def test_the_sparsest_within_the_tolerance_is_selected(tolerance, kind, expected):
    results = table([0.1, 0.5, 0.9, 0.99], [0.9, 0.95, 0.94, 0.75], name="a__b__sparsity")
    # The standard error of the best is that of 0.94 and 0.96: 0.01.
    results["split0_test_score"] = np.array([0.9, 0.94, 0.0, 0.75])
    results["split1_test_score"] = np.array([0.9, 0.96, 1.88, 0.75])
    index = sparsest_within(tolerance, kind=kind)(results)
    assert index == expected
    assert isinstance(index, int)


@pytest.mark.parametrize(
    ("sparsities", "means", "expected"),
    [
        ([0.9, 0.9, 0.9], [0.5, 0.55, 0.55], 1),
        ([0.9, 0.99, 0.5], [0.5, np.nan, 0.55], 0),
        ([0.9, 0.99, 0.5], [-np.inf, np.nan, 0.1], 2),
        ([0.9, 0.5], [-0.3, -0.25], 0),
    ],
)
def test_ties_failures_and_negative_scores(sparsities, means, expected):
    assert sparsest_within(0.1)(table(sparsities, means)) == expected


def test_a_relative_tolerance_of_negative_scores():
    results = table([0.9, 0.5], [-1.2, -1.0])
    assert sparsest_within(0.19, kind="relative")(results) == 1
    assert sparsest_within(0.2, kind="relative")(results) == 0


def test_only_the_last_iteration_of_a_halving_search_counts():
    results = table([0.99, 0.5, 0.5, 0.9], [1.0, 0.9, 0.8, 0.7], iter=np.array([0, 0, 1, 1]))
    assert sparsest_within()(results) == 2
    assert sparsest_within(0.1)(results) == 3


def test_sparsity_can_be_any_column():
    results = table([0.5, 0.5], [0.9, 0.85], mean_test_effective=np.array([0.6, 0.7]))
    assert sparsest_within(0.1, sparsity="mean_test_effective")(results) == 1
    results["params"] = [{"a__sparsity": 0.5, "b__sparsity": 0.9}, {"a__sparsity": 0.6}]
    results["param_b__sparsity"] = np.ma.array([0.9, "?"], mask=[False, True], dtype=object)
    results["param_a__sparsity"] = np.ma.array([0.5, 0.6], dtype=object)
    assert sparsest_within(0.1, sparsity="param_a__sparsity")(results) == 1
    assert sparsest_within(0.1, sparsity="param_b__sparsity")(results) == 0


def select_exactly(scores, sparsities, iterations, tolerance, kind):
    """Compare fractions, and the squares of standard errors."""
    n_folds = len(scores[0])
    means = [None if None in row else sum(row) / n_folds for row in scores]
    last = [
        i for i, mean in enumerate(means) if mean is not None and iterations[i] == max(iterations)
    ]
    best = max(means[i] for i in last)
    first = min(i for i in last if means[i] == best)
    variance = sum((score - best) ** 2 for score in scores[first]) / (n_folds - 1)
    squares = {"absolute": 1, "relative": best**2, "standard-error": variance / n_folds}
    good = [i for i in last if (best - means[i]) ** 2 <= tolerance**2 * squares[kind]]
    sparsest = [i for i in good if sparsities[i] == max(sparsities[j] for j in good)]
    top = max(means[i] for i in sparsest)
    return min(i for i in sparsest if means[i] == top)


@pytest.mark.parametrize("seed", range(200))
def test_random_tables(seed):
    rng = np.random.RandomState(seed)
    n_candidates, n_folds = rng.randint(1, 12), rng.randint(2, 6)
    percent = rng.randint(60, 71, (n_candidates, n_folds)) * rng.choice([-1, 1])
    if rng.rand() < 0.5:
        # Equal folds, without a standard error.
        percent[:, :] = percent[:, :1]
    failed = rng.rand(n_candidates) < 0.2
    failed[rng.randint(n_candidates)] = False
    sparsities = rng.choice([0.1, 0.5, 0.9, 0.99], n_candidates)
    iterations = np.zeros(n_candidates, dtype=int)
    if rng.rand() < 0.3:
        iterations[~failed] = 1
    kind = rng.choice(KINDS)
    tolerance = Fraction(int(rng.randint(0, 6)), 100 if kind == "absolute" else 20)
    if kind == "standard-error":
        tolerance *= 20

    exact = [
        [None if fails else Fraction(int(value), 100) for value in row]
        for row, fails in zip(percent, failed, strict=True)
    ]
    expected = select_exactly(exact, sparsities.tolist(), iterations, tolerance, kind)
    folds = np.where(failed[:, None], np.nan, percent / 100)
    # As exact as possible: of equal candidates, the first must be selected.
    means = np.array([np.nan if None in row else float(sum(row) / n_folds) for row in exact])
    results = table(sparsities.tolist(), means, iter=iterations)
    results |= {f"split{k}_test_score": folds[:, k] for k in range(n_folds)}
    assert sparsest_within(float(tolerance), kind=kind)(results) == expected


# Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tolerance": -0.1}, r"tolerance must be a finite number of at least 0; got -0\.1"),
        ({"tolerance": np.nan}, "got nan"),
        ({"tolerance": np.inf}, "got inf"),
        ({"tolerance": "one-se"}, "got 'one-se'. .* pass tolerance=1 and kind='standard-error'"),
        ({"kind": "percent"}, "kind must be one of absolute, relative, .* got 'percent'"),
    ],
)
def test_parameters_are_checked_at_once(arguments, message):
    with pytest.raises(ValueError, match=message):
        sparsest_within(**arguments)


@pytest.mark.parametrize(
    ("rule", "change", "message"),
    [
        (sparsest_within(metric="f1"), {}, r"metric='f1'; choose from score, other\."),
        (sparsest_within(sparsity="x"), {}, "sparsity='x'; choose from mean_test_score, mean_test"),
        (sparsest_within(), {"mean_test_score": [np.nan]}, "No candidate has a finite mean score"),
        (
            sparsest_within(),
            {"params": [{"lr": 1}]},
            r"over one sparsity.*candidate 0 is {'lr': 1}",
        ),
        (sparsest_within(), {"params": [{"sparsity": None}]}, "over one sparsity"),
        (
            sparsest_within(),
            {"params": [{"a__sparsity": 1, "b__sparsity": 1}]},
            "over one sparsity",
        ),
        (sparsest_within(1, kind="standard-error"), {}, "at least two folds; got 1"),
    ],
)
def test_searches_must_have_what_is_compared(rule, change, message):
    results = table([0.5], [0.9], mean_test_other=np.ones(1), split0_test_score=np.ones(1))
    with pytest.raises(ValueError, match=message):
        rule(results | change)


# In searches --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator("circle", depth=3, width=20, random_state=0).generate(90)


def test_copies_and_representation():
    rule = sparsest_within(0.01, metric="accuracy")
    for copy in (pickle.loads(pickle.dumps(rule)), clone(rule, safe=False)):
        assert copy == rule
    search = GridSearchCV(MagnitudePruner(None), {}, refit=rule)
    assert clone(search).refit == rule
    expected = "sparsest_within(tolerance=0.01, kind='absolute', metric='accuracy', sparsity=None)"
    assert repr(rule) == expected


@pytest.mark.parametrize(
    "make_search",
    [
        GridSearchCV,
        BatchedGridSearchCV,
        lambda *args, **kwargs: RandomizedSearchCV(*args, n_iter=3, **kwargs),
        lambda *args, **kwargs: BatchedRandomizedSearchCV(*args, n_iter=3, **kwargs),
    ],
    ids=["grid", "batched grid", "randomized", "batched randomized"],
)
def test_searches_refit_the_selected_candidate(planted, make_search):
    pruner = MagnitudePruner(planted.make_net(max_epochs=2), random_state=0)
    grid = {"magnitudepruner__sparsity": [0.2, 0.6, 0.5]}
    search = make_search(
        make_pipeline(StandardScaler(), pruner),
        grid,
        scoring={"accuracy": sparse_accuracy, "effective": effective_sparsity},
        refit=sparsest_within(1, metric="accuracy"),
        cv=2,
    )
    search = clone(search).fit(planted.X, planted.y)
    # Any accuracy is within 1 of the best.
    assert search.best_params_ == {"magnitudepruner__sparsity": 0.6}
    assert search.best_estimator_[-1].mask_.sparsity == pytest.approx(0.6, abs=0.01)
    assert not hasattr(search, "best_score_")
    best = sparsest_within(metric="accuracy")(search.cv_results_)
    assert search.cv_results_["rank_test_accuracy"][best] == 1


def test_halving_searches_are_selected_from_by_hand():
    planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(90)
    search = HalvingGridSearchCV(
        MagnitudePruner(planted.make_net(max_epochs=1), random_state=0),
        {"sparsity": [0.2, 0.5, 0.6, 0.4]},
        cv=2,
        factor=2,
        refit=False,
        min_resources=20,
    ).fit(planted.X, planted.y)
    results = search.cv_results_
    last = results["iter"] == results["iter"].max()
    expected = max(each["sparsity"] for each in np.array(results["params"])[last])
    best = sparsest_within(1)(results)
    assert last[best]
    assert results["params"][best]["sparsity"] == expected
