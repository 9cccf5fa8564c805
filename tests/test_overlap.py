"""Metrics of masks: hand-worked values, bounds and chance levels."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import (
    ticket_chance_level,
    ticket_f1_score,
    ticket_matched_overlap_score,
    ticket_overlap_score,
    ticket_precision_score,
    ticket_recall_score,
)

METRICS = [
    ticket_overlap_score,
    ticket_precision_score,
    ticket_recall_score,
    ticket_f1_score,
]
ALL_METRICS = [*METRICS, ticket_matched_overlap_score]
SIZES = (2, 4, 3, 1)
repeatable = settings(derandomize=True, deadline=None, max_examples=50)
TRUTH = TicketMask({"0.weight": [[1, 1, 0, 0]], "1.weight": [[1, 1, 0, 0, 0]]})
FOUND = TicketMask({"0.weight": [[0, 1, 1, 1]], "1.weight": [[0, 0, 0, 1, 1]]})


@st.composite
def masks(draw):
    """A mask of a small chain of Linear layers, with biases."""
    kept = {}
    for layer, (n_in, n_out) in enumerate(pairwise(SIZES)):
        kept[f"{layer}.weight"] = draw(arrays(bool, (n_out, n_in)))
        kept[f"{layer}.bias"] = draw(arrays(bool, n_out))
    return TicketMask(kept)


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (ticket_overlap_score, 1 / 8),
        (ticket_precision_score, 1 / 5),
        (ticket_recall_score, 1 / 4),
        (ticket_f1_score, 2 / 9),
    ],
)
def test_hand_worked(metric, expected):
    assert metric(TRUTH, FOUND) == pytest.approx(expected)
    assert isinstance(metric(TRUTH, FOUND), float)


@pytest.mark.parametrize("metric", ALL_METRICS)
def test_perfect_and_disjoint(metric):
    truth = TicketMask({"weight": [[1, 1, 0]]})
    assert metric(truth, truth) == 1
    assert metric(truth, ~truth) == 0


@pytest.mark.parametrize("metric", ALL_METRICS)
def test_empty_masks_score_zero(metric):
    full = TicketMask({"weight": [[1, 1]]})
    for pair in ((full, ~full), (~full, full), (~full, ~full)):
        assert metric(*pair) == 0


@pytest.mark.parametrize("metric", ALL_METRICS)
def test_only_common_parameters_count(metric):
    truth = TicketMask({"weight": [[1, 0]], "bias": [1]})
    found = TicketMask({"weight": [[1, 0]], "other": [1]})
    assert metric(truth, found) == 1


@pytest.mark.parametrize("metric", [*ALL_METRICS, ticket_chance_level])
def test_incompatible_masks(metric):
    mask = TicketMask({"0.weight": [[1, 0]], "1.weight": [[1]]})
    with pytest.raises(ValueError, match="no parameter in common"):
        metric(mask, TicketMask({"head.weight": [[1, 0]]}))
    with pytest.raises(
        ValueError, match=r"'1\.weight' has shape \(1, 1\) in mask_true and \(2, 1\)"
    ):
        metric(mask, TicketMask({"0.weight": [[1, 0]], "1.weight": [[1], [0]]}))
    with pytest.raises(TypeError, match="mask_pred must be a TicketMask"):
        metric(mask, {"0.weight": [[1, 0]]})


@repeatable
@given(masks(), masks())
def test_bounds_and_identities(mask_true, mask_pred):
    overlap = ticket_overlap_score(mask_true, mask_pred)
    precision = ticket_precision_score(mask_true, mask_pred)
    recall = ticket_recall_score(mask_true, mask_pred)
    f1 = ticket_f1_score(mask_true, mask_pred)
    assert 0 <= overlap <= min(precision, recall) <= max(precision, recall) <= 1
    assert f1 == pytest.approx(2 * overlap / (1 + overlap))
    assert overlap == ticket_overlap_score(mask_pred, mask_true)
    assert f1 == ticket_f1_score(mask_pred, mask_true)
    assert precision == ticket_recall_score(mask_pred, mask_true)


def test_chance_level_hand_worked():
    # 2 * 3 / 4 + 2 * 2 / 5 = 2.3 hits with fixed layers, 4 * 5 / 9 = 2.22 without.
    assert ticket_chance_level(TRUTH, FOUND) == pytest.approx(2.3 / (4 + 5 - 2.3))
    assert ticket_chance_level(TRUTH, FOUND, ticket_precision_score) == pytest.approx(2.3 / 5)
    assert ticket_chance_level(
        TRUTH, FOUND, ticket_recall_score, per_parameter=False
    ) == pytest.approx(20 / 9 / 4)


@pytest.mark.parametrize("metric", METRICS)
def test_chance_level_is_the_mean_of_shuffled_masks(metric):
    rng = np.random.RandomState(0)
    truth, found = (
        TicketMask({"0.weight": rng.rand(20, 10) < p, "1.weight": rng.rand(8, 20) < 2 * p})
        for p in (0.1, 0.2)
    )
    scores = [metric(truth, found.shuffled(rng)) for _ in range(1000)]
    error = np.std(scores) / np.sqrt(len(scores))
    assert ticket_chance_level(truth, found, metric) == pytest.approx(
        np.mean(scores), abs=4 * error
    )


@repeatable
@given(masks(), masks())
def test_chance_level_of_a_full_mask_is_its_score(mask_true, mask_pred):
    assert 0 <= ticket_chance_level(mask_true, mask_pred) <= 1
    assert ticket_chance_level(mask_true, mask_true | ~mask_true) == pytest.approx(
        ticket_overlap_score(mask_true, mask_true | ~mask_true)
    )


def test_chance_level_of_another_metric():
    with pytest.raises(ValueError, match="metric must be one of ticket_overlap_score"):
        ticket_chance_level(TRUTH, FOUND, ticket_matched_overlap_score)
