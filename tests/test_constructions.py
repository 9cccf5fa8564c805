"""Building blocks of networks, and how they are evaluated."""

import numpy as np
from numpy.random import RandomState
from numpy.testing import assert_allclose

from sklearn_tickets.datasets.tasks import feed_forward, live_part
from sklearn_tickets.datasets.tasks._constructions import piecewise_linear


def test_piecewise_linear_interpolates_and_extends():
    knots = np.array([-1.0, 0.0, 1.0])
    cube = piecewise_linear(lambda x: x**3, knots)
    x = np.array([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
    assert_allclose(feed_forward(cube, x[:, None])[:, 0], [-1, -0.5, 0, 0.5, 1, 8], atol=1e-12)


def test_live_part_leaves_out_what_no_output_depends_on():
    rng = RandomState(0)
    first, second = rng.standard_normal((6, 2)), rng.standard_normal((3, 6))
    first[[1, 3, 4]] = 0  # 1 is off, 3 is a constant, 4 is the constant 0
    second[:, [1, 5]] = 0  # nothing reads 5
    bias = np.array([0.1, 0.0, 0.2, 0.3, -0.1, 0.2])
    layers = (first, bias), (second, np.zeros(3))
    live = live_part(layers)
    assert [weight.shape for weight, _ in live] == [(3, 2), (3, 3)]
    X = rng.standard_normal((10, 2))
    assert_allclose(feed_forward(live, X), feed_forward(layers, X))


def test_live_part_follows_dead_ends_through_layers():
    # Units a -> b -> c of which b is read by nobody: a and b go, though a has both.
    first = np.array([[1.0], [1.0]])
    second = np.array([[1.0, 0.0], [0.0, 1.0]])
    third = np.array([[0.0, 1.0]])
    live = live_part([(first, np.zeros(2)), (second, np.zeros(2)), (third, np.zeros(1))])
    assert [weight.shape for weight, _ in live] == [(1, 1), (1, 1), (1, 1)]
