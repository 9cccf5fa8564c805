"""The initial weights of networks."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sklearn_tickets.models import MLP, VGG, LeNet5, initialize


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize("init", ["he", "nonzero-bias"])
def test_weights_have_variance_two_over_fan_in(init):
    net = nn.Sequential(nn.Conv2d(3, 500, 3), nn.Flatten(), nn.Linear(1000, 400))
    initialize(net, init)
    for layer, fan_in in [(net[0], 27), (net[2], 1000)]:
        weights = layer.weight.detach().flatten() * math.sqrt(fan_in / 2)
        assert_allclose(weights.mean(), 0, atol=0.03)
        assert_allclose(weights.std(), 1, rtol=0.02)
        # Normal: 95.4 % within two standard deviations; of uniform numbers all are.
        assert_allclose((weights.abs() < 2).float().mean(), 0.954, atol=0.01)


def test_he_biases_are_zero_and_weights_those_of_nonzero_bias():
    nets = {}
    for init in ("he", "nonzero-bias"):
        torch.manual_seed(0)
        nets[init] = LeNet5(1, 8, 4, init=init)
    for (name, he), nonzero in zip(
        nets["he"].named_parameters(), nets["nonzero-bias"].parameters(), strict=True
    ):
        if "bias" in name:
            assert not he.any()
            assert nonzero.all()
        else:
            assert torch.equal(he, nonzero)


def test_biases_shrink_with_the_product_of_the_weights_deviations():
    # sqrt(2 / 8) = 1/2, sqrt(2 / 18) = 1/3 and sqrt(2 / 3200) = 1/40.
    net = nn.Sequential(nn.Linear(8, 3000), nn.Conv1d(2, 5, 9, bias=False), nn.Linear(3200, 3000))
    initialize(net, "nonzero-bias", bias_scale=0.06)
    assert_allclose(net[0].bias.std().item(), 0.06 / 2, rtol=0.05)
    assert net[1].bias is None
    assert_allclose(net[2].bias.std().item(), 0.06 / 2 / 3 / 40, rtol=0.05)
    assert_allclose(net[2].bias.mean().item(), 0, atol=1e-5)


def test_none_leaves_pytorch_weights_and_the_random_stream():
    net, state = nn.Linear(3, 2), torch.get_rng_state()
    weight = net.weight.detach().clone()
    initialize(net, None)
    assert torch.equal(net.weight, weight)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(0)
    layer = nn.Linear(3, 2)
    torch.manual_seed(0)
    assert torch.equal(MLP(3, 2, hidden=()).layers[0].weight, layer.weight)


@pytest.mark.parametrize("init", ["he", "nonzero-bias", "looks-linear"])
def test_the_seed_decides_and_normalization_layers_stay(init):
    def draw():
        torch.manual_seed(7)
        initialize(net, init)
        return [p.detach().clone() for p in net.parameters()]

    net = VGG(2, 8, 3, depth=11, width=0.1)
    norm = net.features.norm1_1
    nn.init.constant_(norm.weight, 5)
    nn.init.constant_(norm.bias, 6)
    for one, again in zip(draw(), draw(), strict=True):
        assert torch.equal(one, again)
    assert norm.weight.unique().tolist() == [5]
    assert norm.bias.unique().tolist() == [6]


def drawn_in_float64(module):
    module.double()
    initialize(module, "looks-linear")
    return module


def test_looks_linear_weights_are_mirrored_blocks():
    first, hidden, last = MLP(1, 2, hidden=(2, 4), init="looks-linear").layers
    (w,), (minus_w,) = first.weight.tolist()
    assert abs(w) == pytest.approx(1)
    assert minus_w == -w
    block = hidden.weight[:2, :1]
    top = torch.cat([block, -block], dim=1)
    assert torch.equal(hidden.weight, torch.cat([top, -top]))
    assert torch.equal(last.weight[:, 2:], -last.weight[:, :2])
    assert_allclose((last.weight[:, :2] @ last.weight[:, :2].T).detach(), np.eye(2), atol=1e-6)
    assert not any(layer.bias.any() for layer in (first, hidden, last))


def test_looks_linear_network_of_equal_widths_is_a_linear_isometry():
    net = drawn_in_float64(MLP(6, 6, hidden=(12, 12, 12)))
    x, y = torch.randn(2, 50, 6, dtype=torch.float64)
    with torch.no_grad():
        assert_allclose(net(x).norm(dim=1), x.norm(dim=1), rtol=1e-12)
        assert_allclose(net(-x), -net(x), atol=1e-12)
        assert_allclose(net(2 * x - 3 * y), 2 * net(x) - 3 * net(y), atol=1e-12)
        # The hidden units are a signal and its mirror image.
        hidden = net.layers[0](x).relu()
        assert_allclose((hidden[:, :6] * hidden[:, 6:]).abs().max(), 0)
        assert_allclose(hidden.norm(dim=1), x.norm(dim=1), rtol=1e-12)


def test_looks_linear_convolutions_are_linear_and_orthogonal():
    net = drawn_in_float64(
        nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3, stride=2),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(24, 5),
        )
    )
    x, y = torch.randn(2, 4, 3, 10, 10, dtype=torch.float64)
    with torch.no_grad():
        assert_allclose(net(2 * x - 3 * y), 2 * net(x) - 3 * net(y), atol=1e-12)
        assert net(x).abs().min() > 1e-4
        for layer, n_rows, n_channels in [(net[0], 4, 3), (net[2], 3, 4)]:
            W = layer.weight[:n_rows, :n_channels].flatten(1)
            assert_allclose(W @ W.T, np.eye(n_rows), atol=1e-12)


def test_looks_linear_single_layer_is_orthogonal():
    layer = drawn_in_float64(nn.Linear(3, 3))
    assert_allclose((layer.weight @ layer.weight.T).detach(), np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (MLP(4, 2, hidden=(4, 3, 2)), r"layer 'layers\.1' has 4 inputs and 3 outputs.*even"),
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1, groups=4)), "'1' has 1 inputs"),
    ],
)
def test_odd_layers_cannot_look_linear(net, message):
    before = [p.detach().clone() for p in net.parameters()]
    with pytest.raises(ValueError, match=message):
        initialize(net, "looks-linear")
    assert all(torch.equal(old, new) for old, new in zip(before, net.parameters(), strict=True))


@pytest.mark.parametrize("bias_scale", [-1.0, math.inf, math.nan])
def test_bias_scale_out_of_range_is_refused(bias_scale):
    with pytest.raises(ValueError, match=f"bias_scale={bias_scale} must be finite and at least 0"):
        initialize(nn.Linear(2, 2), "nonzero-bias", bias_scale=bias_scale)
