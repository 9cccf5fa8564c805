"""Tickets by chance: the bound against values worked by hand and against random networks."""

import math
from itertools import pairwise

import numpy as np
import pytest
from numpy.random import RandomState
from numpy.testing import assert_allclose
from scipy.optimize import linear_sum_assignment
from scipy.stats import binom, binomtest, norm

from sklearn_tickets.datasets import ticket_existence_probability, ticket_existence_width
from sklearn_tickets.datasets._existence import _log_overlap, _scaled, _tolerances
from sklearn_tickets.datasets.tasks import TASKS, ReluTask, feed_forward, linear

X = np.linspace(-1, 1, 21)[:, None]
RELU = ReluTask().construct(4)
# One unit per layer, a bias, and a layer to be scaled.
CHAIN = linear([[2]], 1), linear([[0.5]])
# Two units that no random unit can both be, that few can, that many can, and that are the same;
# nothing is asked of the output.
FREE = linear([[0, 0]])
APART = linear([[1], [-1]]), FREE
CROSSED = linear([[1, 0], [0, 1]]), FREE
CLOSE = linear([[0.9], [1]]), FREE
EQUAL = linear([[1], [1]]), FREE


def draw(distribution, rng, size):
    return rng.uniform(-1, 1, size) if distribution == "uniform" else rng.standard_normal(size)


def frequency(target, width, inputs, tolerance, distribution="uniform", n_hosts=3000):
    """The 95 % interval of the probability that all units are found in a random host.

    A layer is drawn once the places of the units before are known.
    """
    rng = RandomState(0)
    layers, factor = _scaled(target)
    units = [np.column_stack(layer) for layer in layers]
    epsilons = _tolerances(layers, inputs, tolerance / factor)
    *hidden, (outputs, epsilon) = zip(units, epsilons, strict=True)
    host = draw(distribution, rng, (n_hosts, *outputs.shape))
    found = ((np.abs(host - outputs) <= epsilon) | (outputs == 0)).all(axis=(1, 2))
    for units, epsilon in hidden:
        host = draw(distribution, rng, (n_hosts, width, 1, units.shape[1]))
        fits = ((np.abs(host - units) <= epsilon) | (units == 0)).all(axis=3)
        for i in np.flatnonzero(found):
            found[i] = fits[i][linear_sum_assignment(fits[i], maximize=True)].sum() == len(units)
    return binomtest(int(found.sum()), n_hosts).proportion_ci(0.95, "exact")


# Tolerances -----------------------------------------------------------------------------


def test_tolerances_are_the_formula():
    layers = linear([[1, 1], [0, 1]], [0, 1]), linear([[1, 0.5]])
    # Two units of up to two parameters and inputs of sum 3; one of two, and no unit is active.
    wanted = [0.1 / (2 * 4 * (math.sqrt(1.25) + 0.1)), 0.1 / math.sqrt(2)]
    assert_allclose(_tolerances(layers, np.array([[1.0, -2.0]]), 0.2), wanted)


@pytest.mark.parametrize(
    "sizes", [(1, 1, 1), (3, 5, 4, 2), (1, 1, 200), (2, 1, 40, 1, 40), (4, 30, 30, 30, 3)]
)
def test_parameters_within_the_tolerances_keep_the_outputs_within_the_tolerance(sizes):
    rng = RandomState(0)
    for trial in range(60):
        size, density = rng.choice([0.01, 0.3, 1, 3]), rng.choice([0.2, 1])
        layers = [
            linear(
                rng.normal(0, size, (m, n)) * (rng.uniform(size=(m, n)) < density),
                rng.normal(0, size, m) * (rng.uniform(size=m) < 0.5),
            )
            for n, m in pairwise(sizes)
        ]
        if trial % 2:  # Errors of one sign add up.
            layers = [tuple(np.abs(array) for array in layer) for layer in layers]
        inputs = rng.uniform(0, 1, size=(50, sizes[0]))
        tolerance = rng.choice([0.01, 1, 10])
        epsilons = _tolerances(layers, inputs, tolerance)
        signs = (lambda size: 1) if trial % 2 else (lambda size: rng.choice([-1, 1], size))
        moved = [
            tuple(array + (array != 0) * epsilon * signs(array.shape) for array in layer)
            for layer, epsilon in zip(layers, epsilons, strict=True)
        ]
        error = np.linalg.norm(feed_forward(moved, inputs) - feed_forward(layers, inputs), axis=1)
        assert error.max() <= tolerance


def test_tolerances_are_not_too_small():
    layers = linear([[1]], 1), linear([[1]], 1)
    moved = [
        (weight + epsilon, bias + epsilon)
        for (weight, bias), epsilon in zip(layers, _tolerances(layers, X, 0.1), strict=True)
    ]
    error = np.abs(feed_forward(moved, X) - feed_forward(layers, X)).max()
    # A unit has two parameters, and the root of that is lost.
    assert 0.1 / math.sqrt(2) * 0.9 < error < 0.1


def test_scaled_layers_compute_the_same_up_to_the_factor():
    rng = RandomState(0)
    layers = [
        linear(rng.normal(size=(4, 1)) * 5, rng.normal(size=4)),
        linear(rng.normal(size=(3, 4)) / 9, rng.normal(size=3) * 100),
        linear(np.zeros((3, 3)), 2),
        linear(rng.normal(size=(2, 3))),
    ]
    scaled, factor = _scaled(layers)
    assert [max(np.abs(array).max() for array in layer) for layer in scaled] == [1, 1, 1, 1]
    assert_allclose(feed_forward(scaled, X) * factor, feed_forward(layers, X))


# One unit's chance ----------------------------------------------------------------------


def test_uniform_chance_is_the_tolerance_to_the_power_of_the_parameters():
    unit = np.array([0.3, 0, -0.7, 0.5])
    assert math.exp(_log_overlap(unit, unit, 0.1, "uniform")) == pytest.approx(0.1**3)
    # At the ends, half of the interval is out of reach; wide ones hold everything.
    ends = np.array([1.0, 0, -1])
    assert math.exp(_log_overlap(ends, ends, 0.1, "uniform")) == pytest.approx(0.05**2)
    assert _log_overlap(ends, ends, 2.0, "uniform") == 0


def test_normal_chance_is_the_mass_of_the_intervals():
    unit = np.array([0.3, 0, -1])
    wanted = np.diff(norm.cdf([0.2, 0.4]))[0] * np.diff(norm.cdf([-1.1, -0.9]))[0]
    assert math.exp(_log_overlap(unit, unit, 0.1, "normal")) == pytest.approx(wanted)
    assert _log_overlap(unit, unit, 100.0, "normal") == 0


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_chances_are_precise_for_tiny_tolerances(distribution):
    for parameter in (0.3, 1.0):
        unit = np.array([parameter])
        density = 0.25 * (1 + (parameter < 1)) if distribution == "uniform" else norm.pdf(parameter)
        for epsilon in (1e-4, 1.1e-5, 0.9e-5, 1e-12, 1e-30):
            chance = math.exp(_log_overlap(unit, unit, epsilon, distribution))
            assert chance == pytest.approx(2 * epsilon * density, rel=1e-8, abs=0)


def test_overlap_is_the_chance_of_meeting_both():
    one, other = np.array([0.5, 0, 0.2]), np.array([0.4, -0.3, 0])
    # Between 0.3 and 0.6; within 0.2 of -0.3; within 0.2 of 0.2.
    both = math.exp(_log_overlap(one, other, 0.2, "uniform"))
    assert both == pytest.approx(0.15 * 0.2 * 0.2)
    assert _log_overlap(one, -one, 0.2, "uniform") == -np.inf


# The bound ------------------------------------------------------------------------------


def test_bound_of_a_path_is_worked_by_hand():
    last, first = 0.05 / 2, 0.05 / (2 * 1.05)
    # Weights of 1: half of the interval.
    wanted = last / 2 * (1 - (1 - first / 2) ** 30)
    assert ticket_existence_probability(ReluTask().construct(3), 30, X) == pytest.approx(wanted)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize(
    ("target", "width", "tolerance"), [(RELU, 5, 3), (RELU, 20, 2), (CHAIN, 20, 3), (CHAIN, 80, 2)]
)
def test_bound_of_a_chain_is_how_often_its_units_are_met(target, width, tolerance, distribution):
    bound = ticket_existence_probability(
        target, width, X, tolerance=tolerance, distribution=distribution
    )
    low, high = frequency(target, width, X, tolerance, distribution)
    assert 0.02 < low < bound < high < 0.5


@pytest.mark.parametrize("width", [1, 2, 10, 30, 90])
@pytest.mark.parametrize(
    "target", [APART, CROSSED, CLOSE, EQUAL], ids=["apart", "crossed", "close", "equal"]
)
def test_bound_of_a_layer_of_several_units_is_a_lower_one(target, width):
    inputs = np.zeros((1, target[0][0].shape[1]))
    bound = ticket_existence_probability(target, width, inputs, tolerance=0.5)
    low, high = frequency(target, width, inputs, tolerance=0.5)
    assert bound <= high
    if width == 90:  # Units are easy to find, and the bound is near the truth.
        assert bound > 0.95 * low > 0.8


def test_a_random_unit_does_not_stand_for_two():
    for width in (30, 60, 90):
        bound = ticket_existence_probability(EQUAL, width, X, tolerance=0.5)
        chance = 0.5 / 2 / math.sqrt(2) / 2
        two_or_more = binom.sf(1, width, chance)
        counted_twice = 1 - 2 * (1 - chance) ** width
        assert 0.4 < bound < two_or_more < counted_twice


def test_units_apart_have_the_theorems_bound():
    chance = 0.5 / 2 / math.sqrt(2) / 2
    bound = ticket_existence_probability(APART, 30, X, tolerance=0.5)
    assert bound == pytest.approx(1 - 2 * (1 - chance) ** 30)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_random_networks_contain_the_function_at_least_as_often(distribution):
    """Every path of a network is tried, and only its outputs are looked at."""
    rng, n_hosts, width = RandomState(0), 1000, 50
    _, factor = _scaled(CHAIN)
    weight, bias, outgoing = draw(distribution, rng, (3, n_hosts, width, 1))
    outputs = outgoing * np.maximum(weight * X[:, 0] + bias, 0) * factor
    close = np.abs(outputs - feed_forward(CHAIN, X)[:, 0]).max(axis=2) <= 1
    low, _ = binomtest(int(close.any(axis=1).sum()), n_hosts).proportion_ci(0.95, "exact")
    bound = ticket_existence_probability(CHAIN, width, X, tolerance=1, distribution=distribution)
    assert 0.01 < bound < low


def test_outputs_have_no_choice():
    # Each of two equal weights is met within 1 / 4 by its own random one, an eighth of the time.
    outputs = (linear([[1], [1]]),)
    tolerance = math.sqrt(2) * 2 / 4
    assert ticket_existence_probability(outputs, (), X, tolerance=tolerance) == pytest.approx(
        1 / 64
    )


def test_zeros_ask_for_nothing():
    idle = linear([[1], [0]]), linear([[1, 0], [0, 0]])
    assert ticket_existence_probability(idle, 5, X) == ticket_existence_probability(
        ReluTask().construct(3), 5, X
    )
    nothing = linear([[0.0]]), linear([[0.0]])
    assert ticket_existence_probability(nothing, 1, X) == 1
    assert ticket_existence_width(nothing, X) == 1


def test_bound_does_not_depend_on_the_scale_of_a_layer():
    target = linear([[1], [0.3]], 0.2), linear([[0.4, 1]], 0.1), linear([[1]], -0.7)
    scaled = linear([[5], [1.5]], 1), linear([[0.04, 0.1]], 0.05), linear([[1]], -0.35)
    bounds = [
        ticket_existence_probability(layers, 10**4, X, tolerance=tolerance)
        for layers, tolerance in [(target, 1), (scaled, 0.5)]
    ]
    assert bounds[0] == pytest.approx(bounds[1], rel=1e-12, abs=0)
    assert bounds[0] > 0


def test_tiny_bounds_are_precise():
    path, epsilon = ReluTask().construct(3), 1e-20 / 4
    for width, wanted in [(7, 7 * (epsilon / 2) ** 2), (10**500, epsilon / 2)]:
        bound = ticket_existence_probability(path, width, X, tolerance=1e-20)
        assert bound == pytest.approx(wanted, rel=1e-12, abs=0)


def test_widths_of_hidden_layers_may_differ():
    bounds = [ticket_existence_probability(RELU, width, X) for width in (20, (20, 20), [20, 90])]
    assert bounds[0] == bounds[1] < bounds[2]
    assert ticket_existence_probability(RELU, np.array([20, 90]), X) == bounds[2]


# The width ------------------------------------------------------------------------------


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("target", [RELU, CHAIN, APART, CLOSE])
@pytest.mark.parametrize("probability", [0.01, 0.5, 0.999])
def test_width_is_the_smallest_that_suffices(target, probability, distribution):
    options = {"tolerance": 1, "distribution": distribution}
    width = ticket_existence_width(target, X, probability=probability, **options)
    outputs, enough, short = (
        ticket_existence_probability(target, n, X, **options) for n in (10**30, width, width - 1)
    )
    assert enough / outputs >= probability > short / outputs


def test_width_is_worked_by_hand():
    # The weight is met within 1 / 4, an eighth of the time: (7 / 8)^22 = 0.053.
    assert _tolerances(ReluTask().construct(3), X, 2)[0] == 0.25
    assert ticket_existence_width(ReluTask().construct(3), X, tolerance=2) == 23


@pytest.mark.parametrize("n_parameters", [1, 2, 5])
def test_width_grows_with_the_tolerance_to_the_power_of_the_parameters(n_parameters):
    target = linear(np.full((1, n_parameters), 0.5)), linear([[1]])
    inputs = RandomState(0).uniform(-1, 1, size=(50, n_parameters))
    widths = [ticket_existence_width(target, inputs, tolerance=t) for t in (2e-4, 1e-4)]
    assert widths[1] / widths[0] == pytest.approx(2**n_parameters, rel=1e-3)


def test_widths_beyond_floats_are_found():
    dense = linear(np.full((1, 200), 0.5)), linear([[1]])
    width = ticket_existence_width(dense, np.ones((1, 200)), tolerance=1e-3)
    assert 10**600 < width < 10**2000


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_only_the_sparsest_tickets_exist_by_chance(task):
    inputs = task.sample(1000, RandomState(0))
    width = ticket_existence_width(task.construct(5), inputs, probability=0.5)
    assert width < 300 if task.name == "relu" else width > 10**10


# Errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"tolerance": 0}, "tolerance=0 must be positive"),
        ({"tolerance": np.inf}, "tolerance=inf"),
        ({"tolerance": 5e-324}, "tolerance=5e-324 leaves the parameters of target no room"),
        ({"distribution": "gaussian"}, "'uniform' or 'normal'; got 'gaussian'"),
        ({"width": 0}, "width=0 must be .* 2 hidden layers"),
        ({"width": (5,)}, r"width=\(5,\)"),
        ({"width": (5, 0)}, r"width=\(5, 0\)"),
        ({"X": np.ones((3, 2))}, r"Layer 0 of target has weights of shape \(1, 1\) and gets 2"),
        ({"X": [[np.nan]]}, "Input X contains NaN"),
        ({"target": (*RELU, linear([[1, 1]]))}, "Layer 3 of target"),
        ({"target": (linear([[np.inf]]), *RELU)}, "Layer 0 .* not finite"),
    ],
)
def test_probability_errors(params, message):
    params = {"target": RELU, "width": 5, "X": X} | params
    with pytest.raises(ValueError, match=message):
        ticket_existence_probability(**params)


@pytest.mark.parametrize("probability", [0, 1, -1, np.nan])
def test_width_errors(probability):
    with pytest.raises(ValueError, match=f"probability={probability} must be above 0 and below 1"):
        ticket_existence_width(RELU, X, probability=probability)
