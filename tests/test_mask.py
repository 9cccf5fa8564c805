"""`TicketMask`: a value, exact selection, what is effective, files."""

import base64
import copy
import itertools
import json
import pickle
from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file
from sklearn.base import clone
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner
from tests.instances import make_net

repeatable = settings(derandomize=True, deadline=None, max_examples=60)

# 3 of 6 weights and 1 of 2 biases.
MASK = TicketMask({"0.weight": [[1, 0, 1], [0, 1, 0]], "0.bias": [0, 1]})


def scores_like(mask, rng):
    return {name: torch.from_numpy(rng.randn(*kept.shape)) for name, kept in mask.items()}


def equal_scores(mask):
    return {name: torch.ones(kept.shape) for name, kept in mask.items()}


# A mapping that does not change ------------------------------------------------------


def test_mask_is_a_mapping_of_boolean_tensors():
    assert list(MASK) == ["0.weight", "0.bias"]
    assert len(MASK) == 2
    assert "0.bias" in MASK
    assert "1.bias" not in MASK
    assert MASK["0.weight"].tolist() == [[True, False, True], [False, True, False]]
    assert {name: kept.dtype for name, kept in MASK.items()} == dict.fromkeys(MASK, torch.bool)
    with pytest.raises(KeyError, match=r"1\.bias"):
        MASK["1.bias"]


def test_a_mask_shares_no_memory_with_arrays_and_takes_no_values():
    given_array = np.ones((2, 2), dtype=bool)
    mask = TicketMask({"weight": given_array})
    given_array[:] = False
    mask.to_vector()[:] = False
    assert mask.n_kept == 4
    with pytest.raises(TypeError, match="item assignment"):
        mask["weight"] = torch.zeros(2, 2, dtype=torch.bool)
    with pytest.raises(AttributeError):
        mask.density = 0.5


@pytest.mark.parametrize(
    "values",
    [
        [[True, False]],
        [[1, 0]],
        np.array([[1.0, 0.0]]),
        torch.tensor([[1, 0]]),
        torch.tensor([[1.0, 0.0]], requires_grad=True),
        nn.Parameter(torch.tensor([[1.0, 0.0]])),
        torch.tensor([[1, 0]], dtype=torch.bfloat16),
        torch.tensor([[1, 0]]).to_sparse(),
        np.array([[0, 1]])[:, ::-1],
        np.array([[True, False]], dtype=object),
    ],
)
def test_any_array_of_booleans_or_zeros_and_ones_makes_a_mask(values):
    assert TicketMask({"weight": values})["weight"].tolist() == [[True, False]]


@pytest.mark.parametrize(
    "values",
    [
        [[0.5]],
        [[2]],
        [[-1]],
        [[np.nan]],
        [["0"]],
        [["1"] * 100],
        [[b"0", b"1"]],
        [[None]],
        torch.tensor([[0.1]]),
        torch.tensor([[torch.nan]], dtype=torch.bfloat16),
    ],
)
def test_anything_else_is_refused_by_name(values):
    with pytest.raises(ValueError, match=r"kept\['weight'\] must hold booleans"):
        TicketMask({"weight": values})


@pytest.mark.parametrize("kept", [{}, {"w": []}, {"w": np.ones((3, 0)), "v": np.ones((0, 2))}])
def test_a_mask_without_entries_is_refused(kept):
    with pytest.raises(ValueError, match="at least one parameter with entries"):
        TicketMask(kept)


def test_parameters_without_entries_are_taken_along(tmp_path):
    mask = TicketMask({"0.weight": np.ones((3, 0)), "0.bias": np.ones(3), "1.weight": [[1, 1]]})
    scores = {"0.weight": np.ones((3, 0)), "0.bias": [1, 2, 3], "1.weight": [[4, 5]]}
    kept = mask.shrink(scores, 0.4)
    assert [int(values.sum()) for values in kept.values()] == [0, 0, 2]
    for scope in ("layer", "erk"):
        assert mask.shrink(scores, 0.4, scope).n_kept == 2
    kept.save(tmp_path / "mask")
    assert TicketMask.load(tmp_path / "mask") == kept
    assert kept["0.weight"].shape == (3, 0)
    assert kept.summary()["n_kept"].tolist() == [0, 0, 2]
    assert kept.shuffled(rng=0) | ~kept == mask


@pytest.mark.parametrize("name", [0, None, b"w", ("a", "b")])
def test_keys_that_are_no_names_are_refused(name):
    with pytest.raises(ValueError, match=r"names of parameters as keys; got"):
        TicketMask({name: [1]})


# Counts ------------------------------------------------------------------------------


def test_counts_hand_worked():
    assert (MASK.n_kept, MASK.n_parameters) == (4, 8)
    assert (MASK.density, MASK.sparsity) == (0.5, 0.5)
    assert isinstance(MASK.n_kept, int)
    np.testing.assert_array_equal(MASK.to_vector(), [1, 0, 1, 0, 1, 0, 0, 1])


def test_counts_do_not_see_the_padding_of_packed_bits():
    mask = ~TicketMask({"weight": np.zeros((3, 3))})
    assert (mask.n_kept, mask.n_parameters, (~mask).n_kept) == (9, 9, 0)


def test_summary_has_one_row_per_parameter():
    table = MASK.summary()
    assert list(table.columns) == ["shape", "n_kept", "n_parameters", "density", "sparsity"]
    assert table.index.name == "parameter"
    assert table.loc["0.weight"].tolist() == [(2, 3), 3, 6, 0.5, 0.5]
    assert table.loc["0.bias"].tolist() == [(2,), 1, 2, 0.5, 0.5]


def test_ones_like_covers_weights_then_biases_then_less_what_is_excluded():
    net = MLP(3, 2, hidden=(4,))
    assert list(TicketMask.ones_like(net)) == ["layers.0.weight", "layers.1.weight"]
    assert TicketMask.ones_like(net).density == 1
    assert TicketMask.ones_like(net, prune_bias=True).n_parameters == 3 * 4 + 4 + 4 * 2 + 2
    masked = TicketMask.ones_like(net, prune_bias=True, exclude=["layers.1.*"])
    assert list(masked) == ["layers.0.weight", "layers.0.bias"]


def test_from_nonzero_keeps_what_is_not_zero():
    net = MLP(3, 2, hidden=(4,))
    weight, bias = net.layers[0].weight.data, net.layers[1].bias.data
    weight[0, 0], weight[3, 2], weight[1, 1], bias[1] = 0.0, -0.0, np.nan, 0.0
    mask = TicketMask.from_nonzero(net, prune_bias=True, exclude=["layers.0.bias"])
    assert list(mask) == ["layers.0.weight", "layers.1.weight", "layers.1.bias"]
    assert (~mask["layers.0.weight"]).nonzero().tolist() == [[0, 0], [3, 2]]
    assert mask["layers.1.bias"].tolist() == [True, False]
    assert mask["layers.1.weight"].all()


def test_from_nonzero_is_the_mask_of_a_fitted_network():
    net = MLP(3, 2, hidden=(4,))
    mask = TicketMask(
        {n: torch.rand(kept.shape) < 0.5 for n, kept in TicketMask.ones_like(net).items()}
    )
    mask.apply_(net)
    assert TicketMask.from_nonzero(net) == mask


def test_from_nonzero_of_anything_but_a_module_says_where_the_module_is():
    net = make_net("classifier")
    for wrong in net, MagnitudePruner(net):
        with pytest.raises(TypeError, match=r"net\.module_, .* pruner\.estimator_\.module_"):
            TicketMask.from_nonzero(wrong)


def test_from_nonzero_takes_tied_weights_once_and_refuses_computed_ones():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 2, bias=False))
    net[2].weight = net[0].weight
    net[0].weight.data[0, 1] = 0
    assert TicketMask.from_nonzero(net) == TicketMask({"0.weight": [[1, 0], [1, 1]]})
    torch.nn.utils.prune.random_unstructured(net[0], "weight", amount=0.5)
    with pytest.raises(ValueError, match="'0' of Sequential computes a weight"):
        TicketMask.from_nonzero(net)


# Shrinking ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "density", "expected"),
    [
        ("global", 0.5, [8]),
        ("global", 1.0, [10]),
        # 8 and 8 entries, of which 8 and 2 are left.
        ("layer", 0.5, [4, 2]),
        # What the second cannot keep, the first keeps.
        ("erk", 0.5, [6, 2]),
    ],
)
def test_counts_are_at_most_what_is_left(scope, density, expected):
    first, second = np.ones((2, 4)), np.zeros((2, 4))
    second[0, :2] = 1
    mask = TicketMask({"0.weight": first, "1.weight": second})
    assert mask.counts(density, scope) == expected
    scores = {name: np.random.RandomState(0).rand(2, 4) for name in mask}
    smaller = mask.shrink(scores, density, scope)
    assert smaller.n_kept == sum(expected)
    assert smaller & mask == smaller


def test_shrink_keeps_the_best_globally():
    mask = TicketMask({"a": np.ones((1, 4)), "b": np.ones((1, 4))})
    scores = {"a": torch.tensor([[8.0, 7, 6, 1]]), "b": torch.tensor([[5.0, 4, -3, -9]])}
    shrunk = mask.shrink(scores, 0.5)
    assert shrunk["a"].tolist() == [[True, True, True, False]]
    assert shrunk["b"].tolist() == [[True, False, False, False]]
    assert mask.n_kept == 8


def test_shrink_keeps_the_best_of_each_layer_with_its_bias():
    mask = TicketMask({"0.weight": np.ones((2, 2)), "0.bias": [1, 1], "1.weight": np.ones((1, 2))})
    scores = {
        "0.weight": torch.tensor([[1.0, 2], [3, 4]]),
        "0.bias": torch.tensor([5.0, 0]),
        "1.weight": torch.tensor([[-2.0, -1]]),
    }
    shrunk = mask.shrink(scores, 0.5, "layer")
    assert shrunk["0.weight"].tolist() == [[False, False], [True, True]]
    assert shrunk["0.bias"].tolist() == [True, False]
    assert shrunk["1.weight"].tolist() == [[False, True]]


def test_layers_pool_biases_with_the_weight_of_the_same_suffix():
    mask = TicketMask.ones_like(nn.GRU(2, 3), prune_bias=True)
    shrunk = mask.shrink(equal_scores(mask), 0.5, "layer", rng=0).summary()["n_kept"]
    # 9 x 2 + 9 and 9 x 3 + 9 parameters.
    assert shrunk["weight_ih_l0"] + shrunk["bias_ih_l0"] == round(27 / 2)
    assert shrunk["weight_hh_l0"] + shrunk["bias_hh_l0"] == round(36 / 2)


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize(
    ("density", "expected"), [(1e-9, 1), (0.149, 1), (0.151, 2), (0.5, 5), (1, 10)]
)
def test_shrink_rounds_and_keeps_at_least_one(scope, density, expected):
    mask = TicketMask({"weight": np.ones((2, 5))})
    assert mask.shrink(equal_scores(mask), density, scope, rng=0).n_kept == expected


@st.composite
def shrinkages(draw):
    """A mask, scores with many ties, a density, a scope."""
    shapes = {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (4, 2), "2.bias": (3,)}
    mask = TicketMask({name: draw(arrays(bool, shape)) for name, shape in shapes.items()})
    scores = {
        name: torch.from_numpy(draw(arrays(np.float32, shape, elements=st.integers(-1, 2))))
        for name, shape in shapes.items()
    }
    return mask, scores, draw(st.floats(0.01, 1)), draw(st.sampled_from(["global", "layer"]))


@repeatable
@given(shrinkages(), st.integers(0, 100))
def test_shrink_is_exact_never_revives_and_prefers_high_scores(shrinkage, seed):
    mask, scores, density, scope = shrinkage
    shrunk = mask.shrink(scores, density, scope, rng=seed)
    assert shrunk & mask == shrunk
    assert shrunk == mask.shrink(scores, density, scope, rng=seed)
    groups = [list(mask)]
    if scope == "layer":
        groups = [["0.weight", "0.bias"], ["1.weight"], ["2.bias"]]
    for names in groups:
        before, after = (np.concatenate([m[n].ravel() for n in names]) for m in (mask, shrunk))
        values = np.concatenate([scores[n].ravel() for n in names])
        assert after.sum() == min(max(1, round(density * after.size)), before.sum())
        if (dropped := before & ~after).any() and after.any():
            assert values[after].min() >= values[dropped].max()


def test_ties_are_broken_by_chance_and_not_by_position():
    mask = TicketMask({"weight": np.ones((100, 100))})
    first = mask.shrink(equal_scores(mask), 0.1, rng=0)
    assert first.n_kept == 1000
    rows = first["weight"].sum(dim=1)
    # A tenth of the first 1000 by chance, with a standard deviation of 0.9 percent.
    assert 60 < rows[:10].sum() < 140
    assert 60 < rows[-10:].sum() < 140
    assert first == mask.shrink(equal_scores(mask), 0.1, rng=np.random.RandomState(0))
    assert first != mask.shrink(equal_scores(mask), 0.1, rng=1)


def test_only_ties_at_the_border_are_left_to_chance():
    mask = TicketMask({"weight": np.ones((1, 100))})
    scores = {"weight": torch.tensor([[2.0] * 10 + [1.0] * 80 + [0.0] * 10])}
    drawn = [mask.shrink(scores, 0.5, rng=seed)["weight"][0] for seed in range(20)]
    assert all(kept[:10].all() and not kept[-10:].any() for kept in drawn)
    assert not np.array_equal(drawn[0], drawn[1])


def test_layers_draw_in_the_order_of_the_mask():
    """An order taken from a set of names would differ from one process to the next."""
    mask = TicketMask({f"{i}.bias": np.ones(20) for i in range(12)})
    shrunk = mask.shrink(equal_scores(mask), 0.5, "layer", rng=0)
    rng = np.random.RandomState(0)
    for name in mask:
        alone = TicketMask({name: mask[name]})
        assert torch.equal(alone.shrink(equal_scores(alone), 0.5, rng=rng)[name], shrunk[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_scores_must_be_finite_where_parameters_are_kept(value, scope):
    scores = {"0.weight": torch.ones(2, 3), "0.bias": torch.ones(2)}
    scores["0.weight"][0, 1] = value
    assert MASK.shrink(scores, 0.25, scope, rng=0).n_kept == 2
    scores["0.weight"][0, 0] = value
    with pytest.raises(ValueError, match=r"scores of 0\.weight.* NaN or infinite values for kept"):
        MASK.shrink(scores, 0.25, scope)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"0.weight": torch.ones(2, 3)}, r"'0\.bias' is \(2,\) in the mask and missing there"),
        (
            {"0.weight": torch.ones(3, 2), "0.bias": torch.ones(2)},
            r"scores must cover.*'0\.weight' is \(2, 3\) in the mask and \(3, 2\) there",
        ),
        ({**equal_scores(MASK), "head": torch.ones(1)}, "'head' is missing in the mask"),
    ],
)
def test_scores_must_fit_the_mask(scores, message):
    with pytest.raises(ValueError, match=message):
        MASK.shrink(scores, 0.5)


@pytest.mark.parametrize("density", [0, -0.1, 1.1, float("nan")])
def test_density_out_of_range(density):
    with pytest.raises(ValueError, match="density must be in"):
        MASK.shrink(equal_scores(MASK), density)


def test_unknown_scope():
    with pytest.raises(ValueError, match="scope must be 'global', 'layer' or 'erk'; got 'local'"):
        MASK.shrink(equal_scores(MASK), 0.5, "local")


def test_shuffled_keeps_the_counts_of_every_parameter():
    mask = TicketMask.ones_like(MLP(20, 5, hidden=(10,)), prune_bias=True)
    mask = mask.shrink(scores_like(mask, np.random.RandomState(0)), 0.3)
    shuffled = mask.shuffled(rng=0)
    assert shuffled.summary().equals(mask.summary())
    assert shuffled != mask
    assert shuffled == mask.shuffled(rng=0) != mask.shuffled(rng=1)
    overlap = (mask & shuffled).n_kept / mask.n_kept
    assert 0.15 < overlap < 0.5


def test_shuffled_moves_every_entry_to_every_position():
    mask = TicketMask({"w": [[[1, 0], [0, 0], [0, 0]]], "row": [[1, 0, 0]]})
    drawn = [mask.shuffled(rng=seed).to_vector() for seed in range(150)]
    assert np.sum(drawn, axis=0).min() > 0
    assert all(vector[:6].sum() == vector[6:].sum() == 1 for vector in drawn)


# Algebra -----------------------------------------------------------------------------


def test_set_operations_hand_worked():
    a, b = TicketMask({"w": [[1, 1, 0, 0]]}), TicketMask({"w": [[1, 0, 1, 0]]})
    assert (a & b)["w"].tolist() == [[True, False, False, False]]
    assert (a | b)["w"].tolist() == [[True, True, True, False]]
    assert (~a)["w"].tolist() == [[False, False, True, True]]
    with pytest.raises(ValueError, match=r"the other mask must .*'v' is missing in the mask and"):
        a & TicketMask({"v": [[1]]})
    with pytest.raises(TypeError, match="unsupported operand"):
        a | {"w": [[1, 0, 1, 0]]}


@repeatable
@given(shrinkages(), shrinkages())
def test_masks_are_a_boolean_algebra(first, second):
    a, b = first[0], second[0]
    assert ~(a & b) == ~a | ~b
    assert (a & ~a).n_kept == 0
    assert (a | b).n_kept + (a & b).n_kept == a.n_kept + b.n_kept
    assert ~~a == a


def test_equality_is_of_names_shapes_and_entries_in_any_order():
    reordered = TicketMask({name: MASK[name] for name in reversed(list(MASK))})
    assert reordered == MASK
    assert hash(reordered) == hash(MASK)
    assert len({MASK, reordered, ~MASK}) == 2
    assert TicketMask({"w": [[1, 0]]}) != TicketMask({"w": [[1], [0]]})
    assert TicketMask({"w": [[1, 0]]}) != TicketMask({"v": [[1, 0]]})
    assert TicketMask({"w": [[1, 0]]}) != {"w": [[1, 0]]}


# Applying ----------------------------------------------------------------------------


def linear_mask():
    return TicketMask({"weight": [[1, 0, 1], [0, 1, 0]], "bias": [0, 1]})


def test_apply_gives_new_tensors_only_where_masked():
    state = {name: torch.ones(kept.shape) for name, kept in linear_mask().items()}
    state["weight"][0, 1] = torch.nan
    state["other"] = torch.ones(1)
    masked = linear_mask().apply(state)
    assert masked["weight"].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert masked["bias"].tolist() == [0, 1]
    assert masked["other"] is state["other"]
    assert state["weight"].isnan().sum() == 1
    assert state["bias"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.ones(2, 3)}, r"state.*'bias' is \(2,\) in the mask and missing"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(4, 2)}, r"'bias' .* \(4, 2\) there"),
    ],
)
def test_apply_refuses_a_state_that_does_not_fit(state, message):
    with pytest.raises(ValueError, match=message):
        linear_mask().apply(state)


def test_apply_in_place_gives_exact_zeros_even_for_nan():
    module = nn.Linear(3, 2)
    with torch.no_grad():
        module.weight[0] = torch.tensor([2.0, torch.nan, torch.inf])
        module.weight[1] = torch.tensor([torch.nan, 3.0, -torch.inf])
    linear_mask().apply_(module)
    assert module.weight.tolist() == [[2, 0, torch.inf], [0, 3, 0]]
    assert module.bias[0] == 0
    assert module.bias[1] != 0
    assert module.weight.requires_grad


def test_refused_mask_leaves_the_module_unchanged():
    module = nn.Linear(3, 2)
    before = copy.deepcopy(module.state_dict())
    for wrong in ({"scale": [1]}, {"bias": [1, 1, 1]}):
        mask = TicketMask({"weight": np.zeros((2, 3)), **wrong})
        with pytest.raises(ValueError, match="mask does not fit Linear"):
            mask.apply_(module)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


def test_check_fits_names_what_does_not_fit():
    linear_mask().check_fits(nn.Linear(3, 2))
    with pytest.raises(
        ValueError, match=r"fit Linear: 'weight' has shape \(2, 4\) in the module and \(2, 3\) in"
    ):
        linear_mask().check_fits(nn.Linear(4, 2))
    with pytest.raises(
        ValueError, match=r"fit Linear: the module has no parameter 'bias', only weight\."
    ):
        linear_mask().check_fits(nn.Linear(3, 2, bias=False))


# Effective entries -------------------------------------------------------------------


def test_effective_drops_dead_ends_and_unreached_units():
    """Inputs 0, 1; hidden 0: a path, 1: a dead end, 2: never reached; one output."""
    net = MLP(2, 1, hidden=(3,))
    mask = TicketMask(
        {
            "layers.0.weight": [[1, 0], [1, 1], [0, 0]],
            "layers.0.bias": [1, 1, 1],
            "layers.1.weight": [[1, 0, 1]],
            "layers.1.bias": [1],
        }
    )
    effective = mask.effective(net, np.zeros((1, 2), dtype="float32"))
    assert effective["layers.0.weight"].tolist() == [[True, False], [False] * 2, [False] * 2]
    assert effective["layers.0.bias"].tolist() == [True, False, False]
    assert effective["layers.1.weight"].tolist() == [[True, False, False]]
    assert effective["layers.1.bias"].tolist() == [True]
    np.testing.assert_array_equal(mask.input_support(net, torch.ones(5, 2)), [True, False])


def test_bias_cannot_replace_an_input():
    """The only path ends in a unit that nothing but its bias feeds."""
    net = MLP(1, 1, hidden=(1, 1))
    mask = TicketMask.ones_like(net, prune_bias=True)
    cut = TicketMask({**mask, "layers.1.weight": [[0]]})
    assert mask.effective(net, torch.ones(1, 1)) == mask
    assert cut.effective(net, torch.ones(1, 1)).n_kept == 0
    assert not cut.input_support(net, torch.ones(1, 1)).any()


def paths_of_a_chain(mask, sizes):
    """Mark every entry that some unbroken input-to-output path passes, one path at a time."""
    marked = {name: torch.zeros_like(kept) for name, kept in mask.items()}
    for path in itertools.product(*map(range, sizes)):
        steps = [(f"{2 * i}", j, k) for i, (k, j) in enumerate(itertools.pairwise(path))]
        if all(mask[f"{layer}.weight"][j, k] for layer, j, k in steps):
            for layer, j, k in steps:
                marked[f"{layer}.weight"][j, k] = True
                marked[f"{layer}.bias"][j] = mask[f"{layer}.bias"][j]
    return TicketMask(marked)


CHAIN = (2, 3, 3, 2)


@st.composite
def chain_masks(draw):
    kept = {}
    for i, (n, m) in enumerate(itertools.pairwise(CHAIN)):
        kept[f"{2 * i}.weight"] = draw(arrays(bool, (m, n)))
        kept[f"{2 * i}.bias"] = draw(arrays(bool, m))
    return TicketMask(kept)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.Softplus])
@settings(derandomize=True, deadline=None, max_examples=25)
@given(chain_masks())
def test_effective_agrees_with_a_search_over_all_paths(activation, mask):
    layers = [nn.Linear(n, m) for n, m in itertools.pairwise(CHAIN)]
    net = nn.Sequential(layers[0], activation(), layers[1], activation(), layers[2])
    expected = paths_of_a_chain(mask, CHAIN)
    assert mask.effective(net, torch.zeros(1, 2)) == expected
    np.testing.assert_array_equal(
        mask.input_support(net, torch.zeros(1, 2)), expected["0.weight"].any(dim=0)
    )


class ResidualNet(nn.Module):
    """A convolution, a norm, a residual block, max pooling and a linear readout."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 1)
        self.norm = nn.BatchNorm2d(2)
        self.block = nn.Conv2d(2, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        h = self.norm(self.stem(x)).relu()
        h = h + self.block(h)
        return self.head(self.pool(h).flatten(1))


def residual_mask():
    """The readout sees one pooled position of channel 1; block 1 -> 0 is a dead end."""
    head = np.zeros((2, 8))
    head[0, 4] = 1
    block = np.array([[0, 1], [1, 0]]).reshape(2, 2, 1, 1)
    return TicketMask(
        {"stem.weight": np.ones((2, 1, 1, 1)), "block.weight": block, "head.weight": head}
    )


def test_effective_through_convolution_norm_residual_and_pooling():
    net, mask = ResidualNet(), residual_mask()
    effective = mask.effective(net, torch.zeros(1, 1, 4, 4))
    assert effective["stem.weight"].flatten().tolist() == [True, True]
    assert effective["block.weight"].flatten().tolist() == [False, False, True, False]
    assert effective["head.weight"].nonzero().tolist() == [[0, 4]]


def test_support_of_a_pooled_pixel_is_its_whole_window():
    support = residual_mask().input_support(ResidualNet(), torch.zeros(1, 1, 4, 4))
    assert support.shape == (1, 4, 4)
    assert {tuple(i) for i in np.argwhere(support[0])} == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(kernel_size=(2, 4), ceil_mode=True),
        nn.MaxPool2d(3, padding=1),
        nn.MaxPool2d(2, stride=1, dilation=2),
        nn.AdaptiveMaxPool2d(1),
        nn.AvgPool2d(2),
    ],
)
def test_pooled_images_are_read_everywhere(pool):
    X = torch.zeros(1, 1, 4, 4)
    net = nn.Sequential(nn.Conv2d(1, 1, 1), pool, nn.Flatten())
    net.append(nn.Linear(net(X).shape[1], 2))
    mask = TicketMask.ones_like(net)
    assert mask.input_support(net, X).all()
    assert mask.effective(net, X) == mask


def test_channels_are_connected_whatever_the_norm_scales_them_by():
    """The mask says what is connected; a scale that is 0 today can be trained."""
    net, mask = ResidualNet(), residual_mask()
    before = mask.effective(net, torch.zeros(1, 1, 4, 4))
    with torch.no_grad():
        net.norm.weight[:] = torch.tensor([0.0, -1.0])
    assert mask.effective(net, torch.zeros(1, 1, 4, 4)) == before


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([[0, 0], [1, 0]], [[0, 0], [0, 0]]),
        ([[0, 1], [1, 0]], [[0, 1], [1, 0]]),
        ([[1, 0], [1, 0]], [[1, 0], [1, 0]]),
    ],
)
def test_effective_counts_a_shared_weight_wherever_it_is_used(kept, expected):
    """One 2 x 2 weight, used twice in a row."""
    layer = nn.Linear(2, 2)
    mask = TicketMask({"0.weight": kept})
    effective = mask.effective(nn.Sequential(layer, nn.ReLU(), layer), torch.ones(1, 2))
    assert effective == TicketMask({"0.weight": expected})


class LastOutput(nn.Module):
    def forward(self, outputs_and_state):
        return outputs_and_state[0][:, -1]


class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        self.plus, self.minus = nn.Linear(2, 1), nn.Linear(2, 1)

    def forward(self, x):
        return self.plus(x) - 0.5 * self.minus(x)


@pytest.mark.parametrize(
    "net",
    [
        Difference(),
        nn.Sequential(nn.Linear(2, 4), nn.LogSoftmax(dim=1)),
        nn.Sequential(nn.Linear(2, 4), nn.Softmax(dim=1), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.LayerNorm(4), nn.ELU(inplace=True), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.9), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(2, 4), nn.GLU(), nn.Linear(2, 1)),
        nn.Sequential(nn.Unflatten(1, (2, 1)), nn.LSTM(1, 2, batch_first=True), LastOutput()),
    ],
    ids=lambda net: "-".join(type(part).__name__ for part in net.children()),
)
def test_full_masks_are_effective(net):
    mask = TicketMask.ones_like(net)
    assert mask.effective(net, torch.ones(1, 2)) == mask
    assert mask.input_support(net, torch.ones(1, 2)).all()


def test_weights_outside_the_mask_connect():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    mask = TicketMask({"0.weight": np.ones((2, 2))})
    with torch.no_grad():
        net[1].weight[:] = 0
    assert mask.effective(net, torch.ones(1, 2)) == mask


class LayerScale(nn.Module):
    """A residual block whose branch is scaled by a parameter, 0 at first."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.scale = nn.Parameter(torch.zeros(2))
        self.alpha = nn.Parameter(torch.zeros(()))

    def forward(self, X):
        return self.alpha * (self.scale * self.inner(X))


def test_multiplicative_parameters_do_not_cut():
    net = LayerScale()
    mask = TicketMask.ones_like(net, prune_bias=True)
    assert list(mask) == ["inner.weight", "inner.bias"]
    assert mask.effective(net, torch.ones(1, 2)) == mask


def test_effective_does_not_depend_on_the_weights_and_survives_depth():
    net = MLP(3, 2, hidden=(200,) * 30)
    for parameter in net.parameters():
        nn.init.constant_(parameter, -7.0)
    mask = TicketMask.ones_like(net, prune_bias=True)
    assert mask.effective(net, torch.ones(1, 3)) == mask
    thin = {name: torch.zeros_like(kept) for name, kept in mask.items()}
    for name in thin:
        if name.endswith("weight"):
            thin[name][0, 0] = True
    thin = TicketMask(thin)
    assert thin.effective(net, torch.ones(1, 3)) == thin


def test_effective_leaves_the_module_as_it_was():
    net = ResidualNet()
    net.pool.eval()
    before = copy.deepcopy(net.state_dict())
    flags = [layer.training for layer in net.modules()]
    stream = torch.get_rng_state()
    with torch.no_grad():
        residual_mask().effective(net, torch.randn(3, 1, 4, 4, generator=torch.Generator()))
    assert [layer.training for layer in net.modules()] == flags
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), stream)


def test_effective_refuses_a_module_that_does_not_fit():
    with pytest.raises(ValueError, match="mask does not fit Linear"):
        residual_mask().effective(nn.Linear(2, 2), torch.ones(1, 2))


# Files and copies --------------------------------------------------------------------


def random_mask(*shape, seed=0):
    return TicketMask({"weight": np.random.RandomState(seed).rand(*shape) < 0.3})


def test_save_and_load_round_trip(tmp_path):
    lengths = {f"{length} entries": [1] * length for length in range(18)}
    mask = TicketMask({**MASK, "conv.weight": random_mask(3, 2, 5, 5)["weight"], **lengths})
    mask.save(tmp_path / "mask.safetensors")
    loaded = TicketMask.load(str(tmp_path / "mask.safetensors"))
    assert loaded == mask
    assert list(loaded) == list(mask)
    assert [path.name for path in tmp_path.iterdir()] == ["mask.safetensors"]


# A file that the first version wrote.
GOLDEN = (
    "OAEAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJza2xlYXJuX3RpY2tldHMuVGlja2V0TWFzay8x"
    "Iiwic2hhcGVzIjoie1wiMC53ZWlnaHRcIjogWzIsIDNdLCBcIjAuYmlhc1wiOiBbMl0sIFwiMS53ZWlnaHRc"
    "IjogWzEsIDldfSJ9LCIwLmJpYXMiOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6"
    "WzAsMV19LCIwLndlaWdodCI6eyJkdHlwZSI6IlU4Iiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbMSwy"
    "XX0sIjEud2VpZ2h0Ijp7ImR0eXBlIjoiVTgiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOlsyLDRdfX0g"
    "ICAgICBAqP+A"
)
GOLDEN_MASK = TicketMask({**{name: MASK[name] for name in MASK}, "1.weight": [[1] * 9]})


def test_a_file_of_an_earlier_version_loads(tmp_path):
    (tmp_path / "mask").write_bytes(base64.b64decode(GOLDEN))
    assert TicketMask.load(tmp_path / "mask") == GOLDEN_MASK
    assert list(TicketMask.load(tmp_path / "mask")) == list(GOLDEN_MASK)


def test_another_format_is_refused(tmp_path):
    content = base64.b64decode(GOLDEN).replace(b"TicketMask/1", b"TicketMask/2")
    (tmp_path / "mask").write_bytes(content)
    with pytest.raises(ValueError, match=r"its format is 'sklearn_tickets\.TicketMask/2'"):
        TicketMask.load(tmp_path / "mask")


@pytest.mark.parametrize(
    "name", ["", ".", "weight", "a b", "größe", "重み", "a\0b\n", "/" * 300, "*"]
)
def test_any_name_is_saved(tmp_path, name):
    mask = TicketMask({name: [1, 0], "0.weight": [[1]]})
    mask.save(tmp_path / "mask")
    assert TicketMask.load(tmp_path / "mask") == mask
    assert mask.shrink({name: [1, 2], "0.weight": [[3]]}, 1, "layer") == mask


@pytest.mark.parametrize("name", ["__metadata__", "\ud800"])
def test_names_that_a_file_cannot_hold_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"__metadata__|surrogates"):
        TicketMask({name: [1, 0]}).save(tmp_path / "mask")
    assert not list(tmp_path.iterdir())


def test_file_takes_a_bit_per_parameter(tmp_path):
    random_mask(400, 200).save(tmp_path / "mask")
    assert (tmp_path / "mask").stat().st_size < 80_000 / 8 + 500


@pytest.mark.parametrize("share", [0, 0.01, 0.2, 0.5, 0.999])
def test_truncated_file_is_refused(tmp_path, share):
    path = tmp_path / "mask"
    random_mask(100, 100).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"path='.*mask' is not a complete file written by Tick"):
        TicketMask.load(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"{}", pickle.dumps({"weight": [True]})])
def test_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="is not a complete file written by TicketMask"):
        TicketMask.load(tmp_path / "file")


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_safetensors_file_without_a_mask_is_refused(tmp_path, metadata):
    save_file({"weight": np.ones((2, 2), "float32")}, tmp_path / "file", metadata=metadata)
    with pytest.raises(ValueError, match=r"not a complete file .*: its format is"):
        TicketMask.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("shape", "packed", "problem"),
    [
        ([9], np.zeros(1, "uint8"), r"takes 2 bytes, not \[1\] of type U8"),
        ([9], np.zeros(2, "int8"), r"takes 2 bytes, not \[2\] of type I8"),
        ([3, -3], np.zeros(1, "uint8"), r"has the shape \[3, -3\]"),
    ],
)
def test_bits_that_do_not_fit_their_shape_are_refused(tmp_path, shape, packed, problem):
    metadata = {"format": "sklearn_tickets.TicketMask/1", "shapes": json.dumps({"weight": shape})}
    save_file({"weight": packed}, tmp_path / "file", metadata=metadata)
    with pytest.raises(ValueError, match=f"not a complete file .*{problem}"):
        TicketMask.load(tmp_path / "file")


def test_missing_file_and_directory_are_named(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError, match=f"{path.name}' does not exist or is not a fi"):
            TicketMask.load(path)


def test_saving_replaces_at_once_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "mask"
    MASK.save(path)
    old = path.read_bytes()
    with path.open("rb") as reader:
        random_mask(9, 9).save(path)
        assert reader.read() == old
    assert TicketMask.load(path) == random_mask(9, 9)

    def full_disk(partial, content):
        partial.write_text("half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        MASK.save(path)
    assert TicketMask.load(path) == random_mask(9, 9)
    assert list(tmp_path.iterdir()) == [path]


def test_copies_are_equal_and_pickle_packs_bits():
    mask = random_mask(400, 200)
    pickled = pickle.dumps(mask)
    assert len(pickled) < 80_000 / 8 + 1000
    for copied in (pickle.loads(pickled), copy.deepcopy(mask), copy.copy(mask)):
        assert copied == mask
        assert hash(copied) == hash(mask)
    assert clone(mask, safe=False) == mask


def test_the_state_is_plain_data_for_safe_formats():
    # skops calls `__reduce__`, and writes a state of dictionaries, arrays and numbers.
    _, _, state = MASK.__reduce__()
    assert {type(bits) for bits in state["bits"].values()} == {np.ndarray}
    assert state["shapes"] == {"0.weight": (2, 3), "0.bias": (2,)}
    copied = TicketMask.__new__(TicketMask)
    copied.__setstate__(state)
    assert copied == MASK


def test_representations():
    assert repr(MASK) == "TicketMask(4 of 8 parameters)"
    assert repr(~random_mask(100, 100) | random_mask(100, 100)) == (
        "TicketMask(10,000 of 10,000 parameters)"
    )
    html = TicketMask({"<b>": [[1, 0, 0]]})._repr_html_()
    assert "TicketMask(1 of 3 parameters)" in html
    assert "0.3333" in html
    assert "<td>(1, 3)</td>" in html
    assert "&lt;b&gt;" in html


def test_masks_of_rounds_combine():
    masks = [random_mask(4, 4, seed=seed) for seed in range(3)]
    assert reduce(TicketMask.__and__, masks).n_kept <= min(mask.n_kept for mask in masks)
