"""`positive_flow`: sums over paths, conservation, normalization, and no side effects."""

import copy
from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sklearn_tickets._network import Connections, LinearFlow, positive_flow, trace_paths
from sklearn_tickets._network._synaptic_flow import SynapticFlow
from sklearn_tickets.models import MLP

repeatable = settings(derandomize=True, deadline=None, max_examples=30)


def absolute(module, *, biases=False):
    """The absolute values of a module's parameters, in float64."""
    return {
        name: value.detach().double().abs()
        for name, value in module.named_parameters()
        if biases or value.ndim > 1
    }


def test_flow_of_two_layers_hand_worked():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        net[0].weight[:] = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
        net[2].weight[:] = torch.tensor([[-5.0, 7.0]])
    total, gradients, inputs, _ = positive_flow(net, absolute(net), torch.zeros(1, 2))
    # Paths 1 * 5, 2 * 5, 0 * 7 and 3 * 7.
    assert total == 36
    assert gradients["0.weight"].tolist() == [[5, 5], [7, 7]]
    assert gradients["2.weight"].tolist() == [[3, 3]]
    assert inputs.tolist() == [5, 31]


def test_biases_flow_only_if_given():
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight[:], net.bias[:] = 1, -4
    assert positive_flow(net, absolute(net), torch.zeros(1, 2))[0] == 2
    total, gradients, *_ = positive_flow(net, absolute(net, biases=True), torch.zeros(1, 2))
    assert total == 6
    assert gradients["bias"].tolist() == [1]


@repeatable
@given(st.lists(st.integers(1, 6), min_size=2, max_size=6), st.integers(0, 1000))
def test_flow_is_the_product_of_absolute_matrices(sizes, seed):
    rng = np.random.RandomState(seed)
    layers = [nn.Linear(n, m).double() for n, m in pairwise(sizes)]
    weights = [rng.randn(m, n) for n, m in pairwise(sizes)]
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight = nn.Parameter(torch.from_numpy(weight))
    net = nn.Sequential(*[part for layer in layers for part in (layer, nn.Tanh())])
    total, gradients, inputs, _ = positive_flow(net, absolute(net), torch.zeros(1, sizes[0]))
    flow = reduce(lambda below, weight: np.abs(weight) @ below, weights, np.ones(sizes[0]))
    assert total.item() == pytest.approx(flow.sum())
    # Conservation: whatever enters a layer leaves it.
    for name, value in absolute(net).items():
        assert (value * gradients[name]).sum().item() == pytest.approx(flow.sum())
    assert inputs.sum().item() == pytest.approx(flow.sum())


def test_deep_flow_does_not_overflow():
    """The flow grows by a factor of 160 in each of 40 layers, beyond float32."""
    net = nn.Sequential(*[nn.Linear(16, 16) for _ in range(40)])
    for parameter in net.parameters():
        nn.init.constant_(parameter, -10.0)
    total, gradients, *_ = positive_flow(net, absolute(net), torch.zeros(1, 16))
    assert total.dtype == torch.float64
    assert total.item() == pytest.approx(16 * 160.0**40)
    assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d(2), (2,)),
        (nn.LayerNorm(2), (2,)),
        (nn.RMSNorm(2), (2,)),
        (nn.GroupNorm(1, 2), (2, 5)),
        (nn.BatchNorm2d(2), (2, 3, 3)),
        (nn.InstanceNorm2d(2, affine=True, track_running_stats=True), (2, 3, 3)),
        (nn.LayerNorm([2, 3, 3]), (2, 3, 3)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_normalization_is_multiplication_by_absolute_gamma(norm, shape):
    with torch.no_grad():
        norm.weight[0], norm.weight[1] = -3.0, 0.5
        if getattr(norm, "bias", None) is not None:
            norm.bias.fill_(100.0)
        for name, buffer in norm.named_buffers():
            buffer.fill_(7)
            assert name.startswith(("running", "num_batches"))
    net = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), int(np.prod(shape))))
    nn.init.eye_(net[1].weight)
    net.extend([nn.Unflatten(1, shape), norm])
    inputs = positive_flow(net, absolute(net[:3]), torch.zeros(1, *shape))[2]
    assert (inputs[0] == 3).all()
    assert (inputs[1] == 0.5).all()


def test_norms_may_share_their_scale():
    first, second = nn.LayerNorm(2), nn.LayerNorm(2)
    second.weight = first.weight
    nn.init.constant_(first.weight, -2.0)
    net = nn.Sequential(nn.Linear(2, 2), first, nn.Linear(2, 2), second)
    for layer in (net[0], net[2]):
        nn.init.eye_(layer.weight)
    assert positive_flow(net, absolute(net), torch.zeros(1, 2))[0] == 2 * 2 * 2


@pytest.mark.parametrize(
    "activation",
    [
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.PReLU,
        nn.RReLU,
        nn.ELU,
        nn.SELU,
        nn.CELU,
        nn.GELU,
        nn.SiLU,
        nn.Mish,
        nn.Softplus,
        nn.Softsign,
        nn.LogSigmoid,
        nn.Tanhshrink,
        nn.Tanh,
        nn.Sigmoid,
        nn.Hardtanh,
        nn.Hardsigmoid,
        nn.Hardswish,
        nn.Hardshrink,
        nn.Softshrink,
        nn.Dropout,
        nn.AlphaDropout,
        nn.Identity,
    ],
)
@pytest.mark.parametrize("rules", [SynapticFlow, Connections])
def test_activations_let_the_flow_pass(activation, rules):
    net = nn.Sequential(nn.Linear(1, 1), activation(), nn.Linear(1, 1))
    parameters = {
        "0.weight": torch.tensor([[30.0]]).double(),
        "2.weight": torch.ones(1, 1).double(),
    }
    total = positive_flow(net, parameters, torch.zeros(1, 1), rules)[0]
    assert total == 30


@pytest.mark.parametrize(
    "function",
    [
        torch.relu,
        torch.relu_,
        torch.tanh,
        torch.sigmoid,
        torch.dropout,
        torch.Tensor.relu,
        torch.Tensor.relu_,
        torch.Tensor.tanh,
        torch.Tensor.sigmoid_,
        nn.functional.relu,
        nn.functional.gelu,
        nn.functional.silu,
    ],
)
def test_activations_may_be_functions_and_methods(function):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 1)

        def forward(self, x):
            return function(self.layer(x), *((0.9, True) if function is torch.dropout else ()))

    parameters = {"layer.weight": torch.tensor([[30.0]]).double()}
    assert positive_flow(Net(), parameters, torch.zeros(1, 1))[0] == 30


@pytest.mark.parametrize("rules", [SynapticFlow, Connections])
@pytest.mark.parametrize("add", [torch.add, torch.sub, torch.Tensor.add])
def test_sums_with_a_factor_are_not_understood(add, rules):
    class Net(nn.Linear):
        def forward(self, x):
            return add(super().forward(x), x, alpha=2)

    net = Net(2, 2, bias=False)
    flow = positive_flow(net, absolute(net), torch.zeros(1, 2), rules)
    assert flow.unknown == (add.__name__,)
    # Each of the two outputs is the mean flow of the weights, and that of the inputs.
    assert flow.total == pytest.approx(absolute(net)["weight"].sum().item() + 2)


def test_max_pooling_takes_the_largest_unless_it_traces():
    net = nn.Sequential(nn.Linear(2, 4), nn.Unflatten(1, (1, 4)), nn.MaxPool1d(4), nn.Flatten())
    parameters = {"0.weight": torch.arange(8).double().reshape(4, 2)}
    total, gradients, *_ = positive_flow(net, parameters, torch.zeros(1, 2))
    assert total == 13
    assert gradients["0.weight"].sum(dim=1).tolist() == [0, 0, 0, 2]
    _, gradients, *_ = positive_flow(net, parameters, torch.zeros(1, 2), Connections)
    assert (gradients["0.weight"] > 0).all()


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool1d(2),
        nn.MaxPool1d(3, stride=3, padding=1),
        nn.AdaptiveMaxPool1d(2),
        lambda x: x.unflatten(-1, (2, 2)).amax(-1),
        lambda x: x.unflatten(-1, (2, 2)).max(dim=-1).values,
    ],
)
def test_averages_share_what_passes_among_all_entries(pool):
    class Pooled(nn.Linear):
        def forward(self, x):
            return super().forward(pool(x))

    net = Pooled(2, 1)
    torch.nn.init.ones_(net.weight)
    with torch.no_grad():
        net.weight[0, 1] = -3
    flow = positive_flow(net, {}, torch.zeros(1, 4), LinearFlow)
    assert flow.inputs.tolist() == [0.5, 0.5, 1.5, 1.5]
    assert flow.total == 4
    assert not flow.unknown


@pytest.mark.parametrize(
    "combine", [torch.mul, lambda one, other: nn.functional.glu(torch.cat([one, other], dim=1))]
)
def test_sums_share_what_passes_between_factors(combine):
    class Gated(nn.Linear):
        def forward(self, x):
            return combine(super().forward(x), x)

    net = Gated(2, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0, 0.0], [0.0, 3.0]]))
    flow = positive_flow(net, {}, torch.zeros(1, 2), LinearFlow)
    # A factor that is only a bias lets the other one pass.
    assert flow.inputs.tolist() == [1, 4]
    assert flow.total == 5


@pytest.mark.parametrize("rules", [SynapticFlow, Connections])
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(3, 2), (3,)),
        (nn.Conv1d(3, 2, 1), (3, 4)),
        (nn.Conv2d(3, 2, 1), (3, 4, 4)),
        (nn.ConvTranspose2d(3, 2, 1), (3, 4, 4)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_bias_flows_without_input_unless_it_traces(layer, shape, rules):
    """The first output is reached from the input, the second is not."""
    weight = torch.zeros_like(layer.weight).double()
    weight.view(-1)[0] = 1
    parameters = {"weight": weight, "bias": torch.ones(2).double()}
    _, gradients, *_ = positive_flow(layer, parameters, torch.zeros(1, *shape), rules)
    n_positions = np.prod(shape[1:])
    assert gradients["bias"].tolist() == [n_positions, 0 if rules is Connections else n_positions]


def test_flow_leaves_the_module_as_it_was():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    net[1].eval()
    before = copy.deepcopy(net.state_dict())
    stream = torch.get_rng_state()
    for rules in (SynapticFlow, Connections):
        positive_flow(net, absolute(net, biases=True), torch.zeros(2, 3), rules)
    assert [layer.training for layer in net] == [True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.dtype == torch.float32 for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), stream)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.n_calls = nn.Linear(2, 2), 0

    def forward(self, x):
        self.n_calls += 1
        self.seen = self.layer(x)
        return self.seen


@pytest.mark.parametrize("rules", [SynapticFlow, Connections])
def test_flow_keeps_the_attributes_that_a_forward_assigns(rules):
    net = Counter()
    positive_flow(net, absolute(net), torch.zeros(1, 2), rules)
    assert net.n_calls == 0
    assert not hasattr(net, "seen")
    copy.deepcopy(net)


class NoiseInTraining(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x) if self.training else x


def test_flow_runs_in_evaluation_mode():
    net = nn.Sequential(nn.Linear(2, 1), NoiseInTraining())
    assert positive_flow(net, absolute(net), torch.zeros(1, 2))[0] > 0
    assert net[1].training


@pytest.mark.parametrize("gradients_off", [torch.no_grad, torch.inference_mode])
def test_flow_can_be_asked_for_where_gradients_are_off(gradients_off):
    net = MLP(2, 2, hidden=(3,))
    parameters = absolute(net)
    with gradients_off():
        _, gradients, *_ = positive_flow(net, parameters, torch.zeros(1, 2))
        assert trace_paths(net, {}, torch.zeros(1, 2)).inputs.all()
    assert all((gradient > 0).all() for gradient in gradients.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_modules_of_any_precision_have_the_same_flow(dtype):
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.LayerNorm(3), nn.Linear(3, 2)).to(dtype)
    X = np.zeros((1, 2), dtype="float32")
    _, gradients, inputs, _ = positive_flow(net, absolute(net), X)
    assert all(g.dtype == torch.float64 and g.all() for g in [*gradients.values(), inputs])
    assert trace_paths(net, {}, X).inputs.all()


def test_flow_puts_the_modes_back_after_an_error():
    net = nn.Sequential(nn.Linear(3, 4))
    with pytest.raises(RuntimeError, match="shape"):
        positive_flow(net, absolute(net), torch.zeros(1, 7))
    assert net[0].training
    assert net[0].weight.dtype == torch.float32
