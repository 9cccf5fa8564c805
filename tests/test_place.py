"""Selection where the scores are: tensors on a device give the same masks as arrays."""

import numpy as np
import pytest
import torch

from sklearn_tickets.masks import TicketMask, _packed_mask
from sklearn_tickets.masks._place import on_device, pack, place_of, top_k_on_device, unpack
from sklearn_tickets.masks._top_k import top_k

CPU = torch.device("cpu")


@pytest.mark.parametrize("n_entries", [0, 1, 7, 8, 9, 1000])
def test_bits_are_those_of_numpy(n_entries):
    kept = np.random.RandomState(0).rand(n_entries) < 0.3
    bits = np.packbits(kept)
    np.testing.assert_array_equal(pack(torch.from_numpy(kept)), bits)
    np.testing.assert_array_equal(unpack(CPU, bits, n_entries), kept)


@pytest.mark.parametrize("k", [0, 1, 30, 250, 330, 349, 350])
@pytest.mark.parametrize("n_values", [3, 10**6], ids=["ties", "distinct"])
def test_the_same_are_marked_as_on_the_cpu(k, n_values):
    """Also the same of equal ones: both draw the same numbers."""
    rng = np.random.RandomState(0)
    scores = [rng.randint(-n_values, n_values, size=n).astype("float32") for n in (0, 100, 400)]
    alive = [rng.permutation(len(part)) < 0.7 * len(part) for part in scores]
    expected = top_k(scores, alive, k, np.random.RandomState(1))
    tensors = [[torch.from_numpy(part) for part in parts] for parts in (scores, alive)]
    found = top_k_on_device(*tensors, k, np.random.RandomState(1))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(other, one)


@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_masks_shrink_in_the_same_way(scope, monkeypatch):
    rng = np.random.RandomState(0)
    shapes = {"0.weight": (30, 11), "0.bias": (30,), "1.weight": (5, 30)}
    mask = TicketMask({name: rng.rand(*shape) < 0.8 for name, shape in shapes.items()})
    scores = {name: torch.from_numpy(rng.randint(9, size=s) / 2) for name, s in shapes.items()}
    expected = mask.shrink(scores, 0.3, scope, rng=2)
    monkeypatch.setattr(_packed_mask, "place_of", lambda scores: on_device(CPU))
    found = mask.shrink(dict(reversed(scores.items())), 0.3, scope, rng=2)
    assert found == expected
    assert list(found) == list(expected)
    scores["0.bias"][:] = torch.nan
    with pytest.raises(ValueError, match=r"scores of 0\.bias contain NaN"):
        mask.shrink(scores, 0.3, scope)
    with pytest.raises(ValueError, match="missing there"):
        mask.shrink({}, 0.3, scope)


def test_scores_that_are_not_all_on_a_device_are_selected_on_the_cpu():
    here = torch.zeros(2)
    for values in ([here, [1, 2]], [here.int()], [here.to_sparse()], [here.to("meta")], []):
        assert place_of(values).top_k is top_k
