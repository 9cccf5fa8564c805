"""Sparsity curves: what is drawn, from fits and from searches."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.inspection import SparsityCurveDisplay
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import sparse_neg_mean_squared_error
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, RandomPruner, SynFlowPruner
from tests.axes import hollow_points, legend_of, line_of, twenty_colors_and_markers

matplotlib.use("agg")

TABLE = pd.DataFrame(
    [
        ("a", 0.1, 0.5, True),
        ("a", 0.1, 0.6, True),
        ("a", 0.1, 0.9, False),
        ("a", 0.5, 0.8, False),
        ("b", 0.5, 0.7, False),
    ],
    columns=["pruner", "density", "score", "collapsed"],
)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator("circle", width=25, random_state=0).generate(60)


def test_curves_go_through_medians_and_bands_span_all():
    ax = SparsityCurveDisplay(TABLE, score_name="accuracy").plot().ax_
    assert_allclose(line_of(ax, "a").get_xydata(), [(0.1, 0.6), (0.5, 0.8)])
    assert_allclose(line_of(ax, "b").get_xydata(), [(0.5, 0.7)])
    band = ax.collections[0].get_paths()[0].vertices
    assert_allclose(sorted({*band[band[:, 0] == 0.1, 1]}), [0.5, 0.9])
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "accuracy"


def test_curves_of_means_have_bands_of_a_standard_deviation():
    ax = SparsityCurveDisplay(TABLE, average="mean").plot().ax_
    mean, deviation = 2 / 3, (0.26 / 9) ** 0.5
    assert_allclose(line_of(ax, "a").get_xydata(), [(0.1, mean), (0.5, 0.8)])
    band = ax.collections[0].get_paths()[0].vertices
    expected = [mean - deviation, mean + deviation]
    assert_allclose(sorted({*band[band[:, 0] == 0.1, 1]}), expected)
    with pytest.raises(ValueError, match="average must be 'median' or 'mean'; got 'mode'"):
        SparsityCurveDisplay(TABLE, average="mode").plot()


def test_curves_have_hollow_points_where_most_networks_collapsed():
    ax = SparsityCurveDisplay(TABLE).plot().ax_
    assert hollow_points(ax) == [[0.1, 0.6]]
    assert legend_of(ax) == ["a", "b", "collapsed"]
    unknown = SparsityCurveDisplay(TABLE.drop(columns="collapsed")).plot().ax_
    assert hollow_points(unknown) == []
    assert legend_of(unknown) == ["a", "b"]


def test_curves_mark_the_ticket():
    ax = SparsityCurveDisplay(TABLE, ticket=(0.02, 0.99)).plot().ax_
    assert ax.collections[-1].get_offsets().tolist() == [[0.02, 0.99]]
    assert legend_of(ax)[-1] == "planted ticket"


def test_twenty_curves_look_different():
    tables = [TABLE[TABLE["pruner"] == "b"].assign(pruner=i) for i in range(20)]
    ax = SparsityCurveDisplay(pd.concat(tables)).plot().ax_
    assert legend_of(ax) == [str(i) for i in range(20)]
    assert len(twenty_colors_and_markers(ax)) == 20


def test_curves_refuse_tables_they_cannot_draw():
    with pytest.raises(ValueError, match=r"it lacks \['density', 'score'\]"):
        SparsityCurveDisplay(TABLE[["pruner"]]).plot()
    with pytest.raises(ValueError, match=r"density 0\.0; it must be in \(0, 1\]"):
        SparsityCurveDisplay(TABLE.assign(density=0.0)).plot()
    assert not plt.get_fignums()


def test_curves_fit_every_pruner_at_every_sparsity_and_seed(planted):
    net = planted.make_net(max_epochs=1)
    pruners = {
        "random": RandomPruner(net, prune_bias=True),
        "SynFlow": SynFlowPruner(net, n_rounds=2),
    }
    data = {"sparsities": [0.5, 0.999], "X_test": planted.X[:30], "y_test": planted.y[:30]}
    display = SparsityCurveDisplay.from_estimator(
        pruners, planted.X, planted.y, random_states=[3, 4], **data
    )
    table = display.table
    assert table["pruner"].tolist() == ["random"] * 4 + ["SynFlow"] * 4
    assert table["random_state"].tolist() == [3, 4] * 4
    assert_allclose(table["density"], [0.5, 0.5, 0.001, 0.001] * 2, rtol=0.5)
    assert table["collapsed"].tolist()[:4] == [False, False, True, True]
    assert display.score_name == "accuracy"
    assert not hasattr(pruners["random"], "mask_")

    by_hand = RandomPruner(net, prune_bias=True, sparsity=0.5, random_state=4)
    by_hand.fit(planted.X, planted.y)
    assert table["density"][1] == by_hand.mask_.density
    assert table["score"][1] == by_hand.score(data["X_test"], data["y_test"])


def test_curves_of_one_pruner_with_a_scorer(planted):
    def half(estimator, X, y):
        return 0.5

    display = SparsityCurveDisplay.from_estimator(
        RandomPruner(planted.make_net(max_epochs=1)),
        planted.X,
        planted.y,
        sparsities=[0.5],
        X_test=planted.X,
        y_test=planted.y,
        scoring=half,
    )
    assert display.table["score"].tolist() == [0.5]
    assert legend_of(display.ax_) == ["RandomPruner"]
    assert display.ax_.get_ylabel() == "half"


def test_curves_need_a_sparsity_to_vary(planted):
    data = {"X_test": planted.X, "y_test": planted.y}
    net = planted.make_net(max_epochs=1)
    with pytest.raises(ValueError, match=r"must not be empty; got 1 pruners, sparsities=\[\]"):
        SparsityCurveDisplay.from_estimator(
            RandomPruner(net), planted.X, planted.y, sparsities=[], **data
        )
    with pytest.raises(ValueError, match="Invalid parameter 'sparsity'"):
        SparsityCurveDisplay.from_estimator(
            GivenMaskPruner(net), planted.X, planted.y, sparsities=[0.5], **data
        )


def test_curves_over_folds_are_those_of_a_search(planted):
    pruner = MagnitudePruner(planted.make_net(max_epochs=1), random_state=0)
    pipeline = make_pipeline(StandardScaler(), pruner)
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    sparsities = [0.5, 0.75]
    display = SparsityCurveDisplay.from_estimator(
        pipeline, planted.X, planted.y, sparsities=iter(sparsities), cv=cv
    )
    search = GridSearchCV(pipeline, {"magnitudepruner__sparsity": sparsities}, cv=cv, refit=False)
    expected = SparsityCurveDisplay.from_cv_results(
        search.fit(planted.X, planted.y).cv_results_, scoring="score"
    )
    assert_allclose(display.table[["density", "score"]], expected.table[["density", "score"]])
    assert display.table["fold"].tolist() == [0, 1, 2] * 2
    means = search.cv_results_["mean_test_score"]
    for each, name in [(display, "Pipeline"), (expected, "pruner")]:
        assert_allclose(line_of(each.ax_, name).get_ydata(), means[::-1])


def test_curves_of_scaled_targets_are_in_the_units_of_the_targets():
    planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(60)
    pruner = MagnitudePruner(planted.make_net(max_epochs=1))
    regressor = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), pruner), transformer=StandardScaler()
    )
    rows = [
        SparsityCurveDisplay.from_estimator(
            regressor, planted.X, factor * planted.y, sparsities=[0.5], scoring=scoring
        ).table["score"]
        for factor, scoring in [(1, "neg_mean_squared_error"), (10, sparse_neg_mean_squared_error)]
    ]
    assert len(rows[0]) == 5
    assert_allclose(100 * rows[0], rows[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["X_test"], r"got X_test\."),
        (["y_test"], r"got y_test\."),
        (["X_test", "y_test", "cv"], r"got X_test and y_test and cv\."),
    ],
)
def test_curves_are_of_test_data_or_folds(planted, given, message):
    data = {"X_test": planted.X, "y_test": planted.y, "cv": 3}
    with pytest.raises(ValueError, match=message):
        SparsityCurveDisplay.from_estimator(
            RandomPruner(planted.make_net()),
            planted.X,
            planted.y,
            sparsities=[0.5],
            **{name: data[name] for name in given},
        )


def test_curves_of_a_search_have_a_line_for_what_else_was_searched(planted):
    net = planted.make_net(max_epochs=1)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), RandomPruner(net, random_state=0)),
        {
            "randompruner": [RandomPruner(net, random_state=0), MagnitudePruner(net)],
            "randompruner__sparsity": [0.5, 0.75],
        },
        scoring=["accuracy", "neg_log_loss"],
        refit=False,
        cv=2,
    ).fit(planted.X, planted.y)
    axes = Figure().subplots()
    display = SparsityCurveDisplay.from_cv_results(
        search.cv_results_, scoring="accuracy", ticket=(0.03, 1.0), ax=axes
    )
    assert display.ax_ is axes
    names = ["randompruner=RandomPruner", "randompruner=MagnitudePruner"]
    assert legend_of(axes) == [*names, "planted ticket"]
    results = pd.DataFrame(search.cv_results_)
    expected = results.groupby("param_randompruner__sparsity")["mean_test_accuracy"]
    shown = display.table.groupby("density")["score"].mean()
    assert_allclose(shown.loc[[0.5, 0.25]], expected.mean().loc[[0.5, 0.75]])


def test_candidates_that_look_the_same_have_lines_of_their_own():
    first, second = TicketMask({"w": [True, False]}), TicketMask({"w": [False, True]})
    grid = {"initial_mask": [first, second], "exclude": [(), ("b",)], "sparsity": [0.5, 0.75]}
    candidates = list(ParameterGrid(grid))
    results = {"params": candidates, "split0_test_score": np.arange(8.0)}
    table = SparsityCurveDisplay.from_cv_results(results).table
    mask = "initial_mask=TicketMask(1 of 2 parameters)"
    lines = {name: rows["score"].tolist() for name, rows in table.groupby("pruner", sort=False)}
    assert lines == {
        f"exclude=(), {mask}": [0, 1],
        f"exclude=(), {mask} 2": [2, 3],
        f"exclude=('b',), {mask}": [4, 5],
        f"exclude=('b',), {mask} 2": [6, 7],
    }


@pytest.mark.parametrize(
    ("params", "scoring", "message"),
    [
        ({"sparsity": 0.5}, "f1", r"no scores named scoring='f1'; choose from score, other\."),
        ({"scope": "layer"}, "score", r"over one sparsity.*candidate 0 is {'scope': 'layer'}"),
        ({"sparsity": None}, "score", "candidate 0 is {'sparsity': None}"),
        ({"a__sparsity": 0.5, "b__sparsity": 0.5}, "score", "candidate 0 is"),
    ],
)
def test_curves_refuse_other_searches(params, scoring, message):
    results = {"params": [params], "split0_test_score": [1.0], "split0_test_other": [2.0]}
    with pytest.raises(ValueError, match=message):
        SparsityCurveDisplay.from_cv_results(results, scoring=scoring)


def test_curves_of_several_pruners_and_of_pipelines(planted):
    pruner = RandomPruner(planted.make_net(max_epochs=1))
    display = SparsityCurveDisplay.from_estimator(
        [pruner, pruner, make_pipeline(StandardScaler(), pruner)],
        planted.X,
        planted.y,
        sparsities=[0.5],
        X_test=planted.X,
        y_test=planted.y,
    )
    assert legend_of(display.ax_) == ["RandomPruner", "RandomPruner 2", "Pipeline"]
    assert display.table["density"].tolist() == [0.5] * 3
    data = {"sparsities": [0.5], "X_test": planted.X, "y_test": planted.y}
    with pytest.raises(TypeError, match="pruners must be a BaseEstimator, a list of them"):
        SparsityCurveDisplay.from_estimator(3, planted.X, planted.y, **data)
