"""The circle task: its classes, their noise, and the ticket built for it."""

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_array_equal

from sklearn_tickets.datasets.tasks import CircleTask, feed_forward


@pytest.mark.parametrize(
    ("depth", "accuracy"), [(3, 0.9604), (4, 0.9905), (5, 0.9905), (6, 0.9873), (10, 0.9979)]
)
def test_circle_ticket_accuracy(depth, accuracy):
    task = CircleTask()
    X = task.sample(200_000, RandomState(0))
    classes = feed_forward(task.construct(depth), X).argmax(axis=1)
    assert np.mean(classes == task.target(X)) == pytest.approx(accuracy, abs=1e-3)


def test_circle_classes_are_the_argmax_of_the_logits():
    task = CircleTask()
    g = np.array([0.19, 0.21, 0.49, 0.51, 0.69, 0.71, 2.0])
    classes = task.target(np.column_stack([np.sqrt(g), np.zeros_like(g)]))
    assert_array_equal(classes, [0, 1, 1, 2, 2, 3, 3])
    assert_array_equal((g[:, None] * task._slopes + task._offsets).argmax(axis=1), classes)


def test_circle_noise_gives_the_second_most_likely_class():
    task = CircleTask()
    g = np.array([0.1, 0.25, 0.45, 0.55, 0.65, 1.5])
    X = np.column_stack([np.sqrt(g), np.zeros_like(g)])
    y = task.target(X)
    noisy = task.add_noise(X, y, 1.0, RandomState(0))
    # In terms of the logits, 0.4 is halfway between the circles at 0.2 and 0.5.
    assert_array_equal(noisy, [1, 0, 2, 1, 3, 2])
    assert_array_equal(y, task.target(X))
    assert_array_equal(task.add_noise(X, y, 0.0, RandomState(0)), y)


def test_circle_noise_rate():
    task = CircleTask()
    X = task.sample(200_000, RandomState(0))
    y = task.target(X)
    rate = np.mean(task.add_noise(X, y, 0.01, RandomState(1)) != y)
    assert rate == pytest.approx(0.01, rel=0.1)
