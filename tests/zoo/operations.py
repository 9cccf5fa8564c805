"""Functions of tensors between two linear layers, most of them without a layer of their own."""

import torch
from torch import nn
from torch.nn import functional

from tests.zoo._case import case


class Between(nn.Module):
    def __init__(self, operation, n_units):
        super().__init__()
        self.first, self.operation, self.second = nn.Linear(6, 8), operation, nn.Linear(n_units, 2)

    def forward(self, x):
        return self.second(self.operation(self.first(x)))


def between(n_units=8, **flags):
    """Decorate a function of 8 units, which becomes a case under its own name."""

    def register(operation):
        def make():
            return Between(operation, n_units)

        make.__name__ = operation.__name__
        return case("vectors", **flags)(make)

    return register


# One unit to one unit ---------------------------------------------------------------------


@between()
def absolute(x):
    return x.abs()


@between()
def clamped(x):
    return x.clamp(-0.3, 0.3)


@between()
def squared(x):
    return x**2


@between()
def exponential(x):
    return torch.expm1(x)


@between(constants=True)
def one_minus(x):
    return 1 - x


@between(refuses=["SynFlow"])
def divided(x):
    return x / (1 + x.abs())


@between()
def where(x):
    return torch.where(x > 0, x, 0.2 * x)


@between(exact=False)
def rounded(x):
    return torch.round(4 * x)


@between(exact=False, constants=True)
def compared(x):
    return (x > 0).to(x.dtype)


# Several units to one ---------------------------------------------------------------------


@between(exact=False)
def centered(x):
    return x - x.mean(dim=1, keepdim=True)


@between(exact=False, refuses=["SynFlow"])
def standardized(x):
    return (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-3)


@between(exact=False, refuses=["SynFlow"])
def ordered(x):
    return x.sort(dim=1).values


@between(3, exact=False, refuses=["SynFlow"])
def largest(x):
    return x.topk(3, dim=1).values


@between(exact=False)
def cumulated(x):
    return x.cumsum(dim=1)


@between(4, exact=False)
def differences(x):
    return x[:, :4] - x[:, 4:]


@between(4, exact=False)
def larger_of_two(x):
    left, right = x[:, ::2], x[:, 1::2]
    return torch.maximum(left, right)


@between(4, exact=False)
def products(x):
    return x[:, :4] * x[:, 4:]


@between(28, exact=False)
def products_of_all_pairs(x):
    rows, columns = torch.triu_indices(8, 8, offset=1).unbind()
    return x[:, rows] * x[:, columns]


@between(2, exact=False, refuses=["SynFlow"])
def mean_and_deviation(x):
    return torch.stack([x.mean(dim=1), x.std(dim=1)], dim=1)


@between(2, exact=False, constants=True, refuses=["SynFlow"])
def log_sums(x):
    return x.view(-1, 2, 4).logsumexp(dim=2)


@between(4, exact=False, refuses=["SynFlow"])
def lengths(x):
    return x.unflatten(1, (4, 2)).norm(dim=2)


@between(exact=False, constants=True, refuses=["SynFlow"])
def shares(x):
    return functional.softplus(x) / functional.softplus(x).sum(dim=1, keepdim=True)


# Functions of weights ---------------------------------------------------------------------


class WeightedBy(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.W, self.function = nn.Parameter(torch.randn(8, 6) / 2), function
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.tanh(functional.linear(x, self.function(self.W))))


@case("vectors", exact=False)
def positive_weights():
    return WeightedBy(torch.exp)


@case("vectors", exact=False)
def weights_that_sum_to_one():
    return WeightedBy(lambda W: W.softmax(dim=1))


@case("vectors", exact=False)
def squared_weights():
    return WeightedBy(torch.square)


@case("vectors", exact=False)
def normalized_weights():
    return WeightedBy(lambda W: functional.normalize(W, dim=1))


@case("vectors", exact=False)
def signs_of_weights():
    return WeightedBy(lambda W: W + (W.sign() - W).detach())
