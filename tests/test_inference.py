"""Inference in float64, and hidden features."""

import copy
import threading

import numpy as np
import torch
from torch import nn

from sklearn_tickets._network import hidden_features, infer
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


def test_hidden_features_of_a_mask_of_biases_alone():
    net = initialized()
    mask = TicketMask.ones_like(net.module_, prune_bias=True, exclude=["*.weight"])
    assert hidden_features(net.module_, X, mask).shape == (60, 8)
