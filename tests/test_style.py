"""The palette, frame and legend that displays share."""

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from sklearn_tickets.inspection import Display, add_legend, draw_ticket, styles, tidy
from tests.axes import legend_of

matplotlib.use("agg")


class Points(Display):
    def plot(self, ax=None):
        self._set_axes(ax, (3, 2)).scatter([0, 1], [1, 0], label="points")
        return self


def test_displays_make_axes_of_the_size_they_ask_for_or_take_those_given():
    display = Points().plot()
    assert display.ax_.figure is display.figure_
    assert display.figure_.get_size_inches().tolist() == [3, 2]
    plt.close("all")
    ax = Figure().subplots()
    assert display.plot(ax).ax_ is ax
    assert display.figure_ is ax.figure
    assert not plt.get_fignums()


def test_a_hundred_names_look_different():
    by_name = styles([*range(100), 0, 1])
    assert list(by_name) == list(range(100))
    assert len({(color, marker) for color, marker, _ in by_name.values()}) == 100


@pytest.mark.parametrize("place", ["right", "top"])
def test_legends_list_what_has_a_label_or_is_given(place):
    ax = Points().plot(Figure().subplots()).ax_
    star = draw_ticket(ax, 0, 1)
    add_legend(ax, place=place)
    assert legend_of(ax) == ["points", "planted ticket"]
    add_legend(ax, [star], place=place)
    assert legend_of(ax) == ["planted ticket"]


def test_tidy_axes_have_a_grid_and_two_spines():
    ax = Figure().subplots()
    tidy(ax, grid="x")
    assert [name for name, spine in ax.spines.items() if spine.get_visible()] == ["left", "bottom"]
    assert all(line.get_visible() for line in ax.get_xgridlines())
    assert not any(line.get_visible() for line in ax.get_ygridlines())
