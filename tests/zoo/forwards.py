"""How users write forwards: branches, arguments, control flow, outputs, types of numbers."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from tests.zoo._case import case, hidden

# Inputs, arguments and outputs ------------------------------------------------------------


@case("vectors")
class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.head = nn.Linear(6, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(x + torch.relu(self.block(x)))


@case("vectors")
class Dense(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6 + 3 * i, 3) for i in range(3)])
        self.head = nn.Linear(15, 2)

    def forward(self, x):
        for layer in self.layers:
            x = torch.cat([x, torch.relu(layer(x))], dim=1)
        return self.head(x)


@case("vectors")
class WideAndDeep(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.deep = nn.Linear(6, 2), hidden()

    def forward(self, x):
        return self.wide(x) + self.deep(x)


@case("vectors", refuses=["compact", "onnx"])
class Chunks(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([nn.Linear(2, 3) for _ in range(3)])
        self.head = nn.Linear(9, 2)

    def forward(self, x):
        pieces = [part(piece) for part, piece in zip(self.parts, x.chunk(3, dim=1), strict=True)]
        return self.head(torch.relu(torch.cat(pieces, dim=-1)))


@case("vectors")
class ChosenColumns(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        return self.net(x[:, [0, 2, 5]])


@case("vectors")
class Standardized(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.full((6,), 0.5))
        self.register_buffer("deviation", torch.full((6,), 2.0), persistent=False)
        self.net = hidden()

    def forward(self, x):
        return self.net((x - self.mean) / self.deviation)


@case("vectors")
class ConstantAttribute(nn.Module):
    def __init__(self):
        super().__init__()
        self.rotation = torch.eye(6).roll(1, 0)
        self.net = hidden()

    def forward(self, x):
        return self.net(x @ self.rotation)


@case("vectors", exact=False)  # plain torch has no gradients of its inputs
class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Linear(8, 2))

    def forward(self, x):
        x = torch.relu_(x)
        x *= 2
        return self.net(x).mul_(3)


@case("vectors", random=True)
class NoiseInTraining(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = hidden()

    def forward(self, x):
        if self.training:
            x = x + 0.1 * torch.randn_like(x)
        return self.net(x)


@case("vectors")
class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        self.plus, self.minus = nn.Linear(6, 2), nn.Linear(6, 2)

    def forward(self, x):
        return self.plus(x) - self.minus(x)


@case("vectors")
class OptionalSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = hidden()

    def forward(self, x, skip=None):
        if skip is None:
            x = x + 1
        return self.net(x)


@case("vectors")
class OptionalMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = hidden()

    def forward(self, x, mask=None):
        return self.net(x if mask is None else x * mask)


@case("vectors", refuses=["compact", "onnx"])
class KeywordsAndAssertions(nn.Module):
    def __init__(self):
        super().__init__()
        self.net, self.scale = nn.Linear(6, 2), 0.5

    def forward(self, x, *, scale=None):
        assert x.ndim == 2
        n_rows, n_columns = x.shape
        assert n_columns == 6
        return self.net(input=x).reshape(n_rows, 2) * (scale or self.scale)


@case("vectors", exact=False, refuses=["fit", "compact", "onnx"])
class DependsOnValues(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = hidden()

    def forward(self, x):
        rows = [self.net(row) if row[0] > 0 else self.net(-row) for row in x]
        return torch.stack(rows)


@case("vectors", refuses=["compact", "onnx"])
class DependsOnShapes(nn.Module):
    def __init__(self):
        super().__init__()
        self.columns = nn.ModuleList([nn.Linear(1, 3) for _ in range(6)])
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        total = 0
        for i in range(x.shape[1]):
            total = total + torch.relu(self.columns[i](x[:, i : i + 1]))
        return self.head(total.reshape(len(x), -1))


@case("vectors", exact=False, refuses=["fit", "compact", "onnx"])
class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        return self.second(torch.relu(checkpoint(self.first, x, use_reentrant=False)))


@case("vectors", mistake=True)
class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 8), nn.Linear(8, 2)

    def forward(self, x):
        features = torch.relu(self.first(x))
        return self.second(features), features


@case("vectors", y="binary")
class SqueezedLogit(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


@case("vectors", y="binary")
def single_logit():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))


@case("vectors", y="number")
class SqueezedNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, x):
        return self.net(x).squeeze(-1)


@case("vectors", y="number")
class IndexedNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(6, 1)

    def forward(self, x):
        return self.net(x)[:, 0]


@case("vectors", y="number")
class SummedNumber(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 8), nn.ReLU())

    def forward(self, x):
        return self.net(x).sum(dim=1)


@case("vectors", y="number")
def column_of_numbers():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))


@case("vectors", y="numbers")
def six_numbers():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 6))


# Types of numbers -------------------------------------------------------------------------


@case("vectors")
class ConvertsToFloat(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = hidden()

    def forward(self, X):
        return self.net(X.float())


@case("vectors", exact=False, constants=True, refuses=["compact", "onnx"])
class MakesTensors(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        return self.net(torch.cat([x, torch.ones(x.shape[0], 1)], dim=1))


@case("vectors", refuses=["fit"])
def double():
    return hidden().double()


@case("vectors", refuses=["fit"])
def half():
    return hidden().half()


@case("vectors", refuses=["fit"])
def bfloat16():
    return hidden().bfloat16()


@case("vectors", exact=False, refuses=["SynFlow"])
class Spectrum(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x):
        return self.net(torch.fft.rfft(x, dim=1).abs())
