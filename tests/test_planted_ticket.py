"""`PlantedTicket.sample`, and where a planted problem says it came from."""

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import ks_2samp
from sklearn.base import clone

from sklearn_tickets.datasets import PlantedTicketGenerator, _planted_ticket
from sklearn_tickets.datasets.tasks import TASKS, FunctionTask, WithNoiseFeatures


@pytest.fixture(scope="module")
def planted():
    generator = PlantedTicketGenerator("circle", noise=0.1, n_noise_features=3, random_state=0)
    return generator.generate(5000)


def rows(X):
    return {row.tobytes() for row in X}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("n_noise_features", [0, 2])
def test_samples_look_like_the_data(task, n_noise_features):
    generator = PlantedTicketGenerator(
        task, noise=0.1, n_noise_features=n_noise_features, random_state=0
    )
    planted = generator.generate(2000)
    X, y = planted.sample(2000, random_state=1)
    assert (X.shape, X.dtype) == (planted.X.shape, planted.X.dtype)
    assert (y.shape, y.dtype) == (planted.y.shape, planted.y.dtype)
    one, other = (
        np.column_stack([inputs, targets]) for inputs, targets in ((X, y), (planted.X, planted.y))
    )
    assert ks_2samp(one, other).pvalue.min() > 0.01
    assert not rows(X) & rows(planted.X)


def test_the_task_of_samples_is_that_of_the_data(planted):
    for X, y in ((planted.X, planted.y), planted.sample(5000, random_state=0)):
        assert (y != planted.task.target(X)).mean() == pytest.approx(0.1, abs=0.015)
        # The noise features do not matter.
        assert_array_equal(
            planted.task.target(X), TASKS["circle"].target(X[:, planted.input_support])
        )


def test_noise_of_regression_targets():
    planted = PlantedTicketGenerator("helix", noise=0.05, random_state=0).generate(10)
    X, y = planted.sample(3000, random_state=0)
    assert (y - planted.task.target(X)).std() == pytest.approx(0.05, rel=0.05)


def test_the_ticket_solves_samples(planted):
    X, _ = planted.sample(2000, random_state=3)
    net = planted.make_net().initialize()
    planted.mask.apply_(net.module_)
    outputs = net.forward(X).numpy() * planted.output_scale
    accuracy = (outputs.argmax(axis=1) == planted.task.target(X)).mean()
    assert accuracy == pytest.approx(planted.ticket_score, abs=0.01)


def test_samples_are_repeatable(planted):
    for one, other in zip(planted.sample(10, 0), planted.sample(10, random_state=0), strict=True):
        assert_array_equal(one, other)
    rng = np.random.RandomState(0)
    drawn = [
        *(planted.sample(10, seed)[0] for seed in (0, 1, None, None)),
        *(planted.sample(10, rng)[0] for _ in range(2)),
    ]
    assert len(set().union(*map(rows, drawn))) == 50  # the first rng is that of seed 0


def test_global_stream_is_left_alone(planted):
    state = np.random.get_state()
    planted.sample(10)
    assert_array_equal(np.random.get_state()[1], state[1])
    assert np.random.get_state()[2] == state[2]


@pytest.mark.parametrize("seed", range(5))
def test_samples_are_fresh_under_the_seed_of_the_generator(seed):
    # The stream of this seed contains the rows of X; it must not be the stream of the sample.
    planted = PlantedTicketGenerator("circle", width=20, random_state=seed).generate(1000)
    X, _ = planted.sample(100_000, random_state=seed)
    assert not rows(X) & rows(planted.X)
    assert len(rows(X)) > 99_990


def test_blocks_join_to_as_many_samples_as_asked_for(planted, monkeypatch):
    monkeypatch.setattr(_planted_ticket, "_BLOCK", 100)
    X, y = planted.sample(250, random_state=0)
    assert (X.shape, y.shape) == ((250, 5), (250,))
    assert len(rows(X)) == 250
    assert (y != planted.task.target(X)).mean() < 0.2


def test_memory_is_a_small_multiple_of_the_result(planted):
    tracemalloc.start()
    try:
        X, y = planted.sample(500_000, random_state=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2.7 * (X.nbytes + y.nbytes)


@pytest.mark.parametrize("random_state", [0, None, np.random.RandomState(0)])
def test_the_generator_generates_the_problem_again(random_state):
    generator = PlantedTicketGenerator(
        "helix", width=40, n_noise_features=2, random_state=random_state
    )
    planted = generator.generate(20)
    assert planted.generator is not generator
    assert isinstance(planted.generator.random_state, int)
    expected = generator.get_params() | {"random_state": planted.generator.random_state}
    assert planted.generator.get_params() == expected
    for again in (
        planted.generator.generate(20),
        planted.generator.generate(20),
        clone(planted.generator).generate(20),
    ):
        assert_array_equal(again.X, planted.X)
        assert_array_equal(again.y, planted.y)
        assert again.mask == planted.mask
        assert_array_equal(again.input_support, planted.input_support)
        assert_allclose(again.output_scale, planted.output_scale)


def test_the_task_is_the_one_given_or_wraps_it():
    task = FunctionTask(np.sin)
    assert PlantedTicketGenerator(task).generate(1).task is task
    assert PlantedTicketGenerator("relu").generate(1).task == TASKS["relu"]
    wrapped = PlantedTicketGenerator(task, n_noise_features=1).generate(1).task
    assert isinstance(wrapped, WithNoiseFeatures)
    assert wrapped.task is task


def test_copies_sample_the_same(planted):
    expected = planted.sample(50, random_state=0)
    for twin in (pickle.loads(pickle.dumps(planted)), copy.deepcopy(planted)):
        for one, other in zip(twin.sample(50, random_state=0), expected, strict=True):
            assert_array_equal(one, other)
        assert twin.generator.get_params() == planted.generator.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter of PlantedTicket.sample must .* Got 0 instead"),
        ({"n_samples": 2.5}, "'n_samples' parameter .* Got 2.5 instead"),
        ({"n_samples": 5, "random_state": "x"}, "'random_state' parameter .* Got 'x' instead"),
    ],
)
def test_bad_parameters(planted, parameters, message):
    with pytest.raises(ValueError, match=message):
        planted.sample(**parameters)
