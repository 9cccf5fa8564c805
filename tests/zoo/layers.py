"""Layers for vectors: linear ones, activations, normalization, dropout, distances."""

import torch
from torch import nn
from torch.nn import functional

from tests.zoo._case import case


@case("vectors")
def linear():
    return nn.Linear(6, 2)


@case("vectors")
def mlp():
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))


@case("vectors")
def no_bias():
    return nn.Sequential(nn.Linear(6, 12, bias=False), nn.Tanh(), nn.Linear(12, 2, bias=False))


@case("vectors")
class Bilinear(nn.Module):
    def __init__(self):
        super().__init__()
        self.pairs = nn.Bilinear(6, 6, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x):
        return self.head(self.pairs(x, x))


@case("vectors", exact=False)
class BilinearOfTwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(3, 4), nn.Linear(3, 4)
        self.head = nn.Bilinear(4, 4, 2, bias=False)

    def forward(self, x):
        return self.head(torch.relu(self.left(x[:, :3])), torch.relu(self.right(x[:, 3:])))


@case("vectors", refuses=["fit"])
def lazy_linear():
    return nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(2))


@case("vectors")
def shapes():
    return nn.Sequential(
        nn.Identity(), nn.Unflatten(1, (2, 3)), nn.Linear(3, 4), nn.Flatten(), nn.Linear(8, 2)
    )


@case("vectors", random=True)
class ListsAndDicts(nn.Module):
    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList([nn.Linear(6, 6) for _ in range(3)])
        self.drops = nn.ModuleDict({"early": nn.Dropout(0.1), "late": nn.Dropout(0.5)})
        self.head = nn.Sequential(nn.Sequential(nn.Linear(6, 4), nn.ReLU()), nn.Linear(4, 2))

    def forward(self, x):
        for i, step in enumerate(self.steps):
            x = self.drops["early" if i < 2 else "late"](torch.relu(step(x)))
        return self.head(x)


# Activations ------------------------------------------------------------------------------

KEEP_ZERO = [
    nn.ReLU(),
    nn.ReLU6(),
    nn.LeakyReLU(),
    nn.ELU(),
    nn.SELU(),
    nn.CELU(),
    nn.GELU(),
    nn.SiLU(),
    nn.Mish(),
    nn.Tanh(),
    nn.Softsign(),
    nn.Tanhshrink(),
    nn.Hardtanh(),
    nn.Hardswish(),
    nn.Hardshrink(0.1),
    nn.Softshrink(0.1),
    nn.RReLU(0.2, 0.2),
]
MOVE_ZERO = [nn.Sigmoid(), nn.Softplus(), nn.LogSigmoid(), nn.Hardsigmoid()]


class ManyActivations(nn.Module):
    def __init__(self, activations):
        super().__init__()
        self.activations = nn.ModuleList(activations)
        self.layer = nn.Linear(6, len(activations))
        self.head = nn.Linear(len(activations), 2)

    def forward(self, x):
        x = self.layer(x)
        units = [f(x[:, i : i + 1]) for i, f in enumerate(self.activations)]
        return self.head(torch.cat(units, dim=1))


@case("vectors", random=True, refuses=["onnx"])
def activations():
    return ManyActivations(KEEP_ZERO)


@case("vectors", constants=True)
def activations_of_nonzero_constants():
    return ManyActivations(MOVE_ZERO)


@case("vectors")
def prelu():
    return nn.Sequential(nn.Linear(6, 8), nn.PReLU(8), nn.Linear(8, 8), nn.PReLU(), nn.Linear(8, 2))


@case("vectors", exact=False)
def glu():
    return nn.Sequential(nn.Linear(6, 16), nn.GLU(), nn.Linear(8, 2))


@case("vectors")
def threshold():
    return nn.Sequential(nn.Linear(6, 8), nn.Threshold(-0.1, -0.1), nn.Linear(8, 2))


@case("vectors")
class HandWrittenSwish(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        x = self.first(x)
        return self.second(x * x.sigmoid())


@case("vectors", exact=False)
class Maxout(nn.Module):
    def __init__(self):
        super().__init__()
        self.pieces, self.head = nn.Linear(6, 12), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.pieces(x).view(-1, 4, 3).max(dim=2).values)


@case("vectors", exact=False, refuses=["SynFlow"])
def softmax_inside():
    return nn.Sequential(nn.Linear(6, 8), nn.Softmax(dim=1), nn.Linear(8, 2))


@case("vectors", exact=False, refuses=["SynFlow"])
def softmin_inside():
    return nn.Sequential(nn.Linear(6, 8), nn.Softmin(dim=1), nn.Linear(8, 2))


@case("vectors", mistake=True)
def softmax_at_the_end():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2), nn.Softmax(dim=1))


@case("vectors", mistake=True)
def log_softmax_at_the_end():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2), nn.LogSoftmax(dim=1))


@case("vectors", y="binary", mistake=True)
def sigmoid_at_the_end():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())


# Normalization and dropout ----------------------------------------------------------------


def normalized(norm):
    return nn.Sequential(nn.Linear(6, 12), norm, nn.ReLU(), nn.Linear(12, 2))


@case("vectors")
def batch_norm():
    return normalized(nn.BatchNorm1d(12))


@case("vectors")
def batch_norm_of_the_inputs():
    return nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))


@case("vectors")
def batch_norm_without_parameters():
    return normalized(nn.BatchNorm1d(12, affine=False))


@case("vectors", exact=False, refuses=["fit"])
def batch_norm_without_statistics():
    return normalized(nn.BatchNorm1d(12, track_running_stats=False))


@case("vectors", exact=False)
def layer_norm():
    return normalized(nn.LayerNorm(12))


@case("vectors", exact=False)
def rms_norm():
    return normalized(nn.RMSNorm(12))


@case("vectors", exact=False)
def group_norm():
    return normalized(nn.GroupNorm(4, 12))


@case("vectors", exact=False, refuses=["SynFlow"])
class UnitLength(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        return 4 * self.head(functional.normalize(self.embed(x), dim=1))


@case("vectors", random=True)
def dropout():
    return nn.Sequential(
        nn.Dropout(0.1), nn.Linear(6, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 2)
    )


@case("vectors", random=True)
def self_normalizing():
    return nn.Sequential(
        nn.Linear(6, 12),
        nn.SELU(),
        nn.AlphaDropout(0.1),
        nn.FeatureAlphaDropout(0.1),
        nn.Linear(12, 2),
    )


@case("vectors", random=True, mistake=True)
class DropoutThatNeverEnds(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 12), nn.Linear(12, 2)

    def forward(self, x):
        return self.second(functional.dropout(functional.relu(self.first(x)), 0.3))


@case("vectors", random=True)
class FunctionalDropout(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 12), nn.Linear(12, 2)

    def forward(self, x):
        x = functional.relu(self.first(x))
        return self.second(functional.dropout(x, 0.3, self.training))


# Distances and gates ----------------------------------------------------------------------


@case("vectors", exact=False, constants=True, refuses=["onnx", "SynFlow"])
class Prototypes(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 4)
        self.prototypes = nn.Parameter(torch.randn(2, 4))

    def forward(self, x):
        return -torch.cdist(self.embed(x), self.prototypes)


@case("vectors", exact=False, constants=True, refuses=["SynFlow"])
class CosineHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(6, 4)
        self.prototypes = nn.Parameter(torch.randn(2, 4))
        self.similarity = nn.CosineSimilarity(dim=2)

    def forward(self, x):
        return 5 * self.similarity(self.embed(x)[:, None], self.prototypes[None])


@case("vectors", exact=False, constants=True, refuses=["SynFlow"])
class SiameseDistance(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.distance = nn.Linear(3, 4), nn.PairwiseDistance()
        self.head = nn.Linear(1, 2)

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        return self.head(self.distance(self.embed(left), self.embed(right))[:, None])


@case("vectors", exact=False)
class RadialBasis(nn.Module):
    def __init__(self):
        super().__init__()
        self.centers = nn.Parameter(torch.randn(8, 6))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.exp(-(x[:, None] - self.centers).square().mean(dim=2)))


@case("vectors", exact=False, refuses=["SynFlow"])
class MixtureOfExperts(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(6, 3)
        self.experts = nn.ModuleList([nn.Linear(6, 2) for _ in range(3)])

    def forward(self, x):
        outputs = torch.stack([expert(x) for expert in self.experts], dim=1)
        return (self.gate(x).softmax(dim=1)[:, :, None] * outputs).sum(dim=1)


@case("vectors", exact=False)
class Highway(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.change, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        gate = torch.sigmoid(self.gate(x))
        return self.head(gate * torch.relu(self.change(x)) + (1 - gate) * x)


@case("vectors", exact=False)
class FactorizationMachine(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 2)
        self.factors = nn.Parameter(torch.randn(6, 4, 2) / 4)

    def forward(self, x):
        squared = torch.einsum("bi,ifk->bfk", x, self.factors) ** 2
        own = torch.einsum("bi,ifk->bfk", x**2, self.factors**2)
        return self.linear(x) + (squared - own).sum(dim=1) / 2


@case("vectors", exact=False, constants=True)
class FourierFeatures(nn.Module):
    def __init__(self):
        super().__init__()
        self.frequencies, self.head = nn.Linear(6, 6, bias=False), nn.Linear(12, 2)

    def forward(self, x):
        phases = self.frequencies(x)
        return self.head(torch.cat([phases.sin(), phases.cos()], dim=1))
