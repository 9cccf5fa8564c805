"""Planting networks of convolutions, pooling and batch normalization, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
import torch
from numpy.random import RandomState
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional

from sklearn_tickets.datasets import plant_ticket
from sklearn_tickets.datasets.tasks import ReluTask
from sklearn_tickets.models import MLP, VGG, LeNet5
from tests.odd_networks import COMPUTED, OWN, PATCHED, ROWS, UNSTEADY, around, mlp


def draw(module, seed=0, density=1.0):
    """Give a module random weights, some of them 0, and ordinary statistics."""
    rng = torch.Generator().manual_seed(seed)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.randn(tensor.shape, generator=rng) * 0.5
            if tensor.ndim > 1:
                tensor.data *= torch.rand(tensor.shape, generator=rng) < density
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_var.abs_().add_(0.1)
    return module.eval()


def masked_outputs(factory, X):
    """What the ticket alone answers, untrained, in float64."""
    module = factory(output_scale=True).double().eval()
    module.ticket.apply_(module)
    return module(X).detach().numpy()


def image_network(channels, units, batch_norm=False, bias=True):
    """Two convolutions, two poolings, a dropout, and two linear layers on 10 x 10 pixels."""
    one, two = channels
    return nn.Sequential(
        nn.Conv2d(2, one, 3, padding=1, stride=2, bias=bias),
        *([nn.BatchNorm2d(one)] if batch_norm else []),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(one, two, 2, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, stride=1),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(4 * two, units),
        *([nn.BatchNorm1d(units)] if batch_norm else []),
        nn.ReLU(),
        nn.Linear(units, 3),
    )


IMAGES = torch.from_numpy(RandomState(0).standard_normal((20, 2, 10, 10)))


@pytest.mark.parametrize("scaling", ["hidden", "trainable"])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_masked_image_host_is_the_target(batch_norm, scaling):
    target = draw(image_network((3, 4), 5, batch_norm), density=0.4)
    host = draw(image_network((8, 9), 20), seed=1)
    factory = plant_ticket(target, host, scaling=scaling, random_state=0)
    expected = target.double()(IMAGES).detach().numpy()
    assert_allclose(masked_outputs(factory, IMAGES), expected, rtol=1e-4, atol=1e-4)
    assert list(factory.ticket) == [name for name, _ in host.named_parameters()]
    n_weights = sum(p.count_nonzero() for p in target.parameters() if p.ndim > 1)
    planted = sum(kept.sum() for kept in factory.ticket.values() if kept.ndim > 1)
    assert planted <= n_weights


def test_a_mask_of_the_same_sizes_is_not_the_target():
    target = draw(image_network((3, 4), 5), density=0.4)
    factory = plant_ticket(target, draw(image_network((8, 9), 20), seed=1), random_state=0)
    module = factory(output_scale=True).double()
    factory.ticket.shuffled(0).apply_(module)
    expected = target.double()(IMAGES)
    assert (module.eval()(IMAGES) - expected).square().mean() > 0.5 * expected.var()


class Functional(nn.Module):
    """The network written with functions, as many people write it."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(1, channels, 3)
        self.head = nn.Linear(9 * channels, 2)

    def forward(self, X):
        X = X.reshape(-1, 1, 8, 8)
        X = functional.max_pool2d(functional.relu(self.conv(X)), 2)
        X = functional.dropout(X, 0.5, self.training)
        return self.head(X.view(X.size(0), -1))


class Modules(nn.Module):
    """The same network of modules."""

    def __init__(self, channels):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, channels, (3, 3)), nn.ReLU(), nn.MaxPool2d((2, 2)))
        self.out = nn.Linear(9 * channels, 2)

    def forward(self, X):
        return self.out(self.body(X.view(X.shape[0], 1, 8, 8)).flatten(start_dim=1))


@pytest.mark.parametrize("host_class", [Functional, Modules])
@pytest.mark.parametrize("target_class", [Functional, Modules])
def test_functions_and_modules_are_the_same(target_class, host_class):
    target = draw(target_class(2), density=0.5)
    factory = plant_ticket(target, draw(host_class(6), seed=1), random_state=0)
    X = torch.from_numpy(RandomState(0).standard_normal((5, 64)))
    expected = target.double()(X).detach().numpy()
    assert_allclose(masked_outputs(factory, X), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("n_layers", [2, 3, 4, 7])
@pytest.mark.parametrize("hidden", [(), (4,), (6, 2)])
def test_deeper_hosts_copy_the_target(hidden, n_layers):
    if n_layers <= len(hidden):
        return
    target = draw(MLP(3, 2, hidden))
    host = draw(MLP(3, 2, (12,) * (n_layers - 1)), seed=1)
    factory = plant_ticket(target, host, random_state=0)
    X = torch.from_numpy(RandomState(0).standard_normal((50, 3)))
    expected = target.double()(X).detach().numpy()
    assert_allclose(masked_outputs(factory, X), expected, rtol=1e-4, atol=1e-4)


def test_identity_layers_are_of_the_narrowest_width():
    target = ((np.ones((3, 2)), np.ones(3)), (np.ones((1, 3)), np.zeros(1)), ([[2.0]], [0.0]))
    factory = plant_ticket(target, MLP(2, 1, (8,) * 5), random_state=0)
    kept = factory.ticket.summary()["n_kept"]
    assert kept[[f"layers.{i}.weight" for i in range(6)]].tolist() == [6, 3, 1, 1, 1, 1]


def test_a_vgg_of_fifteen_million_weights_gives_its_ticket_a_place():
    torch.manual_seed(0)
    target = draw(VGG(3, 32, 10, width=0.05), density=0.05)
    host = VGG(3, 32, 10, batch_norm=False)
    factory = plant_ticket(target, host, random_state=0)
    assert factory.ticket.n_parameters > 14e6
    X = torch.from_numpy(RandomState(0).standard_normal((2, 3, 32, 32)))
    expected = target.double()(X).detach().numpy()
    assert_allclose(masked_outputs(factory, X), expected, rtol=1e-3, atol=1e-4)


def test_planted_images_nets_are_plain_modules_that_pickle_and_copy():
    target = draw(LeNet5(1, 8, 10), density=0.02)
    factory = plant_ticket(target, LeNet5(1, 8, 10), random_state=0)
    plain, scaled = factory(), factory(output_scale=True)
    assert type(plain) is type(scaled) is LeNet5
    assert [n for n, _ in plain.named_parameters()] == [n for n, _ in scaled.named_parameters()]
    X = torch.zeros(1, 1, 8, 8)
    for copied in (copy.deepcopy(scaled), pickle.loads(pickle.dumps(scaled))):
        assert torch.equal(copied(X), scaled(X))
        assert copied.ticket == factory.ticket


def test_what_was_planted_can_be_planted_again():
    first = plant_ticket(ReluTask().construct(3), draw(MLP(1, 1, (9,))), random_state=0)
    target = first(output_scale=True)
    target.ticket.apply_(target)
    again = plant_ticket(target, draw(MLP(1, 1, (9, 9)), seed=1), random_state=0)
    X = torch.tensor([[-1.0], [0.5], [2.0]], dtype=torch.float64)
    assert_allclose(masked_outputs(again, X).ravel(), [0, 0.5, 2], rtol=1e-6)


class Shortcut(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

    def forward(self, X):
        return self.b(X + self.a(X).relu())


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)

    def forward(self, X):
        return self.a(self.a(X).relu())


class Dynamic(nn.Module):
    def forward(self, X):
        return X if X.sum() > 0 else -X


def small(*layers):
    return nn.Sequential(nn.Conv2d(2, 4, 3), *layers)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (Shortcut(), "target must be a chain of layers.*'add' breaks it"),
        (Twice(), "target uses layer 'a' twice"),
        (Dynamic(), "The forward of target, Dynamic, cannot be traced"),
        (nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2)), "target has Tanh '1', which"),
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "has no ReLU between '0' and '1'"),
        (nn.Sequential(nn.Linear(2, 2), nn.ReLU()), "must end in a Linear layer; it ends in ReLU"),
        (nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(2, 2)), "layer '2' takes 2 inputs"),
        (small(nn.ReLU(), nn.Linear(8, 2)), "no Flatten between maps and the linear '2'"),
        (small(nn.ReLU(), nn.BatchNorm2d(4)), "target has BatchNorm2d '2', which"),
        (nn.Sequential(nn.Conv2d(4, 4, 3, groups=2)), "'0' twice, or in groups"),
        ([(np.ones((2, 2)), np.ones(3))], r"layer 0 .* weight of shape \(2, 2\) .* shape \(3,\)"),
        ([(np.ones((2, 2)), np.ones(2)), (np.ones((1, 3)), [0])], "layer 1 has 2 inputs, a weight"),
    ],
)
def test_targets_that_are_no_chain_are_refused(target, message):
    with pytest.raises(ValueError, match=message):
        plant_ticket(target, MLP(2, 2, (9, 9)))


NARROW = image_network((8, 3), 20)
NO_BIAS = image_network((8, 9), 20, bias=False)
WITH_NORM = image_network((8, 9), 20, batch_norm=True)
OTHER_POOL = copy.deepcopy(image_network((8, 9), 20))
OTHER_POOL[2] = nn.MaxPool2d(2)
OTHER_SIZE = copy.deepcopy(image_network((8, 9), 20))
OTHER_SIZE[8] = nn.Linear(9 * 9, 20)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (NARROW, "host has 3 units in hidden layer 2 and target needs 4"),
        (NO_BIAS, "host has no bias in layer '0' and target needs one"),
        (WITH_NORM, "host has BatchNorm2d '1', which rescales what is planted"),
        (OTHER_POOL, r"host has MaxPool2d\(.*\) where target has AvgPool2d\(kernel_size=2"),
        (OTHER_SIZE, "host reads maps of 9 pixels in layer '8' and target maps of 4"),
        (MLP(200, 3, (9, 9, 9)), r"host has Linear where target has Conv2d\("),
    ],
)
def test_image_hosts_without_room_or_of_another_kind_are_refused(host, message):
    target = draw(image_network((3, 4), 5))
    with pytest.raises(ValueError, match=message):
        plant_ticket(target, host)


class OwnConvolution(nn.Conv2d):
    """A convolution that is another one behind its forward."""

    def _conv_forward(self, *args):
        return 2 * super()._conv_forward(*args)


@pytest.mark.parametrize("name", COMPUTED)
def test_weights_that_are_computed_are_planted(name):
    target = COMPUTED[name]()
    factory = plant_ticket(target, draw(MLP(6, 2, (20,)), seed=1), random_state=0)
    expected = target.eval().double()(ROWS.double()).detach().numpy()
    assert_allclose(masked_outputs(factory, ROWS.double()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PATCHED)
def test_hooks_and_replaced_forwards_are_refused(name):
    message = "has (the forward hook|a forward of its own)"
    with pytest.raises(ValueError, match=f"of target {message}"):
        plant_ticket(PATCHED[name](), MLP(6, 2, (20,)))
    with pytest.raises(ValueError, match=f"of host {message}"):
        plant_ticket(MLP(6, 2, (4,)), PATCHED[name]())


@pytest.mark.parametrize("name", COMPUTED)
def test_hosts_that_compute_their_weights_are_refused(name):
    with pytest.raises(ValueError, match=r"host has \w*Linear '[02]', which rescales what is"):
        plant_ticket(MLP(6, 2, (4,)), COMPUTED[name]())


@pytest.mark.parametrize(
    "name",
    ["own linear layer", "own activation", "own sequence", "between layers"],
)
def test_layers_of_other_kinds_are_refused(name):
    for target, host in ((OWN[name](), MLP(6, 2, (20,))), (MLP(6, 2, (4,)), OWN[name]())):
        with pytest.raises(ValueError, match=r"(target|host) .*breaks it|is not supported"):
            plant_ticket(target, host)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (around(lambda s, X: s.mlp(X[:, [1, 0, 2, 3, 4, 5]])), "breaks it"),
        (around(lambda s, X: s.mlp(functional.dropout(X, 0.5, training=True))), "'dropout'"),
        (UNSTEADY["noise"], "breaks it"),
        (UNSTEADY["counter"], "'mul'"),
        (
            lambda: nn.Sequential(nn.Linear(6, 2), nn.BatchNorm1d(2, track_running_stats=False)),
            "Ba",
        ),
    ],
)
def test_what_happens_between_layers_is_seen(target, message):
    with pytest.raises(ValueError, match=message):
        plant_ticket(target(), MLP(6, 2, (20,)))


def test_planted_tickets_are_compared_with_their_targets():
    target, host = draw(image_network((3, 4), 5)), draw(image_network((8, 9), 20))
    own = OwnConvolution(3, 4, 2, padding=1)
    own.load_state_dict(target[3].state_dict())
    target[3] = own
    with pytest.raises(ValueError, match=r"host has Conv2d.* where target has OwnConvolution"):
        plant_ticket(target, host)
    own.__class__ = type("Conv2d", (OwnConvolution,), {})
    with pytest.raises(ValueError, match="target would not compute the outputs of the planted"):
        plant_ticket(target, host)


def test_arguments_with_defaults_keep_them():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mlp = mlp()

        def forward(self, X, mask=None):
            return self.mlp(X if mask is None else X * mask)

    factory = plant_ticket(Net(), draw(Net(), seed=1), scaling="trainable", random_state=0)
    expected = mlp().double()(ROWS.double()).detach().numpy()
    assert_allclose(masked_outputs(factory, ROWS.double()), expected, rtol=1e-4, atol=1e-4)


def test_averages_of_other_divisors_are_other_layers():
    target, host = draw(image_network((3, 4), 5)), draw(image_network((8, 9), 20))
    host[2] = nn.AvgPool2d(2, divisor_override=3)
    with pytest.raises(ValueError, match="divisor_override=3"):
        plant_ticket(target, host)
