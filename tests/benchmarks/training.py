"""The cost of an epoch of training: dense, sparse, learning a mask, and in hand-written loops.

``python tests/benchmarks/training.py`` prints a Markdown table: circle, depth 5, width 100, 9000
samples, batch size 32, one thread. All take turns, so that a busy machine slows them equally.
"""

import time

import numpy as np
import torch
from _common import plant, print_header, print_row, spread
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

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
MASK_LEARNERS = [
    EdgePopupPruner,
    GemMinerPruner,
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    StochasticSparsificationPruner,
    HardConcretePruner,
    RigLPruner,
]


def time_fit(pruner, X, y):
    """Measure the seconds of `fit`, with everything around the training included."""
    began = time.perf_counter()
    pruner.fit(X, y)
    return time.perf_counter() - began


def time_loop(planted, X, y, *, collate, fused):
    """Measure the seconds of training a dense network over a DataLoader (`collate`) or slices."""
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
    planted, (X, y), _ = plant("circle", seed=0)
    net = planted.make_net(max_epochs=N_EPOCHS)
    pruners = {
        "dense network, pruner.fit": GivenMaskPruner(net, random_state=0),
        "sparse network, pruner.fit": GivenMaskPruner(net, planted.mask, random_state=0),
    } | {
        cls.__name__: cls(net, prune_bias=True, train_ticket=False, random_state=0)
        for cls in MASK_LEARNERS
    }
    contenders = {
        name: lambda pruner=pruner: time_fit(pruner, X, y) for name, pruner in pruners.items()
    } | {
        "loop over a DataLoader, Adam": lambda: time_loop(planted, X, y, collate=True, fused=False),
        "loop over slices, fused Adam": lambda: time_loop(planted, X, y, collate=False, fused=True),
    }
    seconds = {name: [] for name in contenders}
    for _ in range(N_TURNS):
        for name, run in contenders.items():
            seconds[name].append(run() / N_EPOCHS)
    dense = np.array(seconds["dense network, pruner.fit"])
    print_header("", "s per epoch (median)", "times the dense network (median, min - max)")
    for name, values in seconds.items():
        print_row(name, f"{np.median(values):.3f}", spread(np.array(values) / dense, ".2f"))
