"""What all tasks have in common, and the regressions of the paper."""

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import (
    TASKS,
    BoundaryTask,
    CircleTask,
    FunctionTask,
    HelixTask,
    ParityTask,
    ReluTask,
    SpiralTask,
    feed_forward,
)
from sklearn_tickets.pruners import GivenMaskPruner
from tests.test_boundary import RINGS
from tests.test_function import curve

# Non-zero weights and biases per layer. The helix's third coordinate is straight: 61 = 30 + 30 + 1.
SIZES = {
    ("relu", 3): ([1, 1], [0, 0]),
    ("relu", 10): ([1] * 9, [0] * 9),
    ("circle", 3): ([20, 80], [20, 4]),
    ("circle", 4): ([4, 40, 80], [0, 18, 4]),
    ("circle", 5): ([4, 4, 20, 80], [0, 0, 18, 4]),
    ("circle", 6): ([4, 4, 6, 25, 80], [0, 0, 0, 18, 4]),
    ("circle", 10): ([4, 4, 6, 9, 9, 9, 9, 23, 80], [0, 0, 0, 0, 0, 0, 0, 18, 4]),
    ("helix", 3): ([30, 61], [30, 3]),
    ("helix", 4): ([1, 30, 61], [1, 29, 3]),
    ("helix", 5): ([1, 30, 61, 3], [1, 29, 3, 3]),
    ("helix", 6): ([1, 30, 61, 3, 3], [1, 29, 3, 0, 3]),
    ("helix", 10): ([1, 30, 61, 3, 3, 3, 3, 3, 3], [1, 29, 3, 0, 0, 0, 0, 0, 3]),
}


@pytest.mark.parametrize(("task", "depth"), SIZES)
def test_ticket_sizes(task, depth):
    layers = TASKS[task].construct(depth)
    weights, biases = SIZES[task, depth]
    assert [np.count_nonzero(weight) for weight, _ in layers] == weights
    assert [np.count_nonzero(bias) for _, bias in layers] == biases
    entries = np.abs(np.concatenate([array.ravel() for layer in layers for array in layer]))
    assert entries[entries > 0].min() > 1e-3, "rounding noise counts as a weight"


@pytest.mark.parametrize("depth", [3, 4, 5, 6, 10])
def test_helix_ticket_error(depth):
    task = HelixTask()
    X = task.sample(200_000, RandomState(0))
    error = np.mean((feed_forward(task.construct(depth), X) - task.target(X)) ** 2)
    assert error == pytest.approx(2.16e-4, rel=0.01)


@pytest.mark.parametrize("depth", [3, 7])
def test_relu_ticket_is_exact(depth):
    task = ReluTask()
    X = task.sample(1000, RandomState(0))
    assert_array_equal(feed_forward(task.construct(depth), X)[:, 0], task.target(X))


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_samples_are_uniform_on_the_cube(task):
    X = task.sample(10_000, RandomState(0))
    assert X.shape == (10_000, task.n_inputs)
    assert X.dtype == np.float64
    assert -1 <= X.min() < -0.999
    assert 0.999 < X.max() <= 1
    assert len(task.feature_names) == task.n_inputs
    assert len(task.target_names) in (1, task.n_outputs)


@pytest.mark.parametrize("task", [ReluTask(), HelixTask()])
def test_regression_noise_is_gaussian(task):
    X = task.sample(100_000, RandomState(0))
    y = task.target(X)
    noise = task.add_noise(X, y, 0.1, RandomState(1)) - y
    assert noise.shape == y.shape
    assert_allclose(noise.mean(axis=0), 0, atol=2e-3)
    assert_allclose(noise.std(axis=0), 0.1, rtol=0.02)


def test_tasks_are_values():
    assert CircleTask() == CircleTask()
    assert len({HelixTask(), HelixTask(), ReluTask()}) == 2
    with pytest.raises(AttributeError):
        CircleTask().name = "disc"


# The accuracy or mean squared error that each promises.
PROMISES = [
    (ReluTask(), 1e-8),
    (CircleTask(), 0.98),
    (HelixTask(), 3e-4),
    (FunctionTask(np.sin, interval=(0, 6)), 1e-5),
    (FunctionTask(curve, interval=(0, 6)), 1e-5),
    (FunctionTask((np.cos, np.exp)), 1e-5),
    (RINGS, 0.985),
    (BoundaryTask(np.sin, boundaries=(-0.5, 0.5), interval=(0, 12)), 0.985),
    (ParityTask(2), 1.0),
    (ParityTask(4), 1.0),
    (SpiralTask(), 0.995),
]


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("n_noise_features", [0, 3])
@pytest.mark.parametrize(
    ("task", "promise"), PROMISES, ids=lambda value: getattr(value, "name", "")
)
def test_the_ticket_does_what_it_promises_and_no_random_mask_does(task, promise, n_noise_features):
    generator = PlantedTicketGenerator(
        task, noise=0, n_noise_features=n_noise_features, random_state=0
    )
    planted = generator.generate(2000)

    def is_good(mask):
        strong = GivenMaskPruner(planted.make_net(), mask, train_ticket=False, random_state=0)
        read = strong.fit(planted.X, planted.y).strong_predict(planted.X)
        if task.kind == "classification":
            return np.mean(read == planted.y) >= promise - 0.005
        return np.mean((read - planted.y) ** 2) <= 2 * promise

    assert is_good(planted.mask)
    assert not any(is_good(planted.mask.shuffled(seed)) for seed in range(5))
