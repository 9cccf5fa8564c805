"""Densities of layers: their table, and what is drawn."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.inspection import LayerDensityDisplay, TicketMaskDisplay
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import RandomPruner
from tests.axes import hollow_points, legend_of, line_of, twenty_colors_and_markers

matplotlib.use("agg")

TRUE = TicketMask({"0.weight": [[0, 0], [1, 1]], "2.weight": [[0, 1]]})
FOUND = TicketMask({"0.weight": [[0, 1], [0, 1]], "2.weight": [[0, 1]]})


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator("circle", width=25, random_state=0).generate(60)


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
    assert legend_of(ax) == ["a", "b", "planted ticket", "pruned entirely (hollow)"]
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
    with pytest.raises(TypeError, match=r"masks must be a TicketMask, .*; got 3 as 'a'"):
        LayerDensityDisplay.from_masks({"a": 3})


def test_masks_are_one_or_several_or_labeled():
    mask = TicketMask({"0.weight": [[1, 0]]})
    for masks, labels in [
        (mask, ["mask"]),
        ([mask, ~mask], ["mask", "mask 2"]),
        ({"a": mask, "b": ~mask}, ["a", "b"]),
    ]:
        table = LayerDensityDisplay.from_masks(masks).table
        assert table["mask"].unique().tolist() == labels


def test_masks_inside_pipelines_and_searches_are_found(planted):
    pruner = RandomPruner(planted.make_net(max_epochs=1), sparsity=0.5, random_state=0)
    pipeline = make_pipeline(StandardScaler(), pruner).fit(planted.X, planted.y)
    search = GridSearchCV(pipeline, {"randompruner__sparsity": [0.5]}, cv=2)
    search.fit(planted.X, planted.y)
    table = LayerDensityDisplay.from_estimator([pipeline, search]).table
    assert table["mask"].unique().tolist() == ["Pipeline", "GridSearchCV", "planted ticket"]
    shown = TicketMaskDisplay.from_estimator(search)
    assert shown.mask_pred == search.best_estimator_[-1].mask_
    with pytest.raises(TypeError, match="pruners must be a fitted pruner, a Pipeline"):
        LayerDensityDisplay.from_estimator(StandardScaler().fit(planted.X))
