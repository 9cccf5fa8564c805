"""Strong tickets without gradients, in small networks as in the original paper.

``python tests/benchmarks/genetic.py`` prints a Markdown table: the test accuracy without training,
median (lowest - highest) over seeds 0 to 4. One hidden layer, weights and biases uniform in
[-1, 1], biases never pruned, inputs scaled to +-0.7, 5000 training and 1000 test samples.
"""

from functools import partial

import numpy as np
import pandas as pd
from _common import make_classifier, prepare_worker, print_header, print_row, spread
from joblib import Parallel, delayed
from sklearn.datasets import make_circles, make_moons
from sklearn.preprocessing import minmax_scale
from torch import nn

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import EdgePopupPruner, GeneticPruner, RandomPruner

SEEDS = range(5)
DATA = {"moons": make_moons, "circles": partial(make_circles, factor=0.5)}


class UniformMLP(MLP):
    """A network with weights and biases uniform in [-1, 1]."""

    def __init__(self, n_features, n_outputs, hidden):
        super().__init__(n_features, n_outputs, hidden=hidden)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -1, 1)


def measure(data, n_hidden, seed):
    """Measure the strong tickets of the genetic algorithm, of edge-popup and of a random mask."""
    prepare_worker()
    X, y = DATA[data](6000, noise=0.07, random_state=seed)
    X = minmax_scale(X, (-0.7, 0.7))
    module = partial(UniformMLP, hidden=(n_hidden,))
    net = make_classifier(module, batch_size=32, max_epochs=20)
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
    print_header("data", "hidden units", *columns)
    for cell, group in rows.groupby(["data", "hidden units"], sort=False):
        print_row(*cell, *(spread(group[name]) for name in columns))
