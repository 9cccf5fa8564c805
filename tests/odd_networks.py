"""Small networks that compute more than their layers show, for tests of what reads networks."""

import warnings

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

ROWS = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))


def mlp():
    """Six inputs, eight hidden units of which two are dead ends, and two outputs."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    module[2].weight.data[:, :2] = 0
    return module


def changed(change):
    """An MLP after a change."""

    def make():
        module = mlp()
        with warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore", FutureWarning)  # old tools of torch
            torch.manual_seed(1)
            change(module)
        return module

    return make


class Around(nn.Module):
    """A function of an MLP and the inputs as a forward."""

    def __init__(self, function):
        super().__init__()
        self.mlp, self.function, self.n_calls = mlp(), function, 0
        self.register_buffer("total", torch.ones(()))

    def forward(self, X):
        return self.function(self, X)


def around(function):
    return lambda: Around(function)


# Hooks and forwards that belong to one object: refused ----------------------------------

PATCHED = {
    "forward hook": changed(lambda m: m[0].register_forward_hook(lambda _, X, Y: 2 * Y)),
    "forward pre-hook": changed(lambda m: m[0].register_forward_pre_hook(lambda _, X: 2 * X[0])),
    "hook with keywords": changed(
        lambda m: m[2].register_forward_hook(lambda _, X, k, Y: Y + 1, with_kwargs=True)
    ),
    "hook of the whole": changed(lambda m: m.register_forward_hook(lambda _, X, Y: -Y)),
    "hook that records": changed(lambda m: m[1].register_forward_hook(lambda _, X, Y: None)),
    "forward of a layer": changed(lambda m: setattr(m[0], "forward", lambda X: X @ m[0].weight.T)),
    "forward of the whole": changed(lambda m: setattr(m, "forward", lambda X: X[:, :2])),
}


# Weights that are computed from others: read ---------------------------------------------


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


def prune_twice(module):
    prune.l1_unstructured(module[0], "weight", 0.5)
    prune.random_unstructured(module[0], "weight", 0.5)
    prune.l1_unstructured(module[2], "bias", 0.5)


def double_both(module):
    parametrize.register_parametrization(module[2], "weight", Doubled())
    parametrize.register_parametrization(module[2], "bias", Doubled())


COMPUTED = {
    "pruned by torch": changed(prune_twice),
    "old weight_norm": changed(lambda m: weight_norm(m[0])),
    "weight_norm": changed(lambda m: parametrizations.weight_norm(m[0])),
    "old spectral_norm": changed(lambda m: spectral_norm(m[0])),
    "spectral_norm": changed(lambda m: parametrizations.spectral_norm(m[0])),
    "orthogonal": changed(lambda m: parametrizations.orthogonal(m[2])),
    "own parametrization": changed(double_both),
}


# Forwards that are more than their layers: read ------------------------------------------


class OwnLinear(nn.Linear):
    def forward(self, X):
        return 2 * super().forward(X)


class OwnNorm(nn.LayerNorm):
    def forward(self, X):
        return super().forward(X) + X


class OwnReLU(nn.ReLU):
    def forward(self, X):
        return super().forward(X) - 0.1


class OwnSequential(nn.Sequential):
    def forward(self, X):
        return 3 * super().forward(X)


TWO = torch.tensor(2.0)


class Defaults(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = mlp()

    def forward(self, X, mask=None, flag=True, n=3, by=TWO, *args, skip=None, **more):
        X = X if mask is None else X * mask
        if flag and skip is None and not args and not more:
            X = X * n + by
        return self.mlp(X)


OWN = {
    "default arguments": Defaults,
    "own linear layer": changed(lambda m: m.__setitem__(0, OwnLinear(6, 8))),
    "own normalization": changed(lambda m: m.insert(1, OwnNorm(8))),
    "own activation": changed(lambda m: m.__setitem__(1, OwnReLU())),
    "own sequence": lambda: OwnSequential(*mlp()),
    "between layers": around(lambda s, X: s.mlp[2](s.mlp[1](s.mlp[0](X) * 2) + s.mlp[0](X))),
    "by the mode": around(lambda s, X: s.mlp(X) * (100 if s.training else 1)),
    "inputs in place": around(lambda s, X: s.mlp(X.mul_(2).add_(1))),
    "backward hook": changed(lambda m: m[0].register_full_backward_hook(lambda *_: None)),
    "no bias, later": changed(lambda m: setattr(m[0], "bias", None)),
    "a weight that is no parameter": changed(
        lambda m: (m[0]._parameters.pop("weight"), setattr(m[0], "weight", torch.eye(8, 6)))
    ),
    "double": changed(lambda m: m.double()),
    "half": changed(lambda m: m.half()),
}


# Outputs that change from call to call: refused -------------------------------------------


def count(net, X):
    net.n_calls += 1
    return net.mlp(X) * net.n_calls


def accumulate(net, X):
    net.total.add_(1)
    return net.mlp(X) * net.total


UNSTEADY = {
    "dropout in training": around(lambda s, X: s.mlp(functional.dropout(X, 0.5, training=True))),
    "noise": around(lambda s, X: s.mlp(X) + torch.rand(())),
    "counter": around(count),
    "counting buffer": around(accumulate),
    "not finite": around(lambda s, X: s.mlp(X) * torch.nan),
}
