"""What an epoch of a pruner's training costs beside hand-written loops.

Run as ``python tests/benchmarks/training.py``: circle, depth 5, width 100, 9000 samples,
batch 32, one thread. The loops take turns, so that a busy machine slows all of them.
"""

import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sklearn_tickets import EdgePopupPruner, GivenMaskPruner, PlantedTicketGenerator

N_EPOCHS, N_TURNS = 3, 9


def pruner_fit(planted, X, y):
    """A sparse network trained by skorch, its mask held after every step."""
    net = planted.make_net(max_epochs=N_EPOCHS)
    pruner = GivenMaskPruner(net, planted.mask, random_state=0)
    began = time.perf_counter()
    pruner.fit(X, y)
    return time.perf_counter() - began


def edge_popup_fit(planted, X, y):
    """Scores learned, weights frozen."""
    net = planted.make_net(max_epochs=N_EPOCHS)
    pruner = EdgePopupPruner(net, prune_bias=True, random_state=0)
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
    contenders = {
        "pruner.fit, mask held": lambda: pruner_fit(planted, X, y),
        "EdgePopupPruner.fit": lambda: edge_popup_fit(planted, X, y),
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
    ours = np.array(seconds["pruner.fit, mask held"])
    print("| | s per epoch (median) | pruner.fit, times this (median, min - max) |\n|---|---|---|")
    for name, values in seconds.items():
        ratio = ours / np.array(values)
        spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} - {ratio.max():.2f})"
        print(f"| {name} | {np.median(values):.3f} | {spread} |")
