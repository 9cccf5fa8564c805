"""How users hold, share, freeze, reparametrize and hook weights."""

import warnings

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

from tests.zoo._case import case, hidden

# Parameters outside layers ----------------------------------------------------------------


@case("vectors")
class Matrix(nn.Module):
    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(6, 2))
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        return x @ self.W + self.bias


@case("vectors")
class ScaledMatrix(nn.Module):
    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(6, 2))
        self.tau = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x @ self.W * self.tau


@case("vectors")
class LearnedTemperature(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = hidden()
        self.log_scale = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.net(x) * self.log_scale.exp()


@case("vectors")
class GatedFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.ones(6))
        self.net = hidden()

    def forward(self, x):
        return self.net(x * self.gate)


@case("vectors")
class ListOfMatrices(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(6, 6) / 2) for _ in range(2)])
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        for weight in self.weights:
            x = torch.relu(x @ weight)
        return self.head(x)


@case("vectors")
class OnlyAListOfMatrices(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(6, 2))])

    def forward(self, x):
        return x @ self.weights[0]


@case("vectors")
class DictOfMatrices(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterDict(
            {
                "first": nn.Parameter(torch.randn(8, 6) / 2),
                "second": nn.Parameter(torch.randn(2, 8)),
            }
        )

    def forward(self, x):
        x = functional.relu(functional.linear(x, self.weights["first"]))
        return functional.linear(x, self.weights["second"])


@case("vectors")
class LowRank(nn.Module):
    def __init__(self):
        super().__init__()
        self.U, self.V = nn.Parameter(torch.randn(6, 3)), nn.Parameter(torch.randn(3, 2))

    def forward(self, x):
        return x @ (self.U @ self.V)


@case("vectors")
class Einsum(nn.Module):
    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(2, 3, 4) / 2)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.einsum("bgi,gio->bgo", x.view(-1, 2, 3), self.W).flatten(1))


@case("vectors", exact=False)
class WeightsFromInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.maker = nn.Linear(6, 12)

    def forward(self, x):
        return torch.bmm(self.maker(x).view(-1, 2, 6), x[:, :, None])[:, :, 0]


# Shared, subclassed, frozen and unused layers ---------------------------------------------


@case("vectors", y="numbers")
class TiedAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(6, 4)
        self.bias = nn.Parameter(torch.zeros(6))

    def forward(self, x):
        code = torch.tanh(self.encoder(x))
        return functional.linear(code, self.encoder.weight.t(), self.bias)


@case("vectors")
class TiedLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))))


@case("vectors")
class CalledTwice(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.relu(self.layer(torch.relu(self.layer(x)))))


@case("vectors")
def one_layer_under_two_names():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, 2))


@case("vectors")
class OneLayerInALoop(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6)] * 3)
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.head(x)


class StandardizedLinear(nn.Linear):
    def forward(self, x):
        weight = self.weight - self.weight.mean(dim=1, keepdim=True)
        return functional.linear(x, weight / (weight.std(dim=1, keepdim=True) + 1e-3), self.bias)


@case("vectors", exact=False)
def standardized_weights():
    return nn.Sequential(StandardizedLinear(6, 8), nn.ReLU(), nn.Linear(8, 2))


class ShiftedLinear(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x) + x.mean(dim=1, keepdim=True)


@case("vectors", exact=False)
def subclassed_linear():
    return nn.Sequential(ShiftedLinear(6, 8), nn.ReLU(), nn.Linear(8, 2))


class ConnectedLinear(nn.Linear):
    def __init__(self, n_inputs, n_outputs):
        super().__init__(n_inputs, n_outputs)
        self.register_buffer("connections", torch.ones(n_outputs, n_inputs).tril())

    def forward(self, x):
        return functional.linear(x, self.weight * self.connections, self.bias)


@case("vectors")
def connections_in_a_buffer():
    return nn.Sequential(ConnectedLinear(6, 6), nn.ReLU(), nn.Linear(6, 2))


@case("vectors")
class FrozenBackbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(6, 8), nn.Linear(8, 2)
        self.backbone.requires_grad_(False)

    def forward(self, x):
        return self.head(torch.relu(self.backbone(x)))


@case("vectors", exact=False)
class BackboneWithoutGradient(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        with torch.no_grad():
            features = torch.relu(self.backbone(x))
        return self.head(features)


@case("vectors", exact=False)
class StraightThrough(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.head = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = torch.tanh(self.first(x))
        return self.head(x + (x.sign() - x).detach())


@case("vectors")
class UnusedLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.auxiliary = hidden(), nn.Linear(6, 2)

    def forward(self, x):
        return self.net(x)


# Reparametrized and hooked layers ---------------------------------------------------------


def around(layer):
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(8, 2))


@case("vectors", exact=False, refuses=["fit"])
def old_weight_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return around(nn.utils.weight_norm(nn.Linear(6, 8)))


@case("vectors", exact=False, refuses=["fit"])
def weight_norm():
    return around(parametrizations.weight_norm(nn.Linear(6, 8)))


@case("vectors", exact=False, refuses=["fit"])
def spectral_norm():
    return around(parametrizations.spectral_norm(nn.Linear(6, 8)))


@case("vectors", exact=False, refuses=["fit"])
def old_spectral_norm():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return around(nn.utils.spectral_norm(nn.Linear(6, 8)))


@case("vectors", exact=False, refuses=["fit"])
def orthogonal():
    return around(parametrizations.orthogonal(nn.Linear(6, 8)))


class Symmetric(nn.Module):
    def forward(self, weight):
        return weight.triu() + weight.triu(1).t()


@case("vectors", exact=False, refuses=["fit"])
def own_parametrization():
    layer = nn.Linear(6, 6)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return nn.Sequential(layer, nn.ReLU(), nn.Linear(6, 2))


@case("vectors", exact=False, refuses=["fit"])
def pruned_by_torch():
    return around(prune.l1_unstructured(nn.Linear(6, 8), "weight", amount=0.3))


@case("vectors", exact=False, refuses=["fit", "compact", "onnx"])
def forward_hook():
    module = hidden()
    module[0].register_forward_hook(lambda layer, args, output: output.roll(1, dims=1))
    return module


@case("vectors", exact=False, refuses=["fit", "compact", "onnx"])
def forward_pre_hook():
    module = hidden()
    module[2].register_forward_pre_hook(lambda layer, args: (args[0] ** 2,))
    return module


@case("vectors", exact=False, refuses=["fit", "compact", "onnx"])
def hook_of_the_whole():
    module = hidden()
    module.register_forward_hook(lambda layer, args, output: output + args[0][:, :1])
    return module
