"""Inference, in float64 and of large networks in float32, and hidden features."""

import copy
import threading

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets._network import (
    as_tensor,
    hidden_features,
    infer,
    normalization_statistics,
    rows_per_batch,
)
from sklearn_tickets._random import seeded
from sklearn_tickets.masks import TicketMask
from tests.small_nets import X, assert_same_state, initialized


def test_inference_is_the_forward_pass_in_float64():
    net = initialized()
    outputs = infer(net.module_, X)
    assert outputs.dtype == np.float64
    assert outputs.shape == (60, 1)
    np.testing.assert_array_equal(
        outputs, copy.deepcopy(net.module_).double()(torch.from_numpy(X).double()).detach()
    )


def test_rows_do_not_depend_on_the_rows_beside_them():
    with seeded(0, "cpu"):
        module = nn.Sequential(
            nn.Linear(20, 300), nn.BatchNorm1d(300), nn.ReLU(), nn.Dropout(), nn.Linear(300, 5)
        )
    data = np.random.RandomState(0).randn(2500, 20).astype("float32")
    whole = infer(module, data)
    for chosen in (slice(1), slice(1000, 1100), slice(None, None, 7), [2499, 0]):
        np.testing.assert_allclose(
            infer(module, data[chosen]), whole[chosen], rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize(
    ("n_hidden", "dtype"), [(999, torch.float64), (1000, torch.float32)], ids=["below", "from"]
)
def test_networks_of_a_million_parameters_compute_in_their_own_dtype(n_hidden, dtype):
    with seeded(0, "cpu"):
        module = nn.Linear(1000, n_hidden, bias=False)
    data = np.random.RandomState(0).randn(200, 1000).astype("float32")
    outputs, subset = infer(module, data), infer(module, data[50:60])
    assert outputs.dtype == np.float64
    assert (outputs == outputs.astype("float32")).all() == (dtype == torch.float32)
    expected = copy.deepcopy(module).to(dtype)(torch.from_numpy(data).to(dtype)).detach()
    tolerance = 100 * torch.finfo(dtype).eps
    np.testing.assert_allclose(outputs, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(subset, outputs[50:60], rtol=tolerance, atol=tolerance)


def test_a_large_network_reads_all_rows_in_small_batches():
    with seeded(0, "cpu"):
        module = nn.Sequential(nn.Linear(5000, 200), nn.BatchNorm1d(200), nn.Linear(200, 2))
    data = np.random.RandomState(0).randn(500, 5000).astype("float32")
    assert rows_per_batch(module, data) == 128
    assert rows_per_batch(module, data.reshape(500, 2, 50, 50)) == 32
    assert rows_per_batch(module, data[:, :8]) == rows_per_batch(nn.Linear(5000, 2), data) == 1024
    first, last = module[0], module[2]
    hidden = hidden_features(module, data, ["2.weight"])
    assert hidden.shape == (500, 200)
    statistics = normalization_statistics(module, data, {})
    inside = first(torch.from_numpy(data)).detach()
    torch.testing.assert_close(statistics["1.running_mean"], inside.mean(dim=0), atol=1e-5, rtol=0)
    assert statistics["1.num_batches_tracked"] == 4
    torch.testing.assert_close(torch.from_numpy(hidden), inside / (1 + 1e-5) ** 0.5)
    expected = last(torch.from_numpy(hidden)).detach()
    np.testing.assert_allclose(infer(module, data), expected, atol=1e-5)


def test_errors_of_a_large_network_are_its_own():
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        infer(nn.Linear(1000, 1000), X)


def test_inference_leaves_the_module_as_it_was():
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 1))
    module[1].eval()
    before = copy.deepcopy(module.state_dict())
    infer(module, X, {name: value * 2 for name, value in before.items()})
    hidden_features(module, X, TicketMask.ones_like(module))
    assert_same_state(dict(module.state_dict()), dict(before))
    assert [layer.training for layer in module] == [True, False, True, True]
    assert all(not layer._forward_pre_hooks for layer in module)


def test_inference_with_other_weights():
    module = nn.Linear(3, 1)
    state = {"weight": torch.tensor([[1.0, 0, 0]]), "bias": torch.tensor([0.5])}
    np.testing.assert_allclose(infer(module, X, state)[:, 0], X[:, 0] + 0.5)


class Tied(nn.Module):
    """An autoencoder whose halves share a weight, with a buffer that is not saved."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        self.decode.weight = self.encode.weight
        self.register_buffer("rotation", torch.eye(3).flip(0), persistent=False)

    def forward(self, x):
        return self.decode(self.encode(x) @ self.rotation)


def test_inference_with_shared_weights_and_unsaved_buffers():
    module = Tied()
    expected = module(torch.from_numpy(X)).detach()
    np.testing.assert_allclose(infer(module, X), expected, atol=1e-5)
    mask = TicketMask({"encode.weight": np.eye(3)})
    masked = infer(module, X, mask.apply(module.state_dict()))
    mask.apply_(module)
    np.testing.assert_allclose(infer(module, X), masked)
    assert not np.allclose(masked, expected)


def test_outputs_of_one_axis_become_a_column():
    module = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0))
    assert infer(module, X).shape == (60, 1)


def test_threads_may_share_a_module():
    with seeded(0, "cpu"):
        module = nn.Sequential(nn.Linear(3, 50), nn.Dropout(), nn.Linear(50, 2))
    mask = TicketMask.ones_like(module)
    expected, hidden = infer(module, X), hidden_features(module, X, mask)
    wrong = []

    def work():
        for _ in range(40):
            try:
                np.testing.assert_allclose(infer(module, X), expected)
                np.testing.assert_allclose(hidden_features(module, X, mask), hidden)
                assert mask.effective(module, X) == mask
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    assert all(layer.training for layer in module)


def test_hidden_features_are_the_inputs_of_the_last_layer():
    net = initialized()
    mask = TicketMask.ones_like(net.module_)
    hidden = hidden_features(net.module_, X, mask)
    assert hidden.dtype == np.float32
    expected = net.module_.layers[0](torch.from_numpy(X)).relu().detach()
    np.testing.assert_allclose(hidden, expected, rtol=1e-5, atol=1e-6)


class FloatInside(nn.Module):
    """Its initial state has torch's default dtype, as in many recurrent networks."""

    def __init__(self):
        super().__init__()
        self.norm, self.gru, self.head = nn.BatchNorm1d(3), nn.GRU(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        start = torch.zeros(1, len(x), 4)
        return self.head(self.gru(self.norm(x)[None], start)[0][-1])


class CastInside(FloatInside):
    def forward(self, x):
        return self.head(self.gru(self.norm(x).float()[None])[0][-1])


class TableInside(FloatInside):
    table = torch.eye(3)

    def forward(self, x):
        return self.head(self.gru((self.norm(x) @ self.table)[None])[0][-1])


class BuiltInside(FloatInside):
    def forward(self, x):
        rows = torch.stack([torch.tensor(row) for row in self.norm(x).tolist()])
        return self.head(self.gru(rows[None])[0][-1])


class NumpyInside(FloatInside):
    def forward(self, x):
        rows = torch.from_numpy(self.norm(x).detach().numpy().astype("float32"))
        return self.head(self.gru(rows[None])[0][-1])


@pytest.mark.parametrize("kind", [FloatInside, CastInside, TableInside, BuiltInside, NumpyInside])
def test_a_forward_in_float32_is_computed_in_float32(kind):
    with seeded(0, "cpu"):
        module = kind()
    module.eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(X))
    outputs = infer(module, X)
    assert outputs.dtype == np.float64
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        infer(module, X, {"head.weight": torch.zeros(2, 4)}),
        module.head.bias.detach().expand(60, 2),
    )
    statistics = normalization_statistics(module, X, {})
    np.testing.assert_allclose(
        statistics["norm.running_mean"], X.mean(axis=0), rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        statistics["norm.running_var"], X.var(axis=0, ddof=1), rtol=1e-5, atol=1e-6
    )
    assert statistics["norm.num_batches_tracked"] == 1
    assert hidden_features(module, X, ["head.weight"]).shape == (60, 4)
    assert module.norm.num_batches_tracked == 0


class WorksInPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x):
        self.calls += 1
        hidden = self.a(x.mul_(2))
        hidden += self.b(hidden).mul_(0) - 1
        return hidden


def test_a_forward_that_works_in_place_changes_nothing_outside():
    module, data = WorksInPlace(), X.copy()
    expected = module.a(2 * torch.from_numpy(X)).detach() - 1
    np.testing.assert_allclose(infer(module, data), expected, atol=1e-6)
    hidden = hidden_features(module, data, ["b.weight"])
    np.testing.assert_allclose(hidden, expected + 1, atol=1e-6)
    np.testing.assert_array_equal(data, X)
    assert module.calls == 0


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(3, 2), nn.Flatten(0)),
        nn.Sequential(nn.Linear(3, 60), nn.Unflatten(1, (2, 30)), nn.Flatten(0, 1)),
    ],
)
def test_outputs_without_an_axis_of_rows_are_an_error(module):
    with pytest.raises(ValueError, match=r"outputs of shape \(120.* for 60 rows\. The first axis"):
        infer(module, X)


def memmap(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def read_only(tmp_path):
    array = X.copy()
    array.setflags(write=False)
    return array


LAYOUTS = {
    "reversed": lambda tmp_path: X[::-1].copy()[::-1],
    "mirrored": lambda tmp_path: X[:, ::-1].copy()[:, ::-1],
    "every second": lambda tmp_path: np.repeat(X, 2, axis=0)[::2],
    "Fortran": lambda tmp_path: np.asfortranarray(X),
    "big-endian": lambda tmp_path: X.astype(">f4"),
    "broadcast": lambda tmp_path: np.broadcast_to(X[0], X.shape),
    "memmap": memmap,
    "read-only": read_only,
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_arrays_of_any_layout_become_tensors(make, tmp_path):
    array = make(tmp_path)
    tensor = as_tensor(array)
    np.testing.assert_array_equal(tensor, array)
    assert tensor.is_contiguous()
    tensor += 1
    np.testing.assert_array_equal(array, make(tmp_path))


def test_plain_arrays_are_shared():
    array = X.copy()
    assert as_tensor(array).data_ptr() == array.ctypes.data
    assert as_tensor(tensor := torch.from_numpy(array)) is tensor


def test_predictions_in_inference_mode():
    net = initialized()
    mask = TicketMask.ones_like(net.module_)
    expected = infer(net.module_, X), hidden_features(net.module_, X, mask)
    with torch.inference_mode():
        np.testing.assert_array_equal(infer(net.module_, X), expected[0])
        np.testing.assert_array_equal(hidden_features(net.module_, X, mask), expected[1])


class Backwards(nn.Module):
    """The layer that is declared first is executed last."""

    def __init__(self):
        super().__init__()
        self.last, self.conv = nn.Linear(18, 1), nn.Conv2d(1, 2, 2)

    def forward(self, x):
        return self.last(self.conv(x).flatten(1))


def test_hidden_features_are_of_the_layer_executed_last_and_flat():
    module = Backwards()
    images = np.random.RandomState(0).randn(1500, 1, 4, 4).astype("float32")
    hidden = hidden_features(module, images, TicketMask.ones_like(module))
    expected = module.conv(torch.from_numpy(images)).flatten(1).detach()
    np.testing.assert_allclose(hidden, expected, rtol=1e-4, atol=1e-5)
    without_last = TicketMask.ones_like(module, exclude=["last.weight"])
    np.testing.assert_array_equal(
        hidden_features(module, images, without_last), images.reshape(1500, 16)
    )


def test_hidden_features_are_of_the_last_call_of_a_layer():
    class Again(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.a(self.b(self.a(x)))

    module = Again()
    expected = module.b(module.a(torch.from_numpy(X))).detach()
    hidden = hidden_features(module, X, TicketMask.ones_like(module))
    np.testing.assert_allclose(hidden, expected, atol=1e-6)


def test_batches_count_the_same_in_normalization_statistics():
    rows = np.arange(1500, dtype="float32")[:, None]
    statistics = normalization_statistics(nn.BatchNorm1d(1), rows, {})
    assert statistics["running_mean"].item() == pytest.approx(749.5)
    # Of two batches of 750 rows each.
    assert statistics["running_var"].item() == pytest.approx(750 * 751 / 12)
    # The last batch has more than one row.
    assert normalization_statistics(nn.BatchNorm1d(1), rows[:1025], {})["num_batches_tracked"] == 2


def test_hidden_features_of_a_mask_of_biases_alone():
    net = initialized()
    mask = TicketMask.ones_like(net.module_, prune_bias=True, exclude=["*.weight"])
    assert hidden_features(net.module_, X, mask).shape == (60, 8)


class ListOfWeights(nn.Module):
    """A network of parameters only, in a list."""

    def __init__(self):
        super().__init__()
        self.ws = nn.ParameterList([torch.ones(3, 4), torch.ones(4, 2)])

    def forward(self, x):
        return (x @ self.ws[0]).relu() @ self.ws[1]


class Wrapped(nn.Module):
    """A layer whose parameters are in a dictionary, between others."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.block = ListOfWeights()
        self.block.ws = nn.ParameterDict({"0": torch.ones(3, 4), "1": torch.ones(4, 2)})
        self.block.forward = lambda x: x @ self.block.ws["0"] @ self.block.ws["1"]

    def forward(self, x):
        return self.block(self.first(x))


class UsesWeightsOfOthers(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return nn.functional.linear(nn.functional.linear(x, self.a.weight), self.b.weight)


class RowsSecond(nn.Module):
    """The recurrent layer takes (steps, rows, features); there is no other layer."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 2)

    def forward(self, x):
        return self.rnn(x.T[:, :, None])[0][-1]


class RowsAndSteps(RowsSecond):
    """A layer is called on three rows for each row."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(1, 2)

    def forward(self, x):
        return self.a(x.reshape(-1, 1)).reshape(len(x), 3, 2).sum(1)


class CalledWithNothing(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = ListOfWeights()
        self.scale.forward = lambda: self.scale.ws[0]

    def forward(self, x):
        return x @ self.scale()


class CalledWithATuple(CalledWithNothing):
    def __init__(self):
        super().__init__()
        self.scale.forward = lambda pair: pair[0] @ self.scale.ws[0]

    def forward(self, x):
        return self.scale((x, None))


@pytest.mark.parametrize(
    "kind",
    [
        ListOfWeights,
        UsesWeightsOfOthers,
        RowsSecond,
        RowsAndSteps,
        CalledWithNothing,
        CalledWithATuple,
    ],
)
@pytest.mark.parametrize("n_rows", [1, 2, 3, 60])
def test_hidden_features_without_a_layer_to_read_are_those_around_it(kind, n_rows):
    module = kind()
    hidden = hidden_features(module, X[:n_rows], TicketMask.ones_like(module))
    np.testing.assert_array_equal(hidden, X[:n_rows])


def test_hidden_features_of_parameters_in_a_dictionary():
    module = Wrapped()
    hidden = hidden_features(module, X, TicketMask.ones_like(module))
    expected = module.first(torch.from_numpy(X)).detach()
    np.testing.assert_allclose(hidden, expected, rtol=1e-5, atol=1e-6)


def test_hidden_features_of_numbers_without_an_axis_are_a_column():
    module = nn.Sequential(nn.Linear(3, 1), nn.Flatten(0), nn.Embedding(3, 2))
    module[1].forward = lambda x: (x[:, 0] > 0).long()
    hidden = hidden_features(module, X, TicketMask.ones_like(module))
    assert hidden.shape == (60, 1)
    assert set(hidden.ravel()) <= {0.0, 1.0}
