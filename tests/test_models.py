"""The networks of the papers."""

import math

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from skorch import NeuralNetClassifier
from torch import fx, nn

from sklearn_tickets.models import MLP, VGG, ConvNet, LeNet5, LeNet300100, ResNet, initialize
from sklearn_tickets.pruners import RandomPruner

# Small networks of every kind, for images of 8x8 pixels in two colors.
SMALL = {
    "MLP": lambda **params: MLP(128, 3, hidden=(6, 4), **params),
    "LeNet300100": lambda **params: LeNet300100(128, 3, **params),
    "LeNet5": lambda **params: LeNet5(2, 8, 3, **params),
    "ConvNet": lambda **params: ConvNet(2, 8, 3, depth=6, **params),
    "VGG": lambda **params: VGG(2, 8, 3, depth=11, width=0.1, **params),
    "VGG without norms": lambda **params: VGG(2, 8, 3, width=0.1, batch_norm=False, **params),
    "ResNet": lambda **params: ResNet(2, 8, 3, width=0.25, **params),
    "ResNet-18": lambda **params: ResNet(2, 8, 3, depth=18, width=0.05, **params),
}

CHAINS = [name for name in SMALL if "ResNet" not in name]


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_mlp_is_linear_layers_with_relu_between_them():
    net = MLP(2, 1, hidden=(2,))
    with torch.no_grad():
        net.layers[0].weight[:] = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        net.layers[0].bias[:] = torch.tensor([0.0, -1.0])
        net.layers[1].weight[:] = torch.tensor([[1.0, 10.0]])
        net.layers[1].bias[:] = -100
    outputs = net(torch.tensor([[3.0, 9.0], [-3.0, 9.0], [0.5, 9.0]]))
    assert outputs.tolist() == [[-97], [-80], [-99.5]]


@pytest.mark.parametrize(
    ("hidden", "shapes"),
    [
        ((), [(3, 5)]),
        ([7], [(7, 5), (3, 7)]),
        ((7, 6), [(7, 5), (6, 7), (3, 6)]),
    ],
)
def test_mlp_has_the_sizes_asked_for(hidden, shapes):
    net = MLP(5, 3, hidden)
    assert [tuple(layer.weight.shape) for layer in net.layers] == shapes
    assert all(layer.bias is not None for layer in net.layers)
    assert net(torch.zeros(4, 5)).shape == (4, 3)


def test_mlp_flattens_images():
    net, images = MLP(12, 2, hidden=(4,)), torch.rand(5, 3, 2, 2)
    assert torch.equal(net(images), net(images.reshape(5, 12)))


@pytest.mark.parametrize(
    ("network", "args", "params", "n_parameters"),
    [
        (LeNet300100, (784, 10), {}, 266_610),
        (LeNet5, (1, 28, 10), {}, 61_706),
        (LeNet5, (3, 32, 10), {}, 62_006),
        # Without batch normalization: the published convolutions, and 5,130 for ten classes.
        (VGG, (3, 32, 10), {"depth": 11, "batch_norm": False}, 9_220_480 + 5_130),
        (VGG, (3, 32, 10), {"batch_norm": False}, 14_714_688 + 5_130),
        (VGG, (3, 32, 10), {"depth": 19, "batch_norm": False}, 20_024_384 + 5_130),
        (VGG, (3, 32, 10), {}, 14_724_042),
        # With projections as shortcuts.
        (ResNet, (3, 32, 10), {}, 272_474),
        (ResNet, (3, 32, 10), {"depth": 56}, 855_770),
        (ResNet, (3, 32, 10), {"depth": 110}, 1_730_714),
        (ResNet, (3, 32, 10), {"depth": 18}, 11_173_962),
        (ResNet, (3, 224, 1000), {"depth": 18}, 11_689_512),
        (ResNet, (3, 224, 1000), {"depth": 34}, 21_797_672),
    ],
)
def test_parameter_counts_are_the_published_ones(network, args, params, n_parameters):
    with torch.device("meta"):
        assert count(network(*args, **params)) == n_parameters


@pytest.mark.parametrize(
    ("depth", "convolutional", "total"),
    [(2, 38_592, 4_300_992), (4, 259_776, 2_425_024), (6, 1_144_512, 2_261_184)],
)
def test_conv_nets_have_the_published_weights(depth, convolutional, total):
    # But Conv-6: the paper prints 1.7 million in all, and the 1.1 million of its convolutions.
    with torch.device("meta"):
        net = ConvNet(3, 32, 10, depth)
    weights = [p.numel() for p in net.parameters() if p.ndim > 1]
    assert sum(weights[:-3]) == convolutional
    assert sum(weights) == total


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
def test_images_and_rows_of_pixels_give_the_same_logits(make):
    net, images = make().eval(), torch.randn(5, 2, 8, 8)
    with torch.no_grad():
        logits = net(images)
        assert logits.shape == (5, 3)
        assert logits.std() > 0
        assert torch.equal(net(images.flatten(1)), logits)


@pytest.mark.parametrize("image_size", [8, 9, 27, 28, 31, 32, 64, 127, 128, 224])
@pytest.mark.parametrize(
    ("network", "params"),
    [
        (LeNet5, {}),
        (ConvNet, {"depth": 2}),
        (ConvNet, {"depth": 6}),
        (VGG, {"width": 1 / 32}),
        (ResNet, {"width": 1 / 8}),
        (ResNet, {"depth": 18, "width": 1 / 32}),
    ],
)
def test_every_image_size_fits(network, params, image_size):
    with torch.device("meta"):
        net = network(3, image_size, 7, **params)
        assert net(torch.empty(2, 3 * image_size**2)).shape == (2, 7)


def test_lenet_pads_images_that_are_smaller_than_the_published():
    for image_size, n_features in [(8, 64), (27, 576), (28, 400), (31, 400), (32, 400)]:
        assert LeNet5(1, image_size, 2).classifier.linear1.in_features == n_features


def test_vgg_halves_the_image_until_it_is_a_pixel():
    for image_size, n_pools in [(8, 3), (16, 4), (31, 4), (32, 5), (224, 5)]:
        layers = VGG(1, image_size, 2, width=1 / 32).features
        assert sum(isinstance(layer, nn.MaxPool2d) for layer in layers) == n_pools


def test_batch_norm_stands_in_for_biases():
    for net in (VGG(1, 8, 2, width=0.1), ResNet(1, 8, 2)):
        assert all(m.bias is None for m in net.modules() if isinstance(m, nn.Conv2d))
    plain = VGG(1, 8, 2, width=0.1, batch_norm=False)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    assert plain.features.conv1_1.bias is not None


def test_width_multiplies_channels_and_keeps_them_even():
    layers = VGG(1, 8, 2, width=0.07).features
    channels = [layers.get_submodule(f"conv{i}_1").out_channels for i in range(1, 6)]
    assert channels == [4, 8, 18, 36, 36]  # of 4.48, 8.96, 17.92 and 35.84
    with torch.device("meta"):
        assert count(VGG(3, 32, 10, width=2)) == pytest.approx(4 * 14_724_042, rel=0.01)


def test_residual_blocks_add_their_input():
    block = ResNet(1, 8, 2).features.stage1[0].eval()
    images = torch.randn(2, 16, 8, 8)
    nn.init.zeros_(block.conv2.weight)
    with torch.no_grad():
        assert torch.equal(block(images), images.relu())


def test_large_images_meet_the_stem_of_imagenet():
    stems = {
        (18, 64): (3, (1, 1), False),
        (18, 128): (7, (2, 2), True),
        (20, 128): (3, (1, 1), False),
    }
    for (depth, image_size), (kernel_size, stride, pools) in stems.items():
        features = ResNet(3, image_size, 2, depth, width=1 / 8).features
        assert features.conv.kernel_size == (kernel_size, kernel_size)
        assert features.conv.stride == stride
        assert hasattr(features, "pool") == pools


@pytest.mark.parametrize("name", CHAINS)
def test_chain_networks_trace_to_a_chain(name):
    nodes = fx.symbolic_trace(SMALL[name]()).graph.nodes
    assert [len(node.all_input_nodes) for node in nodes] == [0] + [1] * (len(nodes) - 1)
    assert [len(node.users) for node in nodes] == [1] * (len(nodes) - 1) + [0]


def test_residual_networks_can_be_traced():
    net, images = SMALL["ResNet"]().eval(), torch.randn(2, 2, 8, 8)
    assert torch.equal(fx.symbolic_trace(net)(images), net(images))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeNet5(1, 7, 2), "image_size=7 must be at least 8 pixels; pad or enlarge"),
        (lambda: ResNet(1, 4, 2), "image_size=4 must"),
        (lambda: ConvNet(1, 8, 2, depth=3), "depth=3 must be one of 2, 4, 6"),
        (lambda: VGG(1, 8, 2, depth=20), "depth=20 must be one of 11, 13, 16, 19"),
        (lambda: ResNet(1, 8, 2, depth=50), "depth=50 must be one of 18, 20, 32, 34, 44, 56, 110"),
        (lambda: VGG(1, 8, 2, width=0.03), "width=0.03 must be finite and at least 0.03125"),
        (lambda: ResNet(1, 8, 2, width=0.12), "width=0.12 must be finite and at least 0.125"),
        (lambda: ResNet(1, 8, 2, depth=18, width=math.inf), "width=inf .* at least 0.03125"),
        (lambda: MLP(1, 2, init="xavier"), "init must be 'he', .* or None; got 'xavier'"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_pipeline_trains_a_conv_net_on_rows():
    X, y = load_digits(return_X_y=True)
    net = NeuralNetClassifier(
        LeNet5,
        module__n_channels=1,
        module__image_size=8,
        module__n_outputs=10,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.003,
        max_epochs=3,
        train_split=None,
        verbose=0,
    )
    pipeline = make_pipeline(MinMaxScaler(clip=True), net)
    pipeline.fit(X[:1200].astype("float32"), y[:1200])
    assert pipeline.score(X[1200:].astype("float32"), y[1200:]) > 0.6  # chance: 0.1


@pytest.mark.parametrize("network", [VGG, ResNet])
def test_pruners_take_the_networks(network):
    X, y = load_digits(n_class=3, return_X_y=True)
    net = NeuralNetClassifier(
        network,
        module__n_channels=1,
        module__image_size=8,
        module__width=1 / 8,
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    pruner = RandomPruner(net, sparsity=0.5, random_state=0)
    pruner.fit(X[:64].astype("float32"), y[:64])
    assert pruner.predict_proba(X[:5].astype("float32")).shape == (5, 3)


@pytest.mark.parametrize("make", SMALL.values(), ids=SMALL)
@pytest.mark.parametrize("init", ["he", "nonzero-bias", "looks-linear", None])
def test_all_networks_take_all_inits(make, init):
    torch.manual_seed(1)
    net = make(init=init)
    torch.manual_seed(1)
    again = make(init=None)
    initialize(again, init)
    for one, other in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
