"""Classes between boundaries of a function: targets, noise and tickets."""

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal

from sklearn_tickets.datasets.tasks import BoundaryTask, CircleTask, feed_forward
from tests.test_function import curve

RINGS = BoundaryTask((np.square, np.square), boundaries=(0.2, 0.5, 0.7))


def test_rings_are_the_circle_task():
    X = RINGS.sample(10_000, RandomState(0))
    assert_array_equal(RINGS.target(X), CircleTask().target(X))


@pytest.mark.parametrize("depth", [3, 4, 6])
def test_boundary_tickets_are_wrong_only_near_a_boundary(depth):
    X = RINGS.sample(50_000, RandomState(0))
    found = feed_forward(RINGS.construct(depth), X).argmax(axis=1)
    wrong = found != RINGS.target(X)
    gaps = np.abs((X**2).sum(axis=1)[:, None] - RINGS.boundaries).min(axis=1)
    # Twice the largest error of a square between knots 2 / 29 apart.
    assert gaps[wrong].max() <= 2 * (1 / 29) ** 2
    assert wrong.mean() < 0.01


def test_boundary_noise_goes_over_the_nearest_boundary():
    task = BoundaryTask(np.exp, boundaries=(1.0, 2.0), interval=(-1, 1))
    X = np.log([[0.5], [1.2], [1.8], [2.5]])
    assert_array_equal(task.target(X), [0, 1, 1, 2])
    assert_array_equal(task.add_noise(X, task.target(X), 1.0, RandomState(0)), [1, 0, 2, 1])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"boundaries": ()}, "boundaries="),
        ({"boundaries": (0.5, 0.2)}, r"boundaries=\(0.5, 0.2\)"),
        ({"function": curve}, "3 outputs"),
        ({"n_knots": 1}, "n_knots=1"),
    ],
)
def test_boundary_task_errors(params, message):
    with pytest.raises(ValueError, match=message):
        BoundaryTask(**{"function": np.sin, "boundaries": (0.0,)} | params)
