"""Strong tickets without gradients, in the small networks that they were proposed for.

Run as ``python tests/benchmarks/genetic.py``: prints a markdown table, medians (lowest - highest)
over seeds 0 to 4 of test accuracy, nothing trained. One hidden layer, weights and biases uniform
in [-1, 1], biases never pruned, inputs scaled to +-0.7, 5000 training and 1000 test samples.
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.datasets import make_circles, make_moons
from sklearn.preprocessing import minmax_scale
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import EdgePopupPruner, GeneticPruner, RandomPruner

SEEDS = range(5)
DATA = {"moons": make_moons, "circles": partial(make_circles, factor=0.5)}


class UniformMLP(MLP):
    """Weights and biases uniform in [-1, 1]."""

    def __init__(self, n_features, n_outputs, hidden):
        super().__init__(n_features, n_outputs, hidden=hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1, 1)


def measure(data, n_hidden, seed):
    """One row: the strong tickets of the genetic algorithm, of edge-popup and of chance."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", LayerCollapseWarning)
    X, y = DATA[data](6000, noise=0.07, random_state=seed)
    X = minmax_scale(X, (-0.7, 0.7))
    net = NeuralNetClassifier(
        partial(UniformMLP, hidden=(n_hidden,)),
        criterion=nn.CrossEntropyLoss,
        batch_size=32,
        max_epochs=20,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    settings = {"train_ticket": False, "random_state": seed}
    pruners = {
        "genetic": GeneticPruner(net, sparsity=None, **settings),
        "genetic, half": GeneticPruner(net, sparsity=0.5, **settings),
        "edge-popup, half": EdgePopupPruner(net, sparsity=0.5, **settings),
        "random, half": RandomPruner(net, sparsity=0.5, **settings),
    }
    row = {}
    for name, pruner in pruners.items():
        pruner.fit(X[:5000], y[:5000])
        row[name] = np.mean(pruner.strong_predict(X[5000:]) == y[5000:])
        if name == "genetic":
            row["density"] = pruner.mask_.density
    return row


if __name__ == "__main__":
    cells = [(data, n_hidden) for data in DATA for n_hidden in (20, 100)]
    runs = [(*cell, seed) for cell in cells for seed in SEEDS]
    rows = pd.DataFrame(Parallel(n_jobs=-1)(delayed(measure)(*run) for run in runs))
    columns = list(rows.columns)
    rows[["data", "hidden units", "seed"]] = runs
    print(f"| data | hidden units | {' | '.join(columns)} |\n|{'---|' * (2 + len(columns))}")
    for cell, group in rows.groupby(["data", "hidden units"], sort=False):
        spreads = (
            f"{group[name].median():.3g} ({group[name].min():.3g} - {group[name].max():.3g})"
            for name in columns
        )
        print(f"| {cell[0]} | {cell[1]} | {' | '.join(spreads)} |")
