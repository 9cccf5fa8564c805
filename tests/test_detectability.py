"""What simple detectors see of a planted ticket."""

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets.datasets import PlantedModule, PlantedTicketGenerator
from sklearn_tickets.inspection import DetectabilityDisplay, detectability
from sklearn_tickets.masks import TicketMask

matplotlib.use("agg")


@pytest.fixture
def by_hand():
    """Two hidden units of which the first is planted, with the larger weights."""
    host = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))
    with torch.no_grad():
        host[0].weight[:] = torch.tensor([[3.0, 0.1], [-2.0, 1.0]])
        host[0].bias[:] = torch.tensor([0.0, 5.0])
        host[2].weight[:] = torch.tensor([[0.5, 0.2]])
    kept = {
        "0.weight": [[True, False], [False, False]],
        "0.bias": [False, False],
        "2.weight": [[True, False]],
        "2.bias": [False],
    }
    return PlantedModule(host, TicketMask(kept), [1.0])


def test_areas_by_hand(by_hand):
    table = detectability(by_hand).set_index(["detector", "layer"])
    area = table["auc"]
    # Planted are 3 and 0.5, beside them 2, 1, 0.2 and 0.1.
    assert area["|weight|", "all layers"] == pytest.approx((4 + 2) / 8)
    assert area["|weight|", "0"] == area["|weight|", "2"] == 1
    assert area["row norm", "0"] == area["row norm / sqrt(fan-in)", "0"] == 1
    assert area["|bias|", "0"] == 0
    assert table.loc[("|weight|", "all layers"), ["n_planted", "n"]].tolist() == [2, 6]
    # The variance of the area by chance, n_a n_b (n_a + n_b + 1) / 12 over (n_a n_b)^2.
    deviation = table.loc[("|weight|", "all layers"), "chance_deviation"]
    assert deviation == pytest.approx(np.sqrt(2 * 4 * 7 / 12) / 8)


@pytest.mark.parametrize("task", ["circle", "helix"])
def test_hidden_tickets_are_hidden_and_trainable_ones_are_not(task):
    def pooled(scaling, seed):
        generator = PlantedTicketGenerator(task, scaling=scaling, random_state=seed)
        table = detectability(generator.generate(10))
        rows = table[(table["detector"] == "|weight|") & (table["layer"] == "all layers")]
        return rows["auc"].item()

    assert np.median([pooled("hidden", seed) for seed in range(5)]) < 0.6
    assert np.median([pooled("trainable", seed) for seed in range(5)]) > 0.9


def test_display_shows_every_row(by_hand):
    display = DetectabilityDisplay.from_planted(by_hand)
    (points,) = display.ax_.collections
    assert len(points.get_offsets()) == len(display.table)
    _, ax = matplotlib.pyplot.subplots()
    assert display.plot(ax).ax_ is ax
    matplotlib.pyplot.close("all")


def test_only_planted_problems_have_something_to_detect():
    with pytest.raises(TypeError, match=r"planted must be the return value of .* got Linear"):
        detectability(nn.Linear(2, 2))
