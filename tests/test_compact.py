"""`compact`: the same outputs, computed by no more units than they need."""

import copy
import io
import pickle

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional
from torch.nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.export import compact
from sklearn_tickets.models import MLP, VGG, ConvNet, LeNet5, ResNet
from sklearn_tickets.pruners import GivenMaskPruner, RandomPruner
from tests.odd_networks import COMPUTED, OWN, PATCHED, UNSTEADY, mlp
from tests.odd_networks import ROWS as ROWS_OF_6

IMAGES = torch.randn(8, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
NETWORKS = {
    "MLP": lambda: MLP(64, 5, (40, 30, 20)),
    "LeNet5": lambda: LeNet5(1, 8, 5),
    "ConvNet": lambda: ConvNet(1, 8, 5, depth=2),
    "VGG": lambda: VGG(1, 8, 5, depth=11, width=0.25),
    "ResNet": lambda: ResNet(1, 8, 5, width=0.5),
}


def pruned(module, density, X=IMAGES, seed=0, dtype=torch.float64):
    """Draw random weights of the given density and an ordinary scale, and normalize."""
    rng = torch.Generator().manual_seed(seed)
    module.to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng) / 4)
            if parameter.ndim > 1:
                parameter.mul_(torch.rand(parameter.shape, generator=rng) < density)
                parameter.mul_(8 / max(parameter[0].numel() * density, 1) ** 0.5)
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.weight.add_(1)
        # Batch normalization forgets a tenth of its statistics each time.
        for _ in range(20 if list(module.buffers()) else 0):
            module.train()(X.to(dtype))
    return module.eval()


def assert_same(module, X=IMAGES, tolerance=1e-12):
    """Compact a module, check that it computes the same, and return it."""
    small = compact(module, X)
    expected, outputs = module.eval()(X), small(X)
    assert not small.training
    assert outputs.dtype == expected.dtype
    scale = float(expected.detach().abs().max())
    torch.testing.assert_close(outputs, expected, rtol=0, atol=tolerance * scale)
    return small


def sizes(module):
    """Numbers of inputs and outputs of every layer."""
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return [x.weight.shape[1::-1] for x in module.modules() if isinstance(x, layers)]


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("density", [1, 0.3, 0.01])
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_stay_the_same(name, density):
    module = pruned(NETWORKS[name](), density)
    outputs = module(IMAGES)
    if density > 0.1:
        assert outputs.std(dim=0).max() > 0.05 * outputs.abs().max(), "hardly depends on inputs"
    small = assert_same(module)
    assert n_parameters(small) <= n_parameters(module)
    if density < 0.1:
        assert n_parameters(small) < 0.7 * n_parameters(module)
    single = pruned(NETWORKS[name](), density, dtype=torch.float32)
    assert_same(single, IMAGES.float(), tolerance=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_collapsed_networks_keep_one_unit_in_each_layer(name):
    small = assert_same(pruned(NETWORKS[name](), 0))
    (n_inputs, _), *others, (_, n_outputs) = sizes(small)
    assert (n_inputs, n_outputs) == (sizes(NETWORKS[name]())[0][0], 5)
    assert all(1 in pair for pair in others)


# Constants and dead ends -----------------------------------------------------------------


def test_a_worked_example():
    # Of three hidden units one is alive, one a constant relu(3), and nothing reads the third.
    module = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    module[0].weight.data = torch.tensor([[1.0, 2.0], [0.0, 0.0], [5.0, 6.0]])
    module[0].bias.data = torch.tensor([-1.0, 3.0, 7.0])
    module[2].weight.data = torch.tensor([[4.0, 10.0, 0.0]])
    module[2].bias.data = torch.tensor([0.5])
    small = compact(module)
    assert {name: value.tolist() for name, value in small.state_dict().items()} == {
        "0.weight": [[1.0, 2.0]],
        "0.bias": [-1.0],
        "2.weight": [[4.0]],
        "2.bias": [30.5],
    }
    assert sizes(small) == [(2, 1), (1, 1)]
    assert str(small.get_submodule("0")) == "Linear(in_features=2, out_features=1, bias=True)"


def test_constants_are_followed_through_layers():
    # Nothing reads the first unit but a dead end; the others of the second layer are constants.
    first, second, last = nn.Linear(1, 2), nn.Linear(2, 3), nn.Linear(3, 1, bias=False)
    first.weight.data = torch.tensor([[1.0], [0.0]])
    first.bias.data = torch.tensor([0.0, 0.5])
    second.weight.data = torch.tensor([[0.0, 2.0], [0.0, -9.0], [1.0, 1.0]])
    second.bias.data = torch.tensor([1.0, 1.0, 1.0])
    last.weight.data = torch.tensor([[5.0, 7.0, 0.0]])
    module = nn.Sequential(first, nn.LeakyReLU(0.25), second, nn.LeakyReLU(0.25), last)
    X = torch.tensor([[-1.0], [3.0]])
    small = assert_same(module, X)
    assert sizes(small) == [(1, 1), (1, 1), (1, 1)]
    # 5 (2 0.5 + 1) + 7 (1 - 9 0.5) / 4, in a layer that had no bias before.
    assert small(X).tolist() == [[3.875], [3.875]]
    assert small.get_submodule("4").bias.tolist() == [3.875]


def convolutions(*between, padding=0, **settings):
    """Four channels, of which two are constants and one is always 0; then two channels."""
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        *between,
        nn.Conv2d(4, 2, 3, padding=padding, **settings),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 3),
    )
    pruned(module, 1)
    module[0].weight.data[1:] = 0
    module[0].bias.data = torch.tensor([0.1, 0.5, 0.7, -1.0]).double()
    return module


@pytest.mark.parametrize(
    ("module", "n_kept"),
    [
        (convolutions(nn.ReLU()), 1),
        (convolutions(nn.ReLU(), nn.MaxPool2d(3, stride=1, padding=1)), 1),
        (convolutions(nn.ReLU(), nn.AvgPool2d(2, stride=1)), 1),
        (convolutions(nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Dropout2d()), 1),
        (convolutions(nn.ReLU(), padding="valid"), 1),
        (convolutions(nn.ReLU(), padding=1, padding_mode="reflect"), 1),
        # The constants differ from 0 but not at the border: one stands for both.
        (convolutions(nn.ReLU(), padding=1), 2),
        (convolutions(nn.ReLU(), padding="same"), 2),
        (convolutions(nn.ReLU(), padding=(0, 2), stride=2, dilation=2), 2),
        # Averages near the border are others.
        (convolutions(nn.ReLU(), nn.AvgPool2d(2, padding=1)), 3),
        (convolutions(nn.ReLU(), nn.AvgPool2d(2, divisor_override=3)), 3),
        # Of tanh, the third constant is not 0.
        (convolutions(nn.Tanh(), padding=1), 2),
        (convolutions(nn.Tanh()), 1),
    ],
)
def test_constant_channels_go_as_far_as_padding_permits(module, n_kept):
    assert sizes(assert_same(module))[:2] == [(1, n_kept), (n_kept, 2)]


def test_constants_move_through_flattened_maps():
    module = nn.Sequential(
        nn.Conv1d(1, 3, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Flatten(1),
        nn.Linear(12, 4),
        nn.ReLU(),
        nn.Linear(4, 2),
    )
    X = IMAGES[:, 0, :1]
    pruned(module, 1, X)[0].weight.data[1] = 0
    module[0].bias.data[1] = 0.3
    assert sizes(assert_same(module, X)) == [(1, 2), (8, 4), (4, 2)]


# Residual networks -----------------------------------------------------------------------


def test_blocks_lose_channels_that_the_stream_keeps():
    module = pruned(ResNet(1, 8, 5, width=0.5), 1)
    block = module.features.stage2[1]
    block.norm1.weight.data[:10] = block.norm1.bias.data[:10] = 0
    small = assert_same(module).get_submodule("features.stage2.1")
    assert sizes(small) == [(16, 6), (6, 16)]


def test_streams_lose_channels_that_are_dead_in_all_branches():
    module = pruned(ResNet(1, 8, 5, width=0.5), 1)
    stage = module.features.stage3
    norms = [stage[0].shortcut.norm, *(block.norm2 for block in stage)]
    for norm in norms:
        norm.weight.data[:20] = norm.bias.data[:20] = 0
    small = assert_same(module)
    assert sizes(small)[-1] == (12, 5)
    assert sizes(small.get_submodule("features.stage3.1")) == [(12, 32), (32, 12)]
    norms[1].bias.data[:20] = 1
    assert sizes(assert_same(module))[-1] == (13, 5), "a channel for all constants"
    norms[1].weight.data[:20] = 1
    assert sizes(assert_same(module))[-1] == (32, 5)


def test_batch_normalization_is_folded():
    small = assert_same(pruned(VGG(1, 8, 5, depth=11, width=0.1), 0.5))
    assert not any("norm" in name for name, _ in small.named_modules())


# Networks as people write them -----------------------------------------------------------


class Functional(nn.Module):
    """A network that calls functions and methods, in training mode."""

    def __init__(self, flatten):
        super().__init__()
        self.conv, self.skip = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 6, 1)
        self.norm = nn.BatchNorm2d(6)
        self.head, self.out = nn.Linear(96, 7), nn.Linear(7, 3)
        self.flatten = flatten

    def forward(self, X):
        X = functional.relu(self.conv(X.view(-1, 1, 8, 8)))
        X += self.norm(self.skip(functional.dropout2d(X, 0.5, self.training))).relu_()
        X = functional.max_pool2d(X, kernel_size=2) * 0.5
        X = functional.dropout(self.head(self.flatten(X)).tanh(), 0.5, self.training)
        return functional.log_softmax(self.out(X), dim=1)


@pytest.mark.parametrize(
    "flatten",
    [
        nn.Flatten(),
        lambda X: X.flatten(1),
        lambda X: torch.flatten(X, start_dim=1),
        lambda X: X.reshape(X.size(0), -1),
        lambda X: X.view(X.size(0), 96),
    ],
)
def test_functions_are_followed_like_modules(flatten):
    module = pruned(Functional(flatten), 1).train()
    for parameter in (module.conv.weight, module.conv.bias, module.skip.weight, module.norm.bias):
        parameter.data[:3] = 0
    module.head.weight.data[:4] = 0
    small = compact(module, IMAGES)
    assert sizes(small) == [(1, 3), (3, 3), (48, 3), (3, 3)]
    assert not any(layer.training for layer in small.modules())
    assert_same(module)


class Net(nn.Module):
    """Layers, and a function that is their forward."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, X):
        return self.function(self, X)


def shared(net, X):
    return net.out(net.b(net.b(net.a(X).relu()).relu()).relu())


def tied(net, X):
    return functional.linear(net.b(net.a(X).relu()).relu(), net.b.weight.T)


def concatenated(net, X):
    X = torch.cat([net.a(X).relu(), net.b(X).relu(), X.new_ones(X.shape[0], 4)], dim=1)
    return net.out(X[:, ::2])


def read_before_normalization(net, X):
    X = net.a(X)
    return net.out(net.norm(X).relu() - X)


def changed_in_place(net, X):
    X, later = net.a(X).relu(), net.c(net.b(X).relu()).relu()
    before = net.out(X)
    X.add_(later)
    return net.out_again(X) * before


def pooled_copy_changed_in_place(net, X):
    X = net.a(X).tanh()
    pooled = functional.max_pool2d(X, 2).relu_()
    return net.out(X.flatten(1)) + net.out_pooled(pooled.flatten(1))


def changed_before_it_is_read_again(net, X):
    X = net.a(X)
    return net.b(functional.relu(X, inplace=True)) + net.out(X)


def frames(net, X):
    h = net.a(X.reshape(X.size(0) * 8, 8)).relu()
    return net.out(h.view(X.size(0), -1))


def broadcast(net, X):
    return net.out((net.a(X) + net.b(X)).relu())


def scaled(net, X):
    return net.out((net.a(X) * X).relu())


NETS_OF_ROWS = {
    "shared layer": Net(shared, a=nn.Linear(8, 8), b=nn.Linear(8, 8), out=nn.Linear(8, 3)),
    "tied weight": Net(tied, a=nn.Linear(8, 8), b=nn.Linear(8, 8)),
    "concatenated": Net(concatenated, a=nn.Linear(8, 6), b=nn.Linear(8, 6), out=nn.Linear(8, 3)),
    "read before normalization": Net(
        read_before_normalization, a=nn.Linear(8, 8), norm=nn.BatchNorm1d(8), out=nn.Linear(8, 3)
    ),
    "statistics of the batch": nn.Sequential(
        nn.Linear(8, 8),
        nn.BatchNorm1d(8, track_running_stats=False),
        nn.Linear(8, 3),
    ),
    "changed in place": Net(
        changed_in_place,
        **{name: nn.Linear(8, 8) for name in ("a", "b", "c")},
        **{name: nn.Linear(8, 3) for name in ("out", "out_again")},
    ),
    "changed, then read": Net(
        changed_before_it_is_read_again, a=nn.Linear(8, 8), b=nn.Linear(8, 3), out=nn.Linear(8, 3)
    ),
    "broadcast": Net(broadcast, a=nn.Linear(8, 8), b=nn.Linear(8, 1), out=nn.Linear(8, 3)),
    "scaled by inputs": Net(scaled, a=nn.Linear(8, 8), out=nn.Linear(8, 3)),
    "softmax and weights for each unit": nn.Sequential(
        nn.Linear(8, 8),
        nn.Softmax(dim=1),
        nn.Linear(8, 8),
        nn.PReLU(8),
        nn.Linear(8, 3),
    ),
}
NETS_OF_IMAGES = {
    "pooled, then changed in place": Net(
        pooled_copy_changed_in_place,
        **{"a": nn.Conv2d(1, 8, 1), "out": nn.Linear(512, 3), "out_pooled": nn.Linear(128, 3)},
    ),
    "frames": Net(frames, a=nn.Linear(8, 6), out=nn.Linear(48, 3)),
    "groups": nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2),
        nn.Flatten(),
        nn.Linear(128, 3),
    ),
    "linear layer of pixels": nn.Sequential(nn.Conv2d(1, 4, 1), nn.Linear(8, 3)),
    "flattened pixels": nn.Sequential(nn.Conv2d(1, 4, 1), nn.Flatten(2), nn.Linear(64, 3)),
    "convolved rows": nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Conv2d(1, 4, 3)),
    "flattened rows": nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)),
    "normalized rows": nn.Sequential(
        nn.Flatten(1, 2),
        nn.Linear(8, 6),
        nn.BatchNorm1d(8),
        nn.Linear(6, 3),
    ),
    "as many normalized rows as units": nn.Sequential(
        nn.Flatten(1, 2),
        nn.Linear(8, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Linear(8, 3),
    ),
}


@pytest.mark.filterwarnings("ignore:compact kept all units of")
@pytest.mark.parametrize("name", NETS_OF_ROWS | NETS_OF_IMAGES)
def test_unknown_operations_keep_what_they_read(name):
    X = IMAGES[:, 0, 0] if name in NETS_OF_ROWS else IMAGES
    for seed in range(6):
        assert_same(pruned((NETS_OF_ROWS | NETS_OF_IMAGES)[name], 0.2, X, seed), X)


ROWS = IMAGES.reshape(8, 64)


def normalized(*before):
    """Two normalized layers of five units, three of them without incoming weights."""
    module = nn.Sequential(
        *before,
        nn.Linear(64, 5),
        nn.BatchNorm1d(5),
        nn.ReLU(),
        nn.Linear(5, 5),
        nn.BatchNorm1d(5),
        nn.Linear(5, 3),
    )
    pruned(module, 1, ROWS)
    module[-6].weight.data[:3] = module[-3].weight.data[:3] = 0
    return module


class Rows(nn.Module):
    def forward(self, X):
        return X.view(-1, 64).relu()


@pytest.mark.parametrize("before", [nn.Flatten(), Rows()])
def test_batch_normalization_of_matrices_is_folded_into_linear_layers(before):
    assert sizes(assert_same(normalized(before), ROWS)) == [(64, 2), (2, 2), (2, 3)]


@pytest.mark.parametrize("X", [ROWS, ROWS[:1].tolist(), ROWS.numpy(), ROWS.numpy()[::-1], None])
def test_of_other_inputs_the_number_of_axes_decides(X):
    module = normalized()
    small = compact(module, X)
    is_matrix = X is not None and np.ndim(X) == 2
    assert sizes(small)[0] == ((64, 2) if is_matrix else (64, 5))
    torch.testing.assert_close(small(ROWS), module(ROWS))


def test_pruners_know_the_axes_of_their_inputs():
    net = NeuralNetClassifier(
        lambda: normalized().float(), criterion=nn.CrossEntropyLoss, max_epochs=1
    )
    pruner = RandomPruner(net, sparsity=0.1, round_epochs=0, train_ticket=False, random_state=0)
    assert sizes(compact(pruner.fit(ROWS.float().numpy(), np.arange(8) % 3)))[0] == (64, 2)


# Pruners and planted tickets -------------------------------------------------------------

PLANTED = PlantedTicketGenerator("circle", depth=5, random_state=0).generate(200)


@pytest.mark.parametrize("output_scale", [False, True])
def test_a_planted_ticket_becomes_what_was_planted(output_scale):
    net = PLANTED.make_net(output_scale=output_scale)
    pruner = GivenMaskPruner(net, PLANTED.mask, train_ticket=False, random_state=0)
    small = compact(pruner.fit(PLANTED.X, PLANTED.y))
    assert sizes(small) == [(2, 4), (4, 2), (2, 20), (20, 4)]
    X = torch.from_numpy(PLANTED.X).double()
    # The untrained ticket is read through the pruner's factors; an export has the raw outputs.
    read = small.double()(X).detach().numpy() * pruner.output_scale_
    np.testing.assert_array_equal(read.argmax(axis=1), pruner.predict(PLANTED.X))
    assert_same(pruner.estimator_.module_.double(), X)
    # No mask, and nothing of this package, is left in it.
    assert b"sklearn_tickets" not in pickle.dumps(small)
    assert list(small.state_dict()) == list(dict(small.named_parameters()))


def test_random_masks_leave_less_of_wide_networks():
    module = pruned(MLP(64, 10, (1024,) * 4), 0.01)
    small = assert_same(module)
    assert n_parameters(small) < 0.5 * n_parameters(module)


@pytest.mark.parametrize("name", ["MLP", "ResNet"])
def test_the_original_and_the_random_streams_are_left_alone(name):
    module = pruned(NETWORKS[name](), 0.1).train()
    state = copy.deepcopy(module.state_dict())
    stream = torch.get_rng_state()
    small = compact(module, IMAGES)
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(layer.training for layer in module.modules())
    for parameter in small.parameters():
        parameter.data.fill_(9)
    for key, value in module.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize("name", NETWORKS)
def test_compact_networks_are_copied_saved_and_trained(name):
    small = compact(pruned(NETWORKS[name](), 0.1), IMAGES)
    file = io.BytesIO()
    torch.save(small, file)
    file.seek(0)
    for copied in (
        copy.deepcopy(small),
        pickle.loads(pickle.dumps(small)),
        torch.load(file, weights_only=False),
    ):
        assert torch.equal(copied(IMAGES), small(IMAGES))
    before = small(IMAGES).square().sum()
    before.backward()
    torch.optim.SGD(small.parameters(), lr=1e-9).step()
    assert small(IMAGES).square().sum() < before
    assert_same(small)


# Networks that compute more than their layers show ----------------------------------------


@pytest.mark.parametrize("X", [ROWS_OF_6, None])
@pytest.mark.parametrize("name", COMPUTED | OWN)
def test_odd_networks_compute_the_same(name, X):
    module = (COMPUTED | OWN)[name]().train()
    small = compact(module, X)
    assert all(layer.training for layer in module.modules())
    dtype = next(small.parameters()).dtype
    for rows in (ROWS_OF_6.to(dtype), ROWS_OF_6[:1].to(dtype)):
        tolerance = 1e-2 if dtype == torch.half else 1e-5
        torch.testing.assert_close(
            small(rows.clone()), module.eval()(rows.clone()), rtol=0, atol=tolerance
        )
    if name in COMPUTED:
        assert sizes(small)[0][1] <= 6 or name == "orthogonal"
        pickle.dumps(small)


@pytest.mark.parametrize("name", PATCHED)
def test_hooks_and_replaced_forwards_are_refused(name):
    with pytest.raises(ValueError, match=r"of network has (the forward hook|a forward of its own)"):
        compact(PATCHED[name](), ROWS_OF_6)


@pytest.mark.parametrize(
    ("register", "hook"),
    [
        (register_module_forward_hook, lambda _, X, Y: 2 * Y),
        (register_module_forward_pre_hook, lambda _, X: (2 * X[0],)),
    ],
)
def test_hooks_of_all_modules_are_refused(register, hook):
    handle = register(hook)
    try:
        with pytest.raises(ValueError, match="is registered for all modules"):
            compact(mlp())
    finally:
        handle.remove()


@pytest.mark.parametrize("name", UNSTEADY)
def test_unsteady_outputs_are_refused(name):
    message = r"outputs of network \(\w+\) (change from call to call|are not finite)"
    with pytest.raises(ValueError, match=message):
        compact(UNSTEADY[name](), ROWS_OF_6)


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell, self.head = kind(6, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, X):
        return self.head(self.cell(X)[0][:, -1])


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 2)

    def forward(self, X):
        return self.head(self.cell(X, X, X)[0].mean(dim=1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.Linear(6, 6), nn.Linear(6, 6)
        self.head.weight = self.cell.weight

    def forward(self, X):
        return self.head(self.cell(X).tanh())


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.Parameter(torch.eye(6)), nn.Linear(6, 2)

    def forward(self, X):
        return self.head((X @ self.cell).relu())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (Recurrent(nn.GRU), r"all units of cell \(GRU\), although"),
        (Recurrent(nn.LSTM), r"all units of cell \(LSTM\), although"),
        (Attention(), r"all units of cell \(MultiheadAttention\), although"),
        (Tied(), r"all units of cell \(Linear\), head \(Linear\), although .* used once"),
        (Product(), r"all units of cell \(Parameter\), although"),
        (nn.Sequential(nn.Conv1d(4, 4, 1, groups=2), nn.Linear(6, 2)), r"of 0 \(Conv1d\)"),
    ],
)
def test_what_is_kept_whole_is_said(module, message):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter[:2] = 0
    X = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0))
    before = n_parameters(module)
    with pytest.warns(UserWarning, match=message):
        small = compact(module, X)
    assert n_parameters(small) <= before
    torch.testing.assert_close(small(X), module.eval()(X))


def test_more_parameters_than_before_are_said():
    module = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Sigmoid(), nn.Linear(1, 3, bias=False))
    module[0].weight.data.zero_()
    with pytest.warns(UserWarning, match="has 8 parameters, the original 5: layers without bias"):
        assert_same(module, ROWS_OF_6[:, :2], tolerance=1e-6)


def test_pipelines_and_searches_are_seen_through():
    X, y = 9 * PLANTED.X + 5, PLANTED.y
    pruner = RandomPruner(PLANTED.make_net(max_epochs=1), sparsity=0.9, random_state=0)
    pipeline = make_pipeline(StandardScaler(), pruner).fit(X, y)
    search = GridSearchCV(pipeline, {"randompruner__sparsity": [0.9]}, cv=2).fit(X, y)
    for estimator in (pipeline, search):
        # It reads what the scaler returns.
        small = compact(estimator, X)
        assert sizes(small) == sizes(compact(estimator))
        scaled = getattr(estimator, "best_estimator_", estimator)[0].transform(X)
        labels = small(torch.from_numpy(scaled).float()).argmax(dim=1)
        np.testing.assert_array_equal(labels, estimator.predict(X))


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.head = nn.Embedding(5, 6), nn.Linear(6, 2)

    def forward(self, X):
        return self.head(self.table(X).mean(dim=1))


def test_inputs_of_embeddings_are_indices():
    module, words = Tokens(), torch.tensor([[0, 4, 2], [1, 1, 3]])
    for X in (words, words.numpy(), None):
        torch.testing.assert_close(compact(module, X)(words), module(words))


# Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((3, 7)), r"network, Sequential, cannot read X, with rows of shape \(7,\)"),
        (np.zeros((0, 6)), r"X has shape \(0, 6\); it must have a row"),
        (5, r"X has shape \(\); it must have a row"),
    ],
)
def test_inputs_must_fit(X, message):
    with pytest.raises(ValueError, match=message):
        compact(mlp(), X)


def test_inputs_that_cannot_be_guessed_are_asked_for():
    module = nn.Sequential(nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 2, 2), nn.Flatten())
    with pytest.raises(ValueError, match=r"X=None, but the inputs of network, .* Pass X"):
        compact(module)
    assert_same(module, ROWS_OF_6, tolerance=1e-6)


def test_layers_without_weights_yet_are_refused():
    with pytest.raises(ValueError, match="LazyLinear '0' of network is not initialized; call"):
        compact(nn.Sequential(nn.LazyLinear(2)), ROWS_OF_6)


class Dynamic(nn.Module):
    def forward(self, X):
        return X if X.sum() > 0 else -X


def test_forwards_that_cannot_be_traced_are_refused():
    with pytest.raises(
        ValueError, match=r"The forward of network, Dynamic, cannot be traced: .*control flow"
    ):
        compact(Dynamic(), IMAGES)


def test_only_fitted_pruners_and_modules_are_compacted():
    net = PLANTED.make_net()
    with pytest.raises(NotFittedError):
        compact(GivenMaskPruner(net, PLANTED.mask))
    with pytest.raises(TypeError):
        compact(3)
    with pytest.raises(TypeError, match="network must be a fitted pruner"):
        compact(net.initialize())
