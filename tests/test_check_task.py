"""A task of one's own is checked before anything is planted."""

import math

import numpy as np
import pytest

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.datasets.tasks import (
    TASKS,
    BoundaryTask,
    FunctionTask,
    PlantingTask,
    check_task,
    deepened,
    linear,
)


class Larger(PlantingTask):
    """The larger of two numbers: max(a, b) = relu(b) - relu(-b) + relu(a - b)."""

    name = "larger"
    kind = "regression"
    n_inputs, n_outputs = 2, 1
    feature_names, target_names = ("a", "b"), ("larger",)

    def sample(self, n_samples, rng):
        return rng.uniform(-1, 1, size=(n_samples, 2))

    def target(self, X):
        return X.max(axis=1)

    def add_noise(self, X, y, noise, rng):
        return y + noise * rng.standard_normal(y.shape)

    def construct(self, depth):
        layers = linear([[0, 1], [0, -1], [1, -1]]), linear([[1, -1, 1]])
        return deepened(layers, depth - 1)


class WhichIsLarger(Larger):
    """Which of two numbers is the larger one."""

    kind = "classification"
    n_outputs = 2
    target_names = ("a", "b")

    def target(self, X):
        return X.argmax(axis=1)

    def add_noise(self, X, y, noise, rng):
        return np.where(rng.uniform(size=len(y)) < noise, 1 - y, y)

    def construct(self, depth):
        layers = linear([[1, -1], [-1, 1]]), linear(np.eye(2))
        return deepened(layers, depth - 1)


@pytest.mark.parametrize(
    "task", [*TASKS.values(), Larger(), WhichIsLarger()], ids=lambda task: task.name
)
@pytest.mark.parametrize("depth", [3, 5, 8])
def test_tasks_that_keep_the_interface(task, depth):
    check_task(task, depth)


def constant(value):
    return lambda self, *args: value


@pytest.mark.parametrize(
    ("base", "wrong", "message"),
    [
        (Larger, {"name": None}, "Larger.name is None: it must be a word"),
        (Larger, {"kind": "regresion"}, "kind is 'regresion': .* 'classification' or 'regression'"),
        (Larger, {"kind": None}, "kind is None"),
        (Larger, {"n_inputs": None}, "n_inputs is None: it must be an integer of at least 1"),
        (Larger, {"n_outputs": 1.0}, "n_outputs is 1.0"),
        (WhichIsLarger, {"n_outputs": 1}, "n_outputs is 1: .* at least 2 for classification"),
        (Larger, {"feature_names": ("a",)}, r"feature_names is \('a',\): .* 2 different strings"),
        (Larger, {"feature_names": ("a", "a")}, "2 different strings"),
        (Larger, {"feature_names": (1, 2)}, "2 different strings"),
        (Larger, {"target_names": "y"}, "target_names is 'y': it must be 1 different strings"),
        (Larger, {"sample": constant(None)}, "sample.* returns an object of type NoneType"),
        (
            Larger,
            {"sample": lambda self, n, rng: rng.uniform(size=(n + 1, 2))},
            r"sample\(10000, rng\) returns float64 of shape \(10001, 2\): .* of shape \(10000, 2\)",
        ),
        (
            Larger,
            {"sample": lambda self, n, rng: np.random.uniform(size=(n, 2))},
            "sample returns other points .*: it must draw all random numbers from rng",
        ),
        (Larger, {"target": constant(None)}, "target.* of type NoneType"),
        (Larger, {"target": lambda self, X: X}, r"target\(X\) returns float64 .*\(10000,\) or"),
        (Larger, {"target": lambda self, X: X[:, 0] * np.nan}, "not all finite"),
        (Larger, {"target": lambda self, X: 0 * X[:, 0]}, r"is 0.0 for all of 10,000 points"),
        (WhichIsLarger, {"target": lambda self, X: X.max(axis=1)}, "class numbers from 0 to 1"),
        (WhichIsLarger, {"target": lambda self, X: 1 + X.argmax(1)}, "from 1 to 2 .* from 0 to 1"),
        (WhichIsLarger, {"target": lambda self, X: 1 - 2 * X.argmax(1)}, "from -1 to 1 "),
        (Larger, {"add_noise": constant(None)}, "add_noise.* returns an object of type NoneType"),
        (Larger, {"add_noise": lambda self, X, y, *rest: y[:-3]}, r"shape \(9997,\)"),
        (
            WhichIsLarger,
            {"add_noise": Larger.add_noise},
            "add_noise.* returns float64 .*: it must return class numbers",
        ),
        (
            Larger,
            {"add_noise": lambda self, X, y, *rest: np.add(y, 1, out=y)},
            "add_noise changes y in place",
        ),
        (Larger, {"construct": constant(None)}, r"construct\(4\) returns an object .* NoneType"),
        (Larger, {"construct": constant([])}, "returns 0 layers .* depth - 1 = 3"),
        (
            Larger,
            {"construct": lambda self, depth: Larger.construct(self, 5)},
            "returns 4 layers of weights: it must return depth - 1 = 3",
        ),
        (
            Larger,
            {"construct": lambda self, depth: deepened([linear(np.ones((1, 3)))], depth - 1)},
            r"weights of shape \(2, 3\) .* in layer 0: it must return shapes \(2, 2\) and \(2,\)",
        ),
        (
            Larger,
            {"construct": lambda self, depth: deepened([linear(np.ones((2, 2)))], depth - 1)},
            r"in layer 2: it must return shapes \(1, 4\) and \(1,\)",
        ),
        (
            Larger,
            {"construct": lambda self, depth: deepened([linear([[np.nan, 1]])], depth - 1)},
            "in layer 0 that are not finite",
        ),
        (
            Larger,
            {"construct": lambda self, depth: deepened([linear([[0, 0]])], depth - 1)},
            "a mean squared error of .*, where the best constant has .*: it must solve the task",
        ),
        (
            WhichIsLarger,
            {"construct": lambda self, depth: deepened([linear([[-1, 1], [1, -1]])], depth - 1)},
            r"an accuracy of 0, where the best constant has 0\.5",
        ),
    ],
)
def test_what_is_wrong_is_named(base, wrong, message):
    task = type(base.__name__, (base,), wrong)()
    with pytest.raises(ValueError, match=message):
        PlantedTicketGenerator(task, depth=4, random_state=0).generate(10)


def test_a_class_is_no_task():
    with pytest.raises(ValueError, match="task=Larger is a class; pass an instance"):
        PlantedTicketGenerator(Larger).generate(10)


def test_rare_classes_are_no_fault():
    check_task(BoundaryTask(lambda x: np.sin(3 * x), boundaries=(1 - 0.0003,)))


@pytest.mark.parametrize("depth", [2, "5"])
def test_depths_that_no_ticket_has(depth):
    with pytest.raises(ValueError, match=r"depth=.* must be an integer of at least 3"):
        check_task(Larger(), depth)


def test_boundaries_that_separate_nothing():
    task = BoundaryTask([np.square, np.square], boundaries=(30, 80))
    with pytest.raises(ValueError, match=r"BoundaryTask.target.* is 0 for all of 10,000 points"):
        PlantedTicketGenerator(task).generate(10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FunctionTask(math.sin), "fails on an array .*; use functions of NumPy"),
        (lambda: FunctionTask(None), "function=None must be a function"),
        (lambda: BoundaryTask(np.sin, boundaries=(np.nan,)), r"boundaries=\(nan,\) must be"),
        (lambda: FunctionTask(np.sin, interval=3), "interval=3 must be two"),
        (lambda: BoundaryTask(np.square, boundaries=0.5), "boundaries=0.5 must be"),
        (lambda: linear([1, 1]), r"weight has the shape \(2,\)"),
        (lambda: linear([[1, 1]], [1, 2]), r"and bias \(2,\)"),
        (lambda: deepened([linear([[1]])] * 2, 1), "n_layers=1 is less than the 2 layers"),
    ],
)
def test_parts_of_tasks_that_are_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
