"""The displays of masks and sparsity curves: what is drawn, not how it looks."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.inspection import LayerDensityDisplay, SparsityCurveDisplay, TicketMaskDisplay
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner, RandomPruner, SynFlowPruner

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator("circle", width=25, random_state=0).generate(60)


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def line_of(ax, label):
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return line


def hollow_points(ax):
    """Where points with a white face are."""
    hollow = [line for line in ax.get_lines() if line.get_markerfacecolor() == "white"]
    return np.concatenate([line.get_xydata() for line in hollow]).tolist()


def twenty_colors_and_markers(ax):
    handles = ax.get_legend().legend_handles
    return {(to_hex(line.get_color()), line.get_marker()) for line in handles[:20]}


# Sparsity curves ------------------------------------------------------------------------

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


def test_curves_go_through_medians_and_bands_span_all():
    ax = SparsityCurveDisplay(TABLE, score_name="accuracy").plot().ax_
    assert_allclose(line_of(ax, "a").get_xydata(), [(0.1, 0.6), (0.5, 0.8)])
    assert_allclose(line_of(ax, "b").get_xydata(), [(0.5, 0.7)])
    band = ax.collections[0].get_paths()[0].vertices
    assert_allclose(sorted({*band[band[:, 0] == 0.1, 1]}), [0.5, 0.9])
    assert ax.get_xscale() == "log"
    assert ax.get_ylabel() == "accuracy"


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
        *(planted.X, planted.y),
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


# Masks against the ticket ---------------------------------------------------------------

# Every pair of truth and finding: the colors are neither, superfluous, missed, found.
TRUE = TicketMask({"0.weight": [[0, 0], [1, 1]], "2.weight": [[0, 1]]})
FOUND = TicketMask({"0.weight": [[0, 1], [0, 1]], "2.weight": [[0, 1]]})
NEITHER, SUPERFLUOUS, MISSED, HIT = "#eeeeee", "#56b4e9", "#d55e00", "#1b1b1b"


def colors_of(image, n_rows, n_columns):
    """The color in the middle of each cell."""
    rows, columns = image.get_array().shape
    at = np.ix_(
        [(2 * i + 1) * rows // (2 * n_rows) for i in range(n_rows)],
        [(2 * j + 1) * columns // (2 * n_columns) for j in range(n_columns)],
    )
    return [[to_hex(cell) for cell in row] for row in image.cmap(image.norm(image.get_array()))[at]]


def test_layers_show_what_each_entry_is():
    display = TicketMaskDisplay.from_masks(TRUE, FOUND)
    first, second = display.ax_.images
    assert colors_of(first, 2, 2) == [[NEITHER, SUPERFLUOUS], [MISSED, HIT]]
    assert colors_of(second, 1, 2) == [[NEITHER, HIT]]
    assert [text.get_text() for text in display.ax_.texts] == ["0 (2 x 2)", "2 (1 x 2)"]
    counts = ["kept by neither (2)", "superfluous (1)", "missed (1)", "found (2)"]
    assert legend_of(display.ax_) == counts
    patches = display.ax_.get_legend().legend_handles
    assert [to_hex(patch.get_facecolor()) for patch in patches] == [
        *(NEITHER, SUPERFLUOUS, MISSED, HIT)
    ]


def test_layers_have_a_row_for_each_filter():
    kept = np.zeros((2, 3, 2, 2), dtype=bool)
    kept[1, 2, 1, 1] = True  # the last entry of the last filter
    (image,) = TicketMaskDisplay.from_masks(None, TicketMask({"weight": kept})).ax_.images
    colors = np.full((2, 12), NEITHER)
    colors[1, 11] = HIT
    assert_array_equal(colors_of(image, 2, 12), colors)


def test_network_has_an_edge_for_each_kept_weight():
    ax = TicketMaskDisplay.from_masks(TRUE, FOUND, kind="network").ax_
    superfluous, missed, found, *units = ax.collections
    high, middle, low = 0.75, 0.5, 0.25
    assert_allclose(superfluous.get_segments(), [[(0, low), (1, high)]])
    assert_allclose(missed.get_segments(), [[(0, high), (1, low)]])
    assert_allclose(found.get_segments(), [[(0, low), (1, low)], [(1, low), (2, middle)]])
    for edges, color in zip(ax.collections, (SUPERFLUOUS, MISSED, HIT), strict=False):
        assert_allclose(edges.get_edgecolors(), [to_rgba(color)])
    styles = {str(edges.get_linestyle()) for edges in (superfluous, missed, found)}
    assert len(styles) == 3
    assert [len(column.get_offsets()) for column in units] == [2, 2, 1]
    assert legend_of(ax) == ["superfluous (1)", "missed (1)", "found (2)"]
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["inputs\n(2)", "0\n(2)", "2\n(1)"]


def test_network_has_tiny_dots_for_units_without_edges():
    mask = TicketMask({"0.weight": [[0, 0], [1, 0]], "2.weight": [[0, 1]]})
    _, inputs, hidden, _ = TicketMaskDisplay.from_masks(None, mask, kind="network").ax_.collections
    assert inputs.get_sizes().tolist() == [16, 16]
    assert hidden.get_sizes().tolist() == [1.6, 16]


@pytest.mark.parametrize(
    ("kind", "labels"), [("layers", ["pruned (3)", "kept (3)"]), ("network", ["kept (3)"])]
)
def test_masks_without_a_truth(kind, labels):
    ax = TicketMaskDisplay.from_masks(None, FOUND, kind=kind).ax_
    assert legend_of(ax) == labels


def test_the_truth_is_the_planted_ticket_unless_another_is_given(planted):
    pruner = RandomPruner(planted.make_net(max_epochs=1), prune_bias=True, random_state=0)
    pruner.fit(planted.X, planted.y)
    axes = Figure().subplots()
    display = TicketMaskDisplay.from_estimator(pruner, ax=axes)
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert display.mask_true == planted.mask
    assert display.mask_pred == pruner.mask_
    other = TicketMaskDisplay.from_estimator(pruner, pruner.mask_, kind="network").ax_
    n_found = sum(int(kept.sum()) for kept in pruner.mask_.values() if kept.ndim > 1)
    assert legend_of(other) == ["superfluous (0)", "missed (0)", f"found ({n_found})"]


@pytest.mark.parametrize("kind", ["layers", "network"])
def test_collapsed_networks_can_be_drawn(planted, kind):
    nothing = planted.mask & ~planted.mask
    ax = TicketMaskDisplay.from_masks(planted.mask, nothing, kind=kind).ax_
    assert legend_of(ax)[-1] == "found (0)"
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"conv.weight": (2, 3, 3, 3)}, r"'conv' has a weight of shape \(2, 3, 3, 3\); use kind="),
        ({"0.weight": (4, 2), "1.weight": (1, 5)}, "'1' has 5 inputs and '0' before it 4 units"),
        ({"0.weight": (50, 61)}, r"at most 3,000 edges, but the masks keep 3,050 weights; use"),
    ],
)
def test_network_refuses_what_it_cannot_draw(shapes, message):
    mask = TicketMask({name: np.ones(shape, dtype=bool) for name, shape in shapes.items()})
    with pytest.raises(ValueError, match=message):
        TicketMaskDisplay.from_masks(mask, mask, kind="network")
    assert not plt.get_fignums()


def test_masks_must_fit_and_kinds_be_known(planted):
    with pytest.raises(ValueError, match="kind must be 'layers' or 'network'; got 'net'"):
        TicketMaskDisplay.from_masks(TRUE, FOUND, kind="net")
    with pytest.raises(ValueError, match="no parameter in common"):
        TicketMaskDisplay.from_masks(planted.mask, FOUND)
    biases = TicketMask({"0.bias": [True]})
    with pytest.raises(ValueError, match="no weight in common"):
        TicketMaskDisplay.from_masks(biases, biases)
    with pytest.raises(TypeError, match="mask_pred must be a TicketMask"):
        TicketMaskDisplay.from_masks(TRUE, [[1, 0]])
    with pytest.raises(NotFittedError):
        TicketMaskDisplay.from_estimator(RandomPruner(planted.make_net()))


# Densities of layers --------------------------------------------------------------------


def test_densities_by_hand():
    mask = TicketMask({"0.weight": [[1, 1], [1, 0]], "0.bias": [1, 1], "2.weight": [[1, 0]]})
    table = LayerDensityDisplay.from_masks({"m": mask}).table
    assert table["layer"].tolist() == ["0", "2", "all layers"]
    assert table["n_kept"].tolist() == [5, 1, 6]
    assert table["n_parameters"].tolist() == [6, 2, 8]
    assert_allclose(table["density"], [5 / 6, 1 / 2, 6 / 8])


def test_densities_are_drawn_layer_by_layer_with_empty_ones_at_the_edge():
    display = LayerDensityDisplay.from_masks(
        {"a": TRUE, "b": TicketMask({"0.weight": [[1, 0], [1, 1]], "2.weight": [[0, 0]]})},
        ticket=FOUND,
    )
    ax = display.ax_
    # Two masks stand 0.175 to either side of the middle.
    assert_allclose(line_of(ax, "a").get_xydata(), [(0.5, -0.175), (0.5, 0.825)])
    edge = 0.5 / 3
    assert_allclose(line_of(ax, "b").get_xydata(), [(0.75, 0.175), (edge, 1.175)])
    assert_allclose(hollow_points(ax), [(edge, 1.175)])
    assert ax.get_xlim()[0] < edge
    alone = [line.get_xydata().tolist() for line in ax.get_lines() if len(line.get_xydata()) == 1]
    assert_allclose(alone, [[(0.5, 1.825)], [(0.5, 2.175)], [(edge, 1.175)]])
    assert_allclose(ax.collections[0].get_offsets(), [(0.5, 0), (0.5, 1), (0.5, 2)])
    assert legend_of(ax) == ["a", "b", "planted ticket", "nothing left (hollow)"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["0", "2", "all layers"]
    assert ax.get_xscale() == "log"
    assert ax.yaxis_inverted()


def test_twenty_masks_look_different_and_lie_in_their_layers(planted):
    masks = {f"mask {i}": planted.mask.shuffled(i) for i in range(20)}
    ax = LayerDensityDisplay.from_masks(masks).ax_
    assert len(twenty_colors_and_markers(ax)) == 20
    places = np.array([line_of(ax, name).get_ydata() for name in masks])
    assert (abs(places - np.arange(4)) < 0.5).all()
    assert (np.diff(places, axis=0) > 0).all()


def test_a_mask_of_nothing_has_densities(planted):
    ax = LayerDensityDisplay.from_masks({"nothing": planted.mask & ~planted.mask}).ax_
    assert [x for x, _ in hollow_points(ax)] == [0.1] * 5


def test_densities_of_fitted_pruners(planted):
    net = planted.make_net(max_epochs=1)
    pruner = RandomPruner(net, prune_bias=True, random_state=0).fit(planted.X, planted.y)
    axes = Figure().subplots()
    display = LayerDensityDisplay.from_estimator(pruner, ax=axes)
    assert display.ax_ is axes
    pooled = display.table[display.table["layer"] == "all layers"].set_index("mask")["density"]
    assert pooled["RandomPruner"] == pruner.mask_.density
    assert pooled["planted ticket"] == planted.mask.density
    given = LayerDensityDisplay.from_estimator({"a": pruner}, ticket=pruner.mask_)
    assert set(given.table["mask"]) == {"a", "planted ticket"}
    found, truth = given.table["density"].to_numpy().reshape(2, -1)
    assert_array_equal(found, truth)


def test_densities_need_fitted_pruners_and_masks(planted):
    with pytest.raises(NotFittedError):
        LayerDensityDisplay.from_estimator(RandomPruner(planted.make_net()))
    with pytest.raises(ValueError, match="masks is empty"):
        LayerDensityDisplay.from_masks({})
    with pytest.raises(TypeError, match=r"masks\['a'\] must be a TicketMask; got 3"):
        LayerDensityDisplay.from_masks({"a": 3})
