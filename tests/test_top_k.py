"""Exact selection of the k-th largest number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.masks._top_k import kth_largest


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_it_is_what_sorting_finds(dtype, data):
    width = np.dtype(dtype).itemsize * 8
    elements = st.one_of(
        st.floats(allow_nan=False, allow_infinity=False, width=width),
        st.sampled_from([0.0, -0.0, 1.0, -1.0]),
    )
    numbers = data.draw(arrays(dtype, st.integers(1, 60), elements=elements))
    k = data.draw(st.integers(1, len(numbers)))
    n_chunks = data.draw(st.integers(1, 5))
    found = kth_largest(lambda: np.array_split(numbers, n_chunks), numbers.dtype, k)
    assert found == np.sort(numbers)[::-1][k - 1]
    assert found.dtype == dtype


def test_numbers_of_several_types_are_compared_in_the_widest():
    chunks = [np.array([0.1], dtype=np.float32), np.array([0.1])]
    assert kth_largest(lambda: chunks, np.dtype(np.float64), 1) == np.float32(0.1)
    assert kth_largest(lambda: chunks, np.dtype(np.float64), 2) == 0.1


def test_selection_is_exact_at_a_million():
    rng = np.random.RandomState(0)
    scores = rng.standard_normal(1_000_000).astype(np.float32)
    kept = TicketMask({"w": np.ones(scores.size)}).shrink({"w": scores}, 0.01, rng=0)["w"].numpy()
    assert kept.sum() == 10_000
    assert scores[kept].min() > scores[~kept].max()
