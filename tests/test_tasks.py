"""The tasks: their targets and noise, and the tickets built for them."""

import pickle

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
    live_part,
)
from sklearn_tickets.datasets.tasks._constructions import piecewise_linear
from sklearn_tickets.pruners import GivenMaskPruner

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


@pytest.mark.parametrize(
    ("depth", "accuracy"), [(3, 0.9604), (4, 0.9905), (5, 0.9905), (6, 0.9873), (10, 0.9979)]
)
def test_circle_ticket_accuracy(depth, accuracy):
    task = CircleTask()
    X = task.sample(200_000, RandomState(0))
    classes = feed_forward(task.construct(depth), X).argmax(axis=1)
    assert np.mean(classes == task.target(X)) == pytest.approx(accuracy, abs=1e-3)


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


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_samples_are_uniform_on_the_cube(task):
    X = task.sample(10_000, RandomState(0))
    assert X.shape == (10_000, task.n_inputs)
    assert X.dtype == np.float64
    assert -1 <= X.min() < -0.999
    assert 0.999 < X.max() <= 1
    assert len(task.feature_names) == task.n_inputs
    assert len(task.target_names) in (1, task.n_outputs)


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


# Functions of your own ------------------------------------------------------------------


def curve(t):
    return np.column_stack([np.cos(t), np.sin(t), 0.5 * t])


@pytest.mark.parametrize(
    ("depth", "weights", "biases"),
    [
        (3, [19, 19], [18, 1]),
        (5, [1, 19, 19, 1], [0, 18, 1, 1]),
        (7, [1, 19, 19, 1, 1, 1], [0, 18, 1, 0, 0, 1]),
    ],
)
def test_function_ticket_sizes(depth, weights, biases):
    # A bend for each of 20 knots but the last; the one at 0 has no bias.
    layers = FunctionTask(np.sin, n_knots=20, interval=(0, 6)).construct(depth)
    assert [np.count_nonzero(weight) for weight, _ in layers] == weights
    assert [np.count_nonzero(bias) for _, bias in layers] == biases


@pytest.mark.parametrize("depth", [3, 4, 5, 8])
@pytest.mark.parametrize("function", [np.sin, np.sqrt, curve, (np.cos, np.log, np.sin)])
def test_function_tickets_are_of_second_order(function, depth):
    errors = []
    for n_knots in (11, 21, 41):
        task = FunctionTask(function, n_knots=n_knots, interval=(1, 7))
        x = task.sample(50_000, RandomState(0))
        outputs = feed_forward(task.construct(depth), x)
        errors.append(np.mean((outputs - task.target(x).reshape(outputs.shape)) ** 2))
    # Halved steps: a quarter of the error, a sixteenth of its square.
    assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 4, atol=0.3)


def test_function_tickets_need_no_value_beyond_the_interval():
    task = FunctionTask(np.arccos, n_knots=12, interval=(-1, 1))
    assert np.isfinite(feed_forward(task.construct(3), np.array([[-1.0], [1.0]]))).all()


def test_straight_functions_need_one_unit():
    bends, _ = FunctionTask(np.negative, n_knots=9).construct(3)
    assert bends[0].shape == (1, 1)


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize("scaling", ["hidden", "trainable"])
def test_functions_are_planted(scaling):
    generator = PlantedTicketGenerator(FunctionTask(curve, name="curve"), scaling=scaling)
    planted = generator.set_params(random_state=0).generate(100)
    assert planted.y.shape == (100, 3)
    assert planted.target_names == ["y1", "y2", "y3"]
    assert planted.ticket_score < 1e-6
    shuffled = GivenMaskPruner(planted.make_net(), planted.mask.shuffled(0), train_ticket=False)
    strong = shuffled.fit(planted.X, planted.y).strong_predict(planted.X)
    assert np.mean((strong - planted.y) ** 2) > 1e-2


def test_function_tasks_are_values():
    task = FunctionTask(np.sin, n_knots=5)
    assert pickle.loads(pickle.dumps(task)) == task == FunctionTask(np.sin, n_knots=5)
    assert task != FunctionTask(np.sin, n_knots=6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_knots": 2}, "n_knots=2"),
        ({"interval": (1, 1)}, r"interval=\(1, 1\)"),
        ({"interval": (0, np.inf)}, "interval="),
        ({"function": np.ones_like}, "constant"),
        ({"function": np.sum}, r"function=.* shape \(\)"),
        ({"function": np.reciprocal, "interval": (-1, 1), "n_knots": 3}, "not finite at 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_function_task_errors(params, message):
    with pytest.raises(ValueError, match=message):
        FunctionTask(**{"function": np.sin} | params)


# Parity ---------------------------------------------------------------------------------


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


# Boundaries -----------------------------------------------------------------------------

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


# All of them ----------------------------------------------------------------------------

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
