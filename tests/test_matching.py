"""Overlap after matching the hidden units."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import (
    ticket_matched_overlap_score,
    ticket_overlap_score,
)
from tests.test_overlap import masks, repeatable


def permuted(mask, rng):
    """The same ticket on other hidden units."""
    weights = [name for name in mask if name.endswith("weight")]
    kept, below = {}, np.arange(mask[weights[0]].shape[1])
    for name in weights:
        n_out = len(mask[name])
        above = np.arange(n_out) if name == weights[-1] else rng.permutation(n_out)
        kept[name] = mask[name][above][:, below]
        bias = name.replace("weight", "bias")
        kept[bias] = mask[bias][above]
        below = above
    return TicketMask(kept)


def planted(layers, width, rng, bias_density=0.5):
    """Place a small network's layers on random units of a chain `width` units wide."""
    n_units = [layers[0].shape[1], *(len(layer) for layer in layers)]
    sizes = [n_units[0], *[width] * (len(layers) - 1), n_units[-1]]
    units = [rng.permutation(size)[:n] for size, n in zip(sizes, n_units, strict=True)]
    kept = {}
    for i, layer in enumerate(layers):
        weight, bias = np.zeros((sizes[i + 1], sizes[i]), bool), np.zeros(sizes[i + 1], bool)
        weight[np.ix_(units[i + 1], units[i])] = layer
        bias[units[i + 1]] = rng.uniform(size=n_units[i + 1]) < bias_density
        kept |= {f"{i}.weight": weight, f"{i}.bias": bias}
    return TicketMask(kept)


def sum_of_squares_layers():
    """Unit counts 2, 4, 2, 20, 4: two features, two rectified halves each, sums, a readout."""
    halves = np.repeat(np.eye(2, dtype=bool), 2, axis=0)
    spread = np.repeat(np.eye(2, dtype=bool), 10, axis=0)
    return [halves, halves.T, spread, np.ones((4, 20), bool)]


def test_matched_overlap_hand_worked():
    truth = TicketMask(
        {"0.weight": [[1, 0], [0, 0]], "0.bias": [1, 0], "1.weight": [[1, 0]], "1.bias": [1]}
    )
    found = TicketMask(
        {"0.weight": [[0, 0], [1, 1]], "0.bias": [0, 1], "1.weight": [[0, 1]], "1.bias": [0]}
    )
    assert ticket_overlap_score(truth, found) == 0
    assert ticket_matched_overlap_score(truth, found) == pytest.approx(3 / 5)


def test_inputs_and_outputs_stay_in_place():
    truth = TicketMask({"0.weight": [[1, 0]], "1.weight": [[1], [0]]})
    found = TicketMask({"0.weight": [[0, 1]], "1.weight": [[0], [1]]})
    assert ticket_matched_overlap_score(truth, found) == 0


@repeatable
@given(masks(), masks())
def test_matched_overlap_is_never_below_the_overlap(mask_true, mask_pred):
    matched = ticket_matched_overlap_score(mask_true, mask_pred)
    assert ticket_overlap_score(mask_true, mask_pred) <= matched <= 1


@repeatable
@given(masks(), st.integers(0, 1000))
def test_permuted_small_masks_match(mask, seed):
    moved = permuted(mask, np.random.RandomState(seed))
    assert ticket_matched_overlap_score(mask, moved) == (mask.n_kept > 0)


@pytest.mark.parametrize("seed", range(5))
def test_moved_ticket_is_recognized(seed):
    rng = np.random.RandomState(seed)
    truth = planted(sum_of_squares_layers(), width=100, rng=rng)
    moved = permuted(truth, rng)
    assert ticket_overlap_score(truth, moved) < 0.5
    assert ticket_matched_overlap_score(truth, moved) == 1


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("units", [(2, 6, 6, 6, 3), (5, 30, 30, 30, 3), (2, *[6] * 9, 2)])
def test_moved_random_ticket_is_recognized(units, seed):
    rng = np.random.RandomState(seed)
    density = 3 / max(units)
    truth = planted([rng.rand(m, n) < density for n, m in pairwise(units)], 50, rng)
    assert ticket_matched_overlap_score(truth, permuted(truth, rng)) == 1


@pytest.mark.parametrize("task", ["relu", "circle", "helix"])
def test_ticket_of_one_host_is_recognized_in_another(task):
    one, other = (
        PlantedTicketGenerator(task, random_state=seed).generate(2).mask for seed in (0, 1)
    )
    assert ticket_overlap_score(one, other) < 0.5
    assert ticket_matched_overlap_score(one, other) == 1


def test_moved_ticket_is_recognized_among_other_weights():
    rng = np.random.RandomState(0)
    truth = planted(sum_of_squares_layers(), width=100, rng=rng)
    clutter = TicketMask({name: rng.rand(*kept.shape) < 0.01 for name, kept in truth.items()})
    moved = permuted(truth, rng) | clutter
    assert ticket_matched_overlap_score(truth, moved) == pytest.approx(
        truth.n_kept / moved.n_kept, rel=0.02
    )


def test_matched_overlap_without_hidden_layers_is_the_overlap():
    truth, found = TicketMask({"weight": [[1, 0]]}), TicketMask({"weight": [[1, 1]]})
    assert ticket_matched_overlap_score(truth, found) == 0.5


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (
            {"0.weight": np.ones((3, 2)), "1.weight": np.ones((1, 4))},
            "'1' has 4 inputs and the layer before it 3 units",
        ),
        ({"conv.weight": np.ones((3, 1, 2, 2))}, r"'conv' has masks of shapes \(3, 1, 2, 2\)"),
        ({"0.bias": np.ones(3)}, "'0' has masks of shapes"),
        ({"0.weight": np.ones((3, 2)), "0.bias": np.ones(2)}, "'0' has masks of shapes"),
        ({"0.w": np.ones((3, 2)), "0.v": np.ones((3, 2))}, "'0' has masks of shapes"),
    ],
)
def test_matching_refuses_what_is_not_a_chain(kept, message):
    with pytest.raises(ValueError, match=message):
        ticket_matched_overlap_score(TicketMask(kept), TicketMask(kept))


@pytest.mark.parametrize("seed", range(20))
def test_one_hidden_layer_is_matched_exactly(seed):
    rng = np.random.RandomState(seed)
    shapes = {"0.weight": (4, 2), "0.bias": (4,), "1.weight": (2, 4), "1.bias": (2,)}
    true, pred = (
        TicketMask({name: rng.rand(*shape) < 0.5 for name, shape in shapes.items()})
        for _ in range(2)
    )
    best = max(
        ticket_overlap_score(
            true,
            TicketMask(
                {
                    "0.weight": pred["0.weight"][order],
                    "0.bias": pred["0.bias"][order],
                    "1.weight": pred["1.weight"][:, order],
                    "1.bias": pred["1.bias"],
                }
            ),
        )
        for order in map(list, permutations(range(4)))
    )
    assert ticket_matched_overlap_score(true, pred) == pytest.approx(best)
