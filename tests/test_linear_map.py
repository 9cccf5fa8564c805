"""`LinearMap`: the arrays of layers, and batch normalization folded into them."""

import pytest
import torch
from torch import nn

from sklearn_tickets._network import BATCH_NORMS, LinearMap
from sklearn_tickets.models import ScaledLinear


def test_the_arrays_share_memory_with_the_layer():
    layer = nn.Conv2d(3, 5, 2)
    linear_map = LinearMap.of(layer, n_inputs=3)
    assert linear_map.weight.shape == (5, 3, 4)
    with torch.no_grad():
        linear_map.weight[4, 2, 3], linear_map.bias[0] = 7, 8
    assert (layer.weight[4, 2, 1, 1], layer.bias[0]) == (7, 8)


def test_a_linear_layer_reads_flattened_maps_through_taps():
    layer = nn.Linear(6, 2, bias=False)
    linear_map = LinearMap.of(layer, n_inputs=3)
    assert torch.equal(linear_map.weight[:, 1], layer.weight[:, 2:4])
    assert linear_map.bias is None


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("layer_class", "settings", "shape"),
    [
        (nn.Linear, {}, (5, 4)),
        (nn.Conv1d, {"kernel_size": 2}, (5, 4, 3)),
        (nn.Conv2d, {"kernel_size": 2}, (5, 4, 3, 3)),
        (nn.Conv3d, {"kernel_size": 2}, (5, 4, 3, 3, 3)),
    ],
)
def test_folding_keeps_the_outputs(layer_class, settings, shape, bias):
    layer = layer_class(4, 3, bias=bias, **settings).double()
    norm = BATCH_NORMS[layer_class](3).double()
    for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
        nn.init.uniform_(tensor, 0.5, 2)
    folded = LinearMap.of(layer, n_inputs=4).fold(norm.eval())
    X = torch.randn(shape).double()
    expected = norm(layer(X))
    layer.weight = nn.Parameter(folded.weight.reshape(layer.weight.shape))
    layer.bias = nn.Parameter(folded.bias)
    torch.testing.assert_close(layer(X), expected)


@pytest.mark.parametrize("bias", [False, True])
def test_a_scaled_layer_becomes_a_plain_one(bias):
    scaled = ScaledLinear(nn.Linear(3, 2, bias=bias), torch.tensor([2.0, 0.5]))
    X, stream = torch.randn(4, 3), torch.get_rng_state()
    plain = scaled.plain()
    assert torch.equal(torch.get_rng_state(), stream)
    assert type(plain) is nn.Linear
    torch.testing.assert_close(plain(X), scaled(X))
    assert (plain.bias is None) is not bias
    assert plain.weight.data_ptr() != scaled.weight.data_ptr()


def test_folding_adds_eps_to_small_variances():
    layer, norm = nn.Linear(2, 3).double(), nn.BatchNorm1d(3, eps=0.1).double().eval()
    norm.running_var.fill_(1e-3)
    folded = LinearMap.of(layer, n_inputs=2).fold(norm)
    X = torch.randn(5, 2).double()
    torch.testing.assert_close(X @ folded.weight[:, :, 0].T + folded.bias, norm(layer(X)))
    torch.testing.assert_close(folded.weight[:, :, 0], layer.weight.detach() / 0.101**0.5)
