"""`to_sparse`: the same outputs, computed from the kept weights only."""

import copy
import io
import pickle
import statistics
import time

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.export import SparseLinear, compact, to_sparse
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, RandomPruner
from tests.odd_networks import COMPUTED, OWN, PATCHED, UNSTEADY


def layer(n_inputs, n_outputs, density, *, bias=True, dtype=torch.float32, seed=0):
    """A linear layer with a random share of non-zero weights."""
    rng = torch.Generator().manual_seed(seed)
    linear = nn.Linear(n_inputs, n_outputs, bias=bias, dtype=dtype)
    with torch.no_grad():
        for parameter in linear.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
        linear.weight.mul_(torch.rand(n_outputs, n_inputs, generator=rng) < density)
    return linear


def inputs(*shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)


# The layer -------------------------------------------------------------------------------


def test_a_worked_example():
    linear = nn.Linear(3, 3)
    linear.weight.data = torch.tensor([[0.0, 2.0, 0.0], [0.0, 0.0, 0.0], [3.0, 0.0, -4.0]])
    linear.bias.data = torch.tensor([0.5, 7.0, 0.0])
    sparse = SparseLinear(linear)
    assert {name: value.tolist() for name, value in sparse.state_dict().items()} == {
        "values": [2.0, 3.0, -4.0],
        "columns": [1, 0, 2],
        "offsets": [0, 1, 1, 3],
        "bias": [0.5, 7.0, 0.0],
    }
    X = torch.tensor([[1.0, 10.0, 100.0], [0.0, 1.0, 0.0]])
    assert sparse(X).tolist() == [[20.5, 7.0, -397.0], [2.5, 7.0, 0.0]]
    assert torch.equal(sparse.weight, linear.weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("density", [0, 0.01, 0.3, 1])
def test_outputs_are_those_of_the_dense_layer(density, bias, dtype):
    linear = layer(50, 30, density, bias=bias, dtype=dtype)
    sparse = SparseLinear(linear)
    # Beside the boundaries of blocks, no sample at all, one without an axis, and several axes.
    for shape in ((0,), (1,), (2,), (127,), (128,), (129,), (300,), (), (4, 5), (2, 0)):
        X = inputs(*shape, 50, dtype=dtype)
        outputs = sparse(X)
        assert outputs.dtype == dtype
        tolerance = 1e-5 if dtype == torch.float32 else 1e-12
        torch.testing.assert_close(outputs, linear(X), rtol=0, atol=10 * tolerance)


def test_no_sample_depends_on_those_beside_it():
    sparse = SparseLinear(layer(64, 64, 0.1))
    X = inputs(300, 64)
    torch.testing.assert_close(sparse(X)[140:141], sparse(X[140:141]), rtol=0, atol=1e-6)
    X[0] = torch.nan
    assert not sparse(X)[1:].isnan().any()


@pytest.mark.parametrize("n_samples", [1, 200])
def test_gradients_are_those_of_the_kept_weights(n_samples):
    linear = layer(20, 10, 0.3, dtype=torch.float64)
    sparse = SparseLinear(linear)
    X = inputs(n_samples, 20, dtype=torch.float64).requires_grad_()
    gradients = torch.autograd.grad(sparse(X).square().sum(), [X, sparse.values, sparse.bias])
    dense = torch.autograd.grad(linear(X).square().sum(), [X, linear.weight, linear.bias])
    expected = dense[0], dense[1][linear.weight != 0], dense[2]
    for gradient, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, wanted)


def test_it_is_copied_saved_and_loaded():
    sparse = SparseLinear(layer(20, 10, 0.3))
    X, file = inputs(5, 20), io.BytesIO()
    torch.save(sparse, file)
    file.seek(0)
    other = SparseLinear(layer(20, 10, 0.3)).requires_grad_(False)
    other.values.zero_()
    other.load_state_dict(sparse.state_dict())
    for copied in (
        copy.deepcopy(sparse),
        pickle.loads(pickle.dumps(sparse)),
        torch.load(file, weights_only=False),
        other,
    ):
        assert torch.equal(copied(X), sparse(X))


def test_it_shares_nothing_with_the_dense_layer():
    linear = layer(20, 10, 0.3)
    sparse, X = SparseLinear(linear), inputs(5, 20)
    before = sparse(X)
    linear.requires_grad_(False).weight.zero_()
    linear.bias.zero_()
    assert torch.equal(sparse(X), before)


def test_inputs_of_another_size_are_refused():
    with pytest.raises(RuntimeError):
        SparseLinear(layer(20, 10, 0.3))(inputs(5, 21))


# Networks --------------------------------------------------------------------------------


def test_layers_become_sparse_if_large_and_of_few_weights():
    module = nn.Sequential(
        layer(512, 256, 0.15),
        nn.ReLU(),
        layer(256, 512, 0.25),
        nn.ReLU(),
        layer(512, 256, 0),
        nn.ReLU(),
        layer(256, 511, 0.01),
    ).train()
    kinds = [SparseLinear, nn.ReLU, nn.Linear, nn.ReLU, SparseLinear, nn.ReLU, nn.Linear]
    sparse = to_sparse(module)
    assert [type(part) for part in sparse] == kinds
    assert not any(part.training for part in sparse.modules())
    assert type(to_sparse(module, max_density=0.3)[2]) is SparseLinear
    assert type(to_sparse(module, max_density=0)[0]) is nn.Linear
    assert type(module[0]) is nn.Linear
    assert module.training
    X = inputs(40, 512)
    torch.testing.assert_close(sparse(X), module(X), rtol=0, atol=1e-5)


def test_a_layer_by_itself_and_one_used_twice():
    linear, X = layer(400, 400, 0.01), inputs(9, 400)
    alone = to_sparse(linear)
    assert type(alone) is SparseLinear
    twice = to_sparse(nn.Sequential(linear, nn.Tanh(), linear))
    assert type(twice[0]) is SparseLinear
    assert twice[0] is twice[2]
    torch.testing.assert_close(twice(X), linear(linear(X).tanh()), rtol=0, atol=1e-5)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = layer(256, 600, 0.05)

    def forward(self, X):
        return functional.linear(self.encoder(X).relu(), self.encoder.weight.T)


def test_weights_may_still_be_read():
    module, X = Tied(), inputs(9, 256)
    sparse = to_sparse(module)
    assert type(sparse.encoder) is SparseLinear
    torch.testing.assert_close(sparse(X), module(X), rtol=0, atol=1e-4)


PLANTED = PlantedTicketGenerator("circle", random_state=0).generate(200)


def test_of_pruners_the_compact_network_becomes_sparse():
    net = NeuralNetClassifier(
        MLP,
        module__hidden=(700, 600),
        criterion=nn.CrossEntropyLoss,
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    pruner = RandomPruner(net, exclude=("layers.0.*", "layers.2.*"), random_state=0)
    pruner.fit(PLANTED.X, PLANTED.y)
    small = compact(pruner)
    sparse = to_sparse(pruner)
    found = [type(part) for part in sparse.layers.children()]
    assert found == [nn.Linear, SparseLinear, nn.Linear]
    middle = sparse.get_submodule("layers.1")
    assert (middle.out_features, middle.in_features) == small.get_submodule("layers.1").weight.shape
    X = torch.from_numpy(PLANTED.X.astype(np.float32))
    torch.testing.assert_close(sparse(X), small(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(sparse(X).argmax(dim=1), pruner.predict(PLANTED.X))
    copied = pickle.loads(pickle.dumps(sparse))
    assert torch.equal(copied(X), sparse(X))


def test_the_random_streams_are_left_alone():
    linear = nn.Linear(400, 400)
    stream, numpy_stream = torch.get_rng_state(), np.random.get_state()[1].copy()
    to_sparse(linear, max_density=1)(torch.zeros(1, 400))
    assert torch.equal(torch.get_rng_state(), stream)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_stream)


def test_random_masks_gain_speed():
    module = nn.Sequential(*(layer(1024, 1024, 0.01, seed=i) for i in range(3)))
    sparse, X = to_sparse(module), inputs(256, 1024)
    seconds = {module: [], sparse: []}
    with torch.no_grad():
        for _ in range(9):
            for network, runs in seconds.items():
                began = time.perf_counter()
                network(X)
                runs.append(time.perf_counter() - began)
    dense, faster = map(statistics.median, seconds.values())
    assert faster < dense / 2  # on one core a tenth


def wide(module):
    """A large sparse layer before a module of six inputs."""
    return nn.Sequential(layer(400, 400, 0.01), layer(400, 6, 1), module)


@pytest.mark.parametrize("name", COMPUTED | OWN)
def test_odd_networks_compute_the_same(name):
    odd = (COMPUTED | OWN)[name]()
    dtype = next(odd.parameters()).dtype
    module, X = wide(odd).to(dtype), inputs(9, 400, dtype=dtype)
    sparse = to_sparse(module)
    assert type(sparse[0]) is SparseLinear
    tolerance = 0.1 if dtype == torch.half else 1e-4
    torch.testing.assert_close(sparse(X), module.eval()(X), rtol=tolerance, atol=tolerance)


def test_weights_that_are_computed_become_sparse():
    linear, X = layer(400, 400, 1), inputs(9, 400)
    prune.l1_unstructured(linear, "weight", 0.99)
    sparse = to_sparse(nn.Sequential(linear))
    assert len(sparse[0].values) == 1600
    torch.testing.assert_close(sparse(X), linear(X), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", PATCHED | UNSTEADY)
def test_odd_networks_are_refused(name):
    message = "has the forward hook|has a forward of its own|change from call|are not finite"
    with pytest.raises(ValueError, match=message):
        to_sparse(wide((PATCHED | UNSTEADY)[name]()))


def test_inputs_of_other_shapes_are_asked_for():
    module = nn.Sequential(nn.Unflatten(1, (2, 400)), layer(400, 400, 0.01), nn.Flatten())
    with pytest.raises(ValueError, match=r"X=None, but the inputs of network, .* Pass X"):
        to_sparse(module)
    X = inputs(5, 800)
    torch.testing.assert_close(to_sparse(module, X)(X), module(X), rtol=1e-4, atol=1e-4)


# Errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize("max_density", [-0.1, 1.1, float("nan")])
def test_densities_are_between_0_and_1(max_density):
    with pytest.raises(ValueError, match=r"max_density=\S+ must be between 0 .* and 1"):
        to_sparse(nn.Linear(2, 2), max_density=max_density)


def test_only_fitted_pruners_and_modules_become_sparse():
    net = PLANTED.make_net()
    with pytest.raises(NotFittedError):
        to_sparse(GivenMaskPruner(net, PLANTED.mask))
    with pytest.raises(TypeError, match="network must be a fitted pruner"):
        to_sparse(net.initialize())
