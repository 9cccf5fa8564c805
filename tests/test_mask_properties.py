"""Properties of masks for any input: files that are damaged, scores of any type."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save
from torch import nn

from sklearn_tickets.masks import TicketMask

repeatable = settings(
    derandomize=True,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# Files -------------------------------------------------------------------------------

FORMAT = "sklearn_tickets.TicketMask/1"
MASK = TicketMask({"0.weight": np.eye(3, 4), "0.bias": [1, 0, 1], "1.weight": np.eye(2, 3)})


def load_or_refuse(path, content):
    """Load a file of this content; None if it is refused as it should be."""
    path.write_bytes(content)
    try:
        mask = TicketMask.load(path)
    except ValueError:
        return None
    assert 0 <= mask.n_kept <= mask.n_parameters <= 8 * len(content)
    assert all(kept.dtype == torch.bool for kept in mask.values())
    return mask


def written(bits, shapes):
    return with_text(bits, json.dumps(shapes))


def with_text(bits, text):
    return save(bits, {"format": FORMAT, "shapes": text})


@repeatable
@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path, content):
    assert load_or_refuse(tmp_path / "file", content) is None


@repeatable
@given(data=st.data())
def test_a_damaged_file_is_a_mask_or_refused(tmp_path, data):
    MASK.save(tmp_path / "mask")
    content = bytearray((tmp_path / "mask").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        match data.draw(st.sampled_from(["replace", "insert", "delete", "repeat", "cut"])):
            case "replace":
                content[at] = data.draw(st.integers(0, 255))
            case "insert":
                content[at:at] = data.draw(st.binary(max_size=5))
            case "delete":
                del content[at : at + data.draw(st.integers(1, 9))]
            case "repeat":
                content[at:at] = content[at : at + data.draw(st.integers(1, 9))]
            case "cut":
                del content[at + 1 :]
        if not content:
            break
    load_or_refuse(tmp_path / "file", bytes(content))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
lengths = st.sampled_from([-8, -1, 0, 1, 2, 3, 8, 9, 2**31, 2**62, 2**63, 2**64, 10**30])


@repeatable
@given(
    shapes=st.one_of(
        anything,
        st.fixed_dictionaries({"w": anything}),
        st.fixed_dictionaries({"w": st.lists(lengths, max_size=4)}),
    ),
    bits=arrays(np.uint8, st.integers(0, 3)),
)
def test_shapes_fit_the_bytes_or_are_refused(tmp_path, shapes, bits):
    mask = load_or_refuse(tmp_path / "file", written({"w": bits}, shapes))
    if mask is not None:
        assert list(mask["w"].shape) == shapes["w"]
        assert -(-mask.n_parameters // 8) == len(bits)
        assert mask["w"].flatten().tolist() == np.unpackbits(bits).tolist()[: mask.n_parameters]


@pytest.mark.parametrize(
    "shape",
    [
        [100],
        [-1],
        [-1, -8],
        [],
        [9],
        [16],
        [10**30],
        [10**6] * 2,
        [2**62, 0],
        [1] * 100,
        [8.0],
        [True, 8],
        ["8"],
        8,
        "8",
        None,
        {"8": 1},
    ],
)
def test_contradictory_shapes_are_refused_before_memory_is_taken(tmp_path, shape):
    content = written({"w": np.ones(1 + (shape == []), np.uint8)}, {"w": shape})
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=r"not a complete file written by TicketMask\.save"):
        TicketMask.load(tmp_path / "file")


@pytest.mark.parametrize(
    "content",
    [
        written({"w": np.ones(1, np.uint8), "more": np.ones(1, np.uint8)}, {"w": [8]}),
        written({"w": np.ones(1, np.uint8)}, {"w": [8], "more": [8]}),
        written({"w": np.ones((1, 1), np.uint8)}, {"w": [8]}),
        written({"w": np.ones(1, np.int8)}, {"w": [8]}),
        written({"w": np.ones(1, np.uint16)}, {"w": [8]}),
        written({"w": np.ones(1, np.uint8)}, [["w", [8]]]),
        with_text({"w": np.ones(1, np.uint8)}, "[" * 100_000),
        with_text({"w": np.ones(1, np.uint8)}, '{"w": [8]'),
        written({}, {}),
        save({"w": np.ones(1, np.uint8)}, {"format": FORMAT}),
    ],
    ids=[
        "tensor without a shape",
        "shape without a tensor",
        "two axes",
        "signed",
        "two bytes",
        "list",
        "nested",
        "cut",
        "empty",
        "no shapes",
    ],
)
def test_tensors_and_shapes_that_do_not_fit_are_refused(tmp_path, content):
    assert load_or_refuse(tmp_path / "file", content) is None


# Shrinking ---------------------------------------------------------------------------

SHAPES = {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (4, 2), "2.weight": (2, 0)}
LAYERS = [["0.weight", "0.bias"], ["1.weight"], ["2.weight"]]
TENSORS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e5m2]
TENSORS += [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
ARRAYS = [">f4", "<f8", "f2", ">i2", "u2", "u4", "u8", "i8", "?"]


@st.composite
def shrinkages(draw):
    """A mask, scores with many ties and their values, and a density."""
    mask = TicketMask({name: draw(arrays(bool, shape)) for name, shape in SHAPES.items()})
    scores, values = {}, {}
    for name, shape in SHAPES.items():
        numbers = draw(arrays(np.float64, shape, elements=st.integers(-2, 3)))
        dtype = draw(st.sampled_from(TENSORS + ARRAYS))
        if isinstance(dtype, str):
            unsigned = np.dtype(dtype).kind == "u"
            scores[name] = (abs(numbers) if unsigned else numbers).astype(dtype)
            values[name] = scores[name].astype(float)
        else:
            unsigned = dtype == torch.uint8
            scores[name] = torch.from_numpy(abs(numbers) if unsigned else numbers).to(dtype)
            values[name] = scores[name].double().numpy()
        # What is pruned may have any score.
        if scores[name].dtype in (torch.float32, torch.float64, torch.bfloat16):
            pruned = ~mask[name]
            odd = draw(arrays(np.float64, shape, elements=st.sampled_from([np.nan, np.inf])))
            scores[name][pruned] = torch.from_numpy(odd).to(scores[name])[pruned]
    return mask, scores, values, draw(st.floats(0.01, 1))


@repeatable
@given(shrinkages(), st.sampled_from(["global", "layer", "erk"]), st.integers(0, 100))
def test_shrink_is_what_sorting_gives(shrinkage, scope, seed):
    mask, scores, values, density = shrinkage
    shrunk = mask.shrink(scores, density, scope, rng=seed)
    assert shrunk & mask == shrunk
    assert shrunk == mask.shrink(scores, density, scope, rng=seed)
    groups = [list(SHAPES)] if scope == "global" else LAYERS
    alive = [np.concatenate([mask[n].ravel() for n in names]) for names in groups]
    counts = mask.allocation(scope).counts(density, [int(own.sum()) for own in alive])
    for names, own, count in zip(groups, alive, counts, strict=True):
        after = np.concatenate([shrunk[n].ravel() for n in names])
        ranked = np.concatenate([values[n].ravel() for n in names])
        assert after.sum() == count
        if scope != "erk":
            assert count == min(max(1, round(density * after.size)), own.sum())
        np.testing.assert_array_equal(
            np.sort(ranked[after]), np.sort(ranked[own])[own.sum() - count :]
        )
    if scope == "erk":
        total = max(1, round(density * mask.n_parameters))
        assert shrunk.n_kept == min(total, mask.n_kept)


@repeatable
@given(shrinkages(), st.sampled_from(["global", "layer"]), st.floats(0, 1), st.integers(0, 9))
def test_masks_of_distinct_scores_are_nested(shrinkage, scope, share, seed):
    mask, *_, density = shrinkage
    ranks = np.random.RandomState(seed).permutation(mask.n_parameters)
    ends = np.cumsum([kept.numel() for kept in mask.values()])
    scores = {
        name: part.reshape(kept.shape)
        for (name, kept), part in zip(mask.items(), np.split(ranks, ends[:-1]), strict=True)
    }
    dense, sparse = (mask.shrink(scores, d, scope) for d in (density, max(1e-3, share * density)))
    assert sparse & dense == sparse
    assert dense.shrink(scores, max(1e-3, share * density), scope) == sparse


@pytest.mark.parametrize("scope", ["global", "layer", "erk"])
def test_every_tied_entry_is_as_likely_to_be_kept(scope):
    shapes = {"0.weight": (2, 3), "0.bias": (2,), "1.weight": (2, 4)}
    mask = TicketMask({name: np.ones(shape) for name, shape in shapes.items()})
    scores = {name: torch.zeros(shape) for name, shape in shapes.items()}
    scores["1.weight"][1, 3] = -1
    rng, n = np.random.RandomState(0), 2000
    kept = sum(mask.shrink(scores, 0.5, scope, rng).to_vector().astype(int) for _ in range(n))
    assert kept[-1] == 0
    groups = [kept[:-1]] if scope == "global" else [kept[:8], kept[8:-1]]
    for own in groups:
        share = own.sum() / n / own.size
        assert abs(own / n - share).max() < 4 * np.sqrt(share * (1 - share) / n)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (torch.tensor([1 + 1j, 2]), "real numbers of up to 64 bits, not complex64"),
        (np.array([1, 2], dtype=object), "real numbers of up to 64 bits, not object"),
        (np.array([1, 2], dtype=np.longdouble), "real numbers of up to 64 bits, not float128"),
        (np.array(["1", "2"]), "real numbers of up to 64 bits, not <U1; convert them to float64"),
        (np.array([1, 2], dtype="M8[s]"), "real numbers of up to 64 bits, not datetime"),
        (np.array([2**53, 2**53 + 1]), r"int64 numbers of 2\*\*53 or more.* scale them down"),
        (np.array([0, -(2**60)]), r"int64 numbers of 2\*\*53 or more"),
        (np.array([2**64 - 1, 0], dtype=np.uint64), r"uint64 numbers of 2\*\*53 or more"),
        (torch.zeros(2, device="meta"), "cannot be converted to an array"),
        ([[1.0], 2.0], "cannot be converted to an array"),
        (torch.tensor([1.0, torch.inf]), "NaN or infinite values"),
        (torch.tensor([1.0, torch.nan], dtype=torch.bfloat16), "NaN or infinite values"),
        (torch.tensor([1.0, -torch.inf], dtype=torch.half), "NaN or infinite values"),
    ],
)
def test_scores_that_cannot_be_ranked_are_named(scores, message):
    with pytest.raises(ValueError, match=rf"scores of 0\.weight .*{message}"):
        TicketMask({"0.weight": [1, 1]}).shrink({"0.weight": scores}, 0.5)


@pytest.mark.parametrize(
    "scores",
    [
        torch.tensor([1.0, 2, 3], requires_grad=True),
        nn.Parameter(torch.tensor([1.0, 2, 3])),
        torch.tensor([1.0, 2, 3]).to_sparse(),
        torch.tensor([1 + 3j, 2 + 2j, 3 + 1j]).conj().imag,
        torch.tensor([3.0, 2, 1]).flip(0),
        np.array([3.0, 2, 1])[::-1],
        np.float32([1, 2, 3]),
        [1, 2, 3],
        [-(2**53) + 1, 0, 2**53 - 1],
        np.array([0, 1, 2**53 - 1], dtype=np.uint64),
        np.array([1, 256, 65536], dtype=">f4"),
        np.array([1, 256, 65536], dtype=">i8"),
        [False, False, True],
    ],
)
def test_scores_may_be_any_real_numbers(scores):
    kept = TicketMask({"w": [1, 1, 1]}).shrink({"w": scores}, 1 / 3)
    assert kept["w"].tolist() == [False, False, True]
