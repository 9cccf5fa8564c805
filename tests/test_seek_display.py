"""The seek table as a plot."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from sklearn_tickets.benchmark import SeekDisplay, seek
from tests.test_seek import CLASSIC, GENERATOR, TINY

matplotlib.use("agg")


@pytest.fixture(scope="module")
def table():
    """All classic pruners, on one small problem."""
    return seek(GENERATOR, pruners=CLASSIC, densities=[0.3, "ticket"], **TINY)


def test_display_marks_collapsed_points_and_shares_the_axis_of_the_user(table):
    axes = matplotlib.figure.Figure().subplots()
    display = SeekDisplay(table)
    assert display.plot(ax=axes) is display
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    points = [face for line in axes.collections for face in line.get_facecolors()]
    hollow = sum(np.array_equal(face, to_rgba("white")) for face in points)
    # One more is the star of the untrained ticket.
    assert hollow == table.loc[table["mode"] != "given", "collapsed"].sum() + 1
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels[:5] == list(CLASSIC)
    assert "planted ticket, untrained" in labels


def test_display_shows_medians_over_seeds_and_needs_no_reference(table):
    rows = table[table["pruner"] == "random"]
    brighter = rows.assign(seed=4, weak=rows["weak"] + 2)
    axes = SeekDisplay(pd.concat([rows, brighter])).plot().ax_
    single = rows[rows["mode"] == "single"].sort_values("density")
    assert any(np.allclose(line.get_ydata(), single["weak"] + 1) for line in axes.get_lines())


def test_display_refuses_to_mix_problems(table):
    with pytest.raises(ValueError, match="2 combinations of task, depth and width"):
        SeekDisplay(pd.concat([table, table.assign(width=13)])).plot()
