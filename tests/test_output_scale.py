"""Reading a strong ticket: the scale of every output."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax

from sklearn_tickets.pruners.base._output_scale import (
    _best_factor,
    _Rows,
    classification_scale,
    classification_temperature,
    multilabel_scale,
    regression_scale,
)

repeatable = settings(derandomize=True, deadline=None, max_examples=100)


def n_right(outputs, y, scale=1.0):
    return np.sum((outputs * scale).argmax(axis=1) == y)


# Regression --------------------------------------------------------------------------


def test_regression_scale_is_the_least_squares_factor():
    rng = np.random.RandomState(0)
    outputs, y = rng.randn(50, 2), rng.randn(50, 2)
    y += outputs * [3, 1e-6] * 2
    scale = regression_scale(outputs, y)
    for k in range(2):
        expected = np.linalg.lstsq(outputs[:, [k]], y[:, k], rcond=None)[0][0]
        assert scale[k] == pytest.approx(expected if expected > 0 else 1)
    assert regression_scale(np.array([[1.0], [2]]), np.array([[3.0], [4]])) == 11 / 5


def test_regression_scale_undoes_any_positive_scaling():
    outputs = np.random.RandomState(0).randn(50, 3)
    factors = np.array([1e-12, 1, 1e12])
    np.testing.assert_allclose(regression_scale(outputs * factors, outputs), 1 / factors)


@pytest.mark.parametrize(
    "outputs",
    [
        [0.0, 0, 0],
        [2.0, 2, 2],
        [0.3, 0.3 * (1 + 1e-16), 0.1 + 0.2],
        [-1.0, -2, -3],
        [1.0, 0, -1],
        [1e-170, 2e-170, 3e-170],
    ],
    ids=["zero", "constant", "constant_but_rounded", "opposed", "negative_sum", "underflow"],
)
def test_outputs_that_cannot_be_scaled_are_read_raw(outputs):
    scale = regression_scale(np.array(outputs)[:, None], np.array([[1.0], [2], [3]]))
    assert scale.tolist() == [1]


def test_outputs_are_scaled_one_by_one():
    outputs = np.array([[1.0, 5, -1], [2, 5, -2]])
    y = np.array([[2.0, 1, 1], [4, 2, 2]])
    np.testing.assert_allclose(regression_scale(outputs, y), [2, 1, 1])


# Classification ----------------------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 3, 4, 10])
@pytest.mark.parametrize("seed", range(4))
def test_separable_classes_are_recovered_over_ten_orders_of_magnitude(n_classes, seed):
    rng = np.random.RandomState(seed)
    y = rng.randint(n_classes, size=400)
    logits = rng.uniform(0.1, 1, size=(400, n_classes))
    logits[np.arange(400), y] = rng.uniform(1.5, 2, size=400)
    outputs = logits * 10 ** rng.uniform(-5, 5, size=n_classes)
    assert n_right(outputs, y, classification_scale(outputs, y)) == 400


@pytest.mark.parametrize("seed", range(4))
def test_logits_of_either_sign_are_recovered_nearly(seed):
    rng = np.random.RandomState(seed)
    logits = rng.randn(400, 4)
    y = logits.argmax(axis=1)
    outputs = logits * 10 ** rng.uniform(-5, 5, size=4)
    assert n_right(outputs, y, classification_scale(outputs, y)) >= 0.97 * 400


problems = st.tuples(
    arrays(np.float64, (12, 3), elements=st.integers(-3, 3)),
    arrays(np.int64, 12, elements=st.integers(0, 2)),
)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(problems)
def test_scaled_reading_is_never_worse_than_raw(problem):
    """Small integers tie often; a tie may be worth more than either side of it."""
    outputs, y = problem
    scale = classification_scale(outputs, y)
    assert np.isfinite(scale).all()
    assert (scale > 0).all()
    assert n_right(outputs, y, scale) >= n_right(outputs, y)


@settings(derandomize=True, deadline=None)
@given(problems, st.tuples(*[st.floats(0.1, 10)] * 3))
def test_scaled_reading_is_never_worse_than_with_known_factors(problem, start):
    outputs, y = problem
    n_best = n_right(outputs, y, classification_scale(outputs, y, start=np.array(start)))
    assert n_best >= n_right(outputs, y, np.array(start))
    assert n_best >= n_right(outputs, y, classification_scale(outputs, y))


def test_exact_ties_that_are_right_are_kept():
    """Both rows are right only where the classes tie."""
    outputs, y = np.array([[1.0, 1, 0], [0, 1, 1]]), np.array([0, 1])
    assert n_right(outputs, y, classification_scale(outputs, y)) == 2


@repeatable
@given(
    problems,
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.integers(0, 2),
)
def test_line_search_agrees_with_trying_every_step(problem, scale, k):
    outputs, y = problem
    outputs = outputs + np.random.RandomState(0).uniform(-0.3, 0.3, size=outputs.shape)
    scale = np.array(scale)
    rivals = np.delete(outputs * scale, k, axis=1).max(axis=1)
    flips = np.sort([flip for flip in rivals / outputs[:, k] if flip > 0])
    candidates = [scale[k]]
    if len(flips):
        middles = [np.sqrt(a * b) for a, b in itertools.pairwise(flips)]
        candidates = [flips[0] / 2, *middles, flips[-1] * 2]

    def right(factor):
        return n_right(outputs, y, np.where(np.arange(3) == k, factor, scale))

    assert right(_best_factor(_Rows(outputs.T, y, np.ones(len(y))), scale, k)) == max(
        map(right, candidates)
    )


def test_line_search_hand_worked():
    """Class 1 must exceed 1 in two rows and stay below 4 in one."""
    outputs = np.array([[1.0, 2], [1, 1], [4, 1]])
    y = np.array([1, 1, 0])
    factor = _best_factor(_Rows(outputs.T, y, np.ones(len(y))), np.ones(2), 1)
    # Rows flip at 1/2, 1 and 4: the middle of (1, 4) on a logarithmic scale.
    assert factor == pytest.approx(2)


def test_line_search_takes_the_widest_of_the_best_steps():
    outputs = np.array([[1.0, 1], [2, 1], [100, 1]])
    y = np.array([1, 0, 1])
    # Factors in (1, 2) and beyond 100 get two rows right; the latter is wider.
    assert _best_factor(_Rows(outputs.T, y, np.ones(len(y))), np.ones(2), 1) == pytest.approx(200)


def test_output_that_is_zero_keeps_a_finite_factor():
    outputs = np.array([[1.0, 0, 2], [-1, 0, -2], [3, 0, 1], [2, 0, 2.1]])
    y = np.array([0, 1, 0, 0])
    scale = classification_scale(outputs, y)
    assert np.isfinite(scale).all()
    assert n_right(outputs, y, scale) == 4


@pytest.mark.parametrize("outputs", [np.zeros((6, 3)), np.ones((6, 3)), np.full((6, 3), -1.0)])
def test_constant_outputs_predict_one_class(outputs):
    y = np.array([0, 1, 1, 1, 2, 2])
    scale = classification_scale(outputs, y)
    assert np.isfinite(scale).all()
    assert n_right(outputs, y, scale) >= n_right(outputs, y)
    if outputs.any():
        assert n_right(outputs, y, scale) == 3


def test_dead_class_beside_tiny_and_huge_ones():
    rng = np.random.RandomState(0)
    outputs = rng.uniform(0.5, 1, size=(30, 3)) * [1e-300, 1e10, 0]
    y = rng.randint(3, size=30)
    assert np.isfinite(classification_scale(outputs, y)).all()


def test_single_logit_is_read_by_its_sign():
    outputs = np.array([[1e9], [-1e-9]])
    assert classification_scale(outputs, np.array([0, 1])).tolist() == [1]


def log_loss(logits, y):
    return -log_softmax(logits, axis=1)[np.arange(len(y)), y].mean()


@pytest.mark.parametrize("size", [1e-9, 1, 1e9])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_temperature_has_the_lowest_cross_entropy(n_classes, size):
    rng = np.random.RandomState(0)
    logits = rng.randn(200, n_classes)
    y = (logits + 0.5 * rng.randn(200, n_classes)).argmax(axis=1)
    temperature = classification_temperature(size * logits, y) / size
    losses = [log_loss(logits / temperature * factor, y) for factor in (0.99, 1, 1.01)]
    assert min(losses) == losses[1]


def test_the_temperature_hand_worked():
    """Three of four rows are right: the probability that is right most often is 3/4."""
    logits = np.array([[5.0], [5], [5], [5]])
    assert classification_temperature(logits, np.array([1, 1, 1, 0])) == pytest.approx(
        5 / np.log(3), rel=1e-5
    )


def test_the_factor_of_a_label_hand_worked():
    """Label 0 is there in three of four rows; label 1 never is, and its logit says so."""
    logits = np.array([[5.0, -2], [5, -2], [5, -2], [5, -2]])
    y = np.array([[1, 0], [1, 0], [1, 0], [0, 0]])
    np.testing.assert_allclose(multilabel_scale(logits, y), [np.log(3) / 5, 1000 / 2], rtol=1e-5)


def test_temperatures_are_bounded():
    logits, y = np.array([[2.0, 0], [0, 2]]), np.array([0, 1])
    assert classification_temperature(logits, y) == pytest.approx(2 / 1000)
    assert classification_temperature(logits, 1 - y) == pytest.approx(2 * 1000)
    assert classification_temperature(np.ones((2, 3)), y) == 1


def test_reading_leaves_its_input():
    rng = np.random.RandomState(0)
    outputs, y = rng.randn(20, 3), rng.randint(3, size=20)
    before = outputs.copy()
    classification_scale(outputs, y)
    regression_scale(outputs, outputs)
    np.testing.assert_array_equal(outputs, before)


def test_weights_of_rows_count_like_copies():
    rng = np.random.RandomState(0)
    outputs, y = rng.randn(60, 3), rng.randint(0, 3, 60)
    weights = rng.randint(1, 4, 60)
    more, labels = outputs.repeat(weights, axis=0), y.repeat(weights)
    for read in (classification_scale, classification_temperature):
        np.testing.assert_allclose(read(outputs, y, 0.1 * weights), read(more, labels))
    targets = outputs + rng.randn(60, 3)
    np.testing.assert_allclose(
        regression_scale(outputs, targets, 0.1 * weights),
        regression_scale(more, targets.repeat(weights, axis=0)),
    )


def test_weights_count_in_the_bounds_of_the_temperature():
    """They are relative to the mean size of the logits, which is 4 here."""
    outputs, y = np.array([[0.0, 1], [5, 0]]), np.array([1, 0])
    assert classification_temperature(outputs, y, np.array([1.0, 3])) == pytest.approx(4e-3)


def test_a_heavy_row_moves_the_line_search():
    """Class 1 must exceed 1 in two rows and stay below 1/2 in one, which weighs more."""
    outputs, y = np.array([[1.0, 1], [1, 1], [1, 2]]), np.array([1, 1, 0])
    for weight, is_small in [(1, False), (3, True)]:
        scale = classification_scale(outputs, y, np.array([1.0, 1, weight]))
        assert (scale[1] < scale[0] / 2) == is_small
