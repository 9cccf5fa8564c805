"""Masks and the ticket: what is drawn as images and as networks."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.inspection import TicketMaskDisplay
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.pruners import RandomPruner
from tests.axes import legend_of

matplotlib.use("agg")

# Every pair of truth and finding: the colors are neither, superfluous, missed, found.
TRUE = TicketMask({"0.weight": [[0, 0], [1, 1]], "2.weight": [[0, 1]]})
FOUND = TicketMask({"0.weight": [[0, 1], [0, 1]], "2.weight": [[0, 1]]})
NEITHER, SUPERFLUOUS, MISSED, HIT = "#eeeeee", "#56b4e9", "#d55e00", "#1b1b1b"


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator("circle", width=25, random_state=0).generate(60)


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
    colors = [to_hex(patch.get_facecolor()) for patch in patches]
    assert colors == [NEITHER, SUPERFLUOUS, MISSED, HIT]


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
