"""How a density is spread over layers: hand-worked counts, and exact totals."""

import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sklearn_tickets.masks import Allocation, TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    EdgePopupPruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
    SynFlowPruner,
)
from tests.instances import make_net


@pytest.mark.parametrize(
    ("sparsity", "counts"),
    [
        # Weights of 4 x 2, 8 x 4 and 1 x 8: sum / product = 6/8, 12/32 and 9/8.
        # 12 of 48, factor 12/27: 2.67, 5.33 and 4.
        (0.75, [3, 5, 4]),
        # 36 of 48: the last is full, then the first; 20 are left for the second.
        (0.25, [8, 20, 8]),
        (0, [8, 32, 8]),
    ],
)
def test_small_layers_are_denser(sparsity, counts):
    mask = TicketMask.ones_like(MLP(2, 1, hidden=(4, 8)))
    assert mask.allocation("erk").counts(1 - sparsity) == counts


def test_a_bias_shares_the_density_of_its_weight():
    # 8 + 4, 32 + 8 and 8 + 1; factor 20 / (12 * 6/8 + 40 * 3/8 + 9 * 9/8) = 0.584.
    mask = TicketMask.ones_like(MLP(2, 1, hidden=(4, 8)), prune_bias=True)
    assert mask.allocation("erk").counts(20 / 61) == [5, 9, 6]
    assert mask.allocation("layer").counts(0.5) == [6, 20, 4]
    assert mask.allocation("global").counts(0.5) == [30]


def test_what_is_gone_is_made_up_for_by_other_layers():
    # 12 of 48 as above; of the first layer a single entry is left, so the others share 11.
    mask = TicketMask.ones_like(MLP(2, 1, hidden=(4, 8)))
    assert mask.allocation("erk").counts(0.25, [1, 32, 8]) == [1, 6, 5]
    assert mask.allocation("layer").counts(0.25, [1, 32, 8]) == [1, 8, 2]


@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=6),
    density=st.floats(1e-3, 1),
    left=st.floats(0, 1),
)
def test_the_total_is_exact(sizes, density, left):
    shapes = {f"{i}.weight": shape for i, shape in enumerate(pairwise(sizes))}
    n = sum(int(np.prod(shape)) for shape in shapes.values())
    limits = [round(left * int(np.prod(shape))) for shape in shapes.values()]
    counts = Allocation(shapes, "erk").counts(density, limits)
    assert sum(counts) == min(max(1, round(density * n)), sum(limits))
    assert all(0 <= count <= limit for count, limit in zip(counts, limits, strict=True))


def test_an_unknown_scope_is_named():
    with pytest.raises(ValueError, match="scope must be 'global', 'layer' or 'erk'; got 'local'"):
        Allocation({"weight": (2, 2)}, "local")


def test_an_allocation_needs_shapes():
    with pytest.raises(ValueError, match="shapes is empty"):
        Allocation({})


@pytest.mark.parametrize("density", [0, -1, 1.01, float("nan"), float("inf")])
@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_a_density_out_of_range_is_named(scope, density):
    with pytest.raises(ValueError, match=r"density must be in \(0, 1\]; got"):
        Allocation({"weight": (2, 2)}, scope).counts(density)


@pytest.mark.parametrize("limits", [[], [1], [1, 2, 3]])
def test_limits_are_one_number_per_group(limits):
    allocation = Allocation({"0.weight": (2, 2), "1.weight": (2, 2)}, "layer")
    with pytest.raises(ValueError, match="one number for each of 2 groups"):
        allocation.counts(0.5, limits)


@pytest.mark.parametrize("empty", [(0, 3), (3, 0), (0, 0), (2, 0, 2)])
def test_parameters_without_entries_keep_none(empty):
    shapes = {"0.weight": empty, "1.weight": (2, 4)}
    for scope in ("layer", "erk"):
        counts = Allocation(shapes, scope).counts(0.5, [0, 8])
        assert counts == [0, 4]
    assert Allocation(shapes, "erk").counts(0.5) == [0, 4]
    assert Allocation(shapes).counts(0.5) == [4]


def test_many_layers_take_a_moment():
    # Twice as many layers with a search through all of them for each would take minutes.
    shapes = {f"{i}.bias": (3,) for i in range(20_000)}
    began = time.process_time()
    assert Allocation(shapes, "layer").counts(0.3) == [1] * 20_000
    assert time.process_time() - began < 5


def test_a_layer_may_be_left_without_entries():
    scores = {"0.weight": torch.rand(50, 50), "1.weight": torch.rand(2, 2)}
    mask = TicketMask({name: torch.ones_like(score) for name, score in scores.items()})
    kept = mask.shrink(scores, 1 / 2504, "erk", rng=0)
    assert [kept[name].sum() for name in kept] == mask.allocation("erk").counts(1 / 2504)
    assert kept.n_kept == 1


@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize(
    "cls", [RandomPruner, MagnitudePruner, SNIPPruner, SynFlowPruner, EdgePopupPruner]
)
def test_pruners_allocate_by_layer_size(cls):
    X = np.random.RandomState(0).randn(60, 4).astype("float32")
    net = make_net("classifier", module__hidden=(16, 4), max_epochs=2)
    pruner = cls(net, sparsity=0.7, scope="erk", random_state=0).fit(X, X[:, 0] > 0)
    layers = [int(kept.sum()) for kept in pruner.mask_.values()]
    assert layers == pruner.mask_.allocation("erk").counts(0.3)
