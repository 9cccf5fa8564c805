"""The overhead of `fit`: compared with hand-written loops, and as epochs and samples grow.

Circle, depth 5, width 100, batch size 32, Adam at 1e-3, the planted mask applied after every step.
"""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import GivenMaskPruner

N_EPOCHS, N_SAMPLES = 10, 9000


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator(random_state=0).generate(16_000)


def fit(planted, n_samples=N_SAMPLES, n_epochs=N_EPOCHS, device="cpu"):
    net = planted.make_net(max_epochs=n_epochs, device=device)
    pruner = GivenMaskPruner(net, planted.mask, random_state=0)
    return pruner.fit(planted.X[:n_samples], planted.y[:n_samples]).estimator_.module_


def lean_loop(planted, device):
    """Train as fast as a hand-written loop can: fused Adam, slices, all masks in one call."""
    module = planted.module().to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    X, y = (torch.from_numpy(a[:N_SAMPLES]).to(device) for a in (planted.X, planted.y))
    held = [module.get_parameter(name) for name in planted.mask]
    factors = [
        planted.mask[name].to(weight) for name, weight in zip(planted.mask, held, strict=True)
    ]
    for _ in range(N_EPOCHS):
        for rows in torch.randperm(len(X)).to(device).split(32):
            optimizer.zero_grad()
            loss = criterion(module(X[rows]), y[rows])
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                torch._foreach_mul_(held, factors)
            loss.item()
    return module


def dataloader_loop(planted, device):
    """Train as most loops do: a DataLoader, Adam with its defaults, one mask after another."""
    module = planted.module().to(device)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    X, y = (torch.from_numpy(a[:N_SAMPLES]) for a in (planted.X, planted.y))
    masks = {name: kept.to(device) for name, kept in planted.mask.items()}
    for _ in range(N_EPOCHS):
        for X_batch, y_batch in DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True):
            optimizer.zero_grad()
            loss = criterion(module(X_batch.to(device)), y_batch.to(device))
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for name, kept in masks.items():
                    module.get_parameter(name).mul_(kept)
            loss.item()
    return module


@pytest.mark.parametrize(
    ("loop", "goal"), [(lean_loop, ">= 0.8"), (dataloader_loop, ">= 1.4")], ids=["lean", "usual"]
)  # 0.8: at most a quarter slower than the lean loop
def test_fit_beside_a_loop(loop, goal, device, planted, compare):
    X, y = torch.from_numpy(planted.X).to(device), torch.from_numpy(planted.y).to(device)

    @torch.no_grad()
    def accuracy(module):
        return (module(X).argmax(dim=1) == y).double().mean().item()

    compare(
        f"`fit`, {N_EPOCHS} epochs, {device}; peer: {loop.__name__.replace('_', ' ')}",
        lambda: fit(planted, device=device),
        lambda: loop(planted, device),
        # Batches are drawn differently, so accuracies are compared instead of weights.
        lambda theirs, own: abs(accuracy(theirs) - accuracy(own)),
        within=0.05,
        goal=goal,
        n_rounds=5,
    )


def test_growth_with_epochs(planted, grow):
    jobs = {n: lambda n=n: fit(planted, n_epochs=n) for n in (1, 2, 4, 8)}
    grow("`fit`, n epochs", jobs, per="s per epoch", n_rounds=3)


def test_growth_with_samples(planted, grow):
    jobs = {n: lambda n=n: fit(planted, n_samples=1000 * n, n_epochs=3) for n in (1, 2, 4, 8, 16)}
    grow("`fit`, n thousand samples, 3 epochs", jobs, per="s per thousand", n_rounds=3)
