"""The parity task: its exact tickets and its noise."""

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal

from sklearn_tickets.datasets.tasks import ParityTask, feed_forward


@pytest.mark.parametrize(
    ("n_bits", "depth", "weights"),
    [(2, 3, [4, 2]), (3, 3, [9, 3]), (2, 4, [2, 2, 2]), (5, 7, [5, 1, 1, 1, 5, 5])],
)
def test_parity_tickets_are_exact(n_bits, depth, weights):
    task = ParityTask(n_bits)
    layers = task.construct(depth)
    assert [np.count_nonzero(weight) for weight, _ in layers] == weights
    X = task.sample(2000, RandomState(0))
    assert_array_equal(feed_forward(layers, X).argmax(axis=1), task.target(X))


def test_parity_noise_is_the_other_class():
    task = ParityTask()
    X = task.sample(50_000, RandomState(0))
    y = task.target(X)
    noisy = task.add_noise(X, y, 0.1, RandomState(1))
    assert np.mean(noisy != y) == pytest.approx(0.1, rel=0.1)
    assert set(noisy) == {0, 1}
    with pytest.raises(ValueError, match="n_bits=1"):
        ParityTask(1)
