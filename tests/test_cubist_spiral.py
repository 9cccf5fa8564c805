"""The Cubist Spiral: its vertices and edges, and the order of its points."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from sklearn_tickets.datasets import make_cubist_spiral


def test_points_are_standardized_and_half_of_them_is_on_each_arm():
    X, y = make_cubist_spiral()
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    assert_array_equal(np.bincount(y), [25_000, 25_000])
    assert_allclose(X.mean(axis=0), 0, atol=1e-5)
    assert_allclose(X.std(axis=0), 1, rtol=1e-5)


def test_ends_of_the_arms_are_in_line_with_their_center():
    X, y = make_cubist_spiral(shuffle=False)
    outer, inner = X[y == 0].astype(float), X[y == 1].astype(float)
    # At angles 1.4 pi and 5.4 pi, one direction, radii are 15 pi and 55 pi, 15 more or less.
    radii = np.pi * np.array([15, 55])
    (a, b), (c, d) = outer[[0, -1]], inner[[0, -1]]
    assert_allclose((b - a) / (d - c), 1, rtol=1e-4)
    assert_allclose((a - c) / (b - a), 30 / np.diff(radii)[0] * np.ones(2), rtol=1e-4)


def test_an_arm_has_sixteen_straight_edges():
    X, y = make_cubist_spiral(shuffle=False)
    steps = np.diff(X[y == 0].astype(float), axis=0)
    angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    # Steps between two vertices have one direction, or at most two at a vertex between points.
    turning = np.abs(np.diff(angles)) > 0.1
    corners = np.flatnonzero(turning & ~np.append(False, turning[:-1]))
    assert len(corners) == 15
    # Two turns, less the half-angles at the first and the last vertex: 15 eighths.
    assert_allclose(angles[-1] - angles[0], 15 * np.pi / 4, atol=0.2)


def test_vertices_of_few_points():
    # Two points per arm are its ends, on a line through the center of the polar coordinates at
    # radii 15 pi + 15, 55 pi + 15, 15 pi - 15 and 55 pi - 15: differences from the mean, 35 pi, are
    # -20 pi + 15, 20 pi + 15, -20 pi - 15 and 20 pi - 15, with the mean square 400 pi^2 + 225.
    X, y = make_cubist_spiral(4, shuffle=False)
    expected = np.array([-20, 20, -20, 20]) * np.pi + np.array([15, 15, -15, -15])
    expected /= np.sqrt(400 * np.pi**2 + 225)
    # The direction of the angle 1.4 pi is down and to the left.
    assert_allclose(X, -np.column_stack([expected, expected]), rtol=1e-5)
    assert_array_equal(y, [0, 0, 1, 1])


def test_only_the_order_is_random():
    X, y = make_cubist_spiral(1001, random_state=0)
    assert_array_equal(np.bincount(y), [501, 500])
    again, others = (make_cubist_spiral(1001, random_state=seed) for seed in (0, 1))
    assert_array_equal(X, again[0])
    assert not np.array_equal(X, others[0])
    ordered, labels = make_cubist_spiral(1001, shuffle=False)
    assert {*map(tuple, np.column_stack([X, y]))} == {
        *map(tuple, np.column_stack([ordered, labels]))
    }


def test_no_line_separates_the_arms():
    X, y = make_cubist_spiral(random_state=0)
    assert 0.45 < LogisticRegression().fit(X, y).score(X, y) < 0.55


@pytest.mark.parametrize("n_samples", [1, 2.5, None])
def test_what_is_no_number_of_points_is_refused(n_samples):
    message = f"'n_samples' parameter of make_cubist_spiral must be .* Got {n_samples!r} instead"
    with pytest.raises(ValueError, match=message):
        make_cubist_spiral(n_samples)
