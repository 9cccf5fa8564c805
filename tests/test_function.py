"""Tasks made of functions: their tickets, and what is refused."""

import pickle

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import FunctionTask, feed_forward
from sklearn_tickets.pruners import GivenMaskPruner


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


def test_functions_are_given_in_any_sequence():
    X = np.array([[3.0, 0.0]])
    for functions in ([np.square, np.exp], (np.square, np.exp)):
        task = FunctionTask(functions)
        assert task.target(X) == 10
        assert task.n_inputs == 2


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
        ({"function": [np.sin, 1.0]}, r"function=.*1\.0.* a sequence of functions"),
        ({"function": []}, "function="),
        ({"function": np.sum}, r"function=.* shape \(\)"),
        ({"function": np.reciprocal, "interval": (-1, 1), "n_knots": 3}, "not finite at 0"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_function_task_errors(params, message):
    with pytest.raises(ValueError, match=message):
        FunctionTask(**{"function": np.sin} | params)
