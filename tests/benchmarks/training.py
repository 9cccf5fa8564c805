"""What an epoch of training costs: dense, sparse, learning a mask, and in hand-written loops.

Run as ``python tests/benchmarks/training.py``: circle, depth 5, width 100, 9000 samples,
batch 32, one thread. All take turns, so that a busy machine slows all of them.
"""

import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    GivenMaskPruner,
    HardConcretePruner,
    RigLPruner,
    StochasticSparsificationPruner,
)

N_EPOCHS, N_TURNS = 3, 9
LEARNED = [
    EdgePopupPruner,
    GemMinerPruner,
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    StochasticSparsificationPruner,
    HardConcretePruner,
    RigLPruner,
]


def fit(pruner, X, y):
    """Everything around the training included."""
    began = time.perf_counter()
    pruner.fit(X, y)
    return time.perf_counter() - began


def plain_loop(planted, X, y, *, collate, fused):
    """A dense network trained by hand, over a DataLoader (`collate`) or over slices."""
    module = planted.module()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=fused)
    criterion = nn.CrossEntropyLoss()
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    loader = DataLoader(TensorDataset(X, y), batch_size=32, shuffle=True)
    began = time.perf_counter()
    for _ in range(N_EPOCHS):
        slices = ((X[rows], y[rows]) for rows in torch.randperm(len(X)).split(32))
        for X_batch, y_batch in loader if collate else slices:
            optimizer.zero_grad()
            loss = criterion(module(X_batch), y_batch)
            loss.backward()
            optimizer.step()
            loss.item()
    return time.perf_counter() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    planted = PlantedTicketGenerator(random_state=0).generate(10_000)
    X, y = planted.X[:9000], planted.y[:9000]
    net = planted.make_net(max_epochs=N_EPOCHS)
    pruners = {
        "dense network, pruner.fit": GivenMaskPruner(net, random_state=0),
        "sparse network, pruner.fit": GivenMaskPruner(net, planted.mask, random_state=0),
    } | {
        cls.__name__: cls(net, prune_bias=True, train_ticket=False, random_state=0)
        for cls in LEARNED
    }
    contenders = {
        name: lambda pruner=pruner: fit(pruner, X, y) for name, pruner in pruners.items()
    } | {
        "loop over a DataLoader, Adam": lambda: plain_loop(
            planted, X, y, collate=True, fused=False
        ),
        "loop over slices, fused Adam": lambda: plain_loop(
            planted, X, y, collate=False, fused=True
        ),
    }
    seconds = {name: [] for name in contenders}
    for _ in range(N_TURNS):
        for name, run in contenders.items():
            seconds[name].append(run() / N_EPOCHS)
    dense = np.array(seconds["dense network, pruner.fit"])
    print("| | s per epoch (median) | times the dense network (median, min - max) |\n|---|---|---|")
    for name, values in seconds.items():
        ratio = np.array(values) / dense
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} - {ratio.max():.2f})"
        print(f"| {name} | {np.median(values):.3f} | {spread} |")
