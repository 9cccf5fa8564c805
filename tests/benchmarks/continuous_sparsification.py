"""Continuous sparsification on scikit-learn's digits: what steers the density, and is it a ticket.

Run as ``python tests/benchmarks/continuous_sparsification.py``: prints two markdown tables, MLP
64-100-100-10, Adam 3e-3, batches of 32, 20 epochs, 30 % of the digits held out, seeds 0 to 4
(initial weights and split).
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier

from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    GivenMaskPruner,
    IterativeMagnitudePruner,
    StochasticSparsificationPruner,
)

SEEDS = range(5)
INITIAL = (-0.3, -0.1, 0.0, 0.1, 0.3)
PENALTIES = (0.0, 0.1, 1.0)


def problem(seed):
    """A net, and the digits split in two."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", LayerCollapseWarning)
    net = NeuralNetClassifier(
        partial(MLP, hidden=(100, 100)),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=3e-3,
        batch_size=32,
        max_epochs=20,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.3, stratify=y, random_state=seed
    )
    return net, (X_train, y_train), (X_test, y_test)


def density(seed, initial, penalty):
    """How much the method keeps by itself."""
    net, train, _ = problem(seed)
    pruner = ContinuousSparsificationPruner(
        net,
        sparsity=None,
        mask_init=initial,
        penalty=penalty,
        train_ticket=False,
        random_state=seed,
    )
    return pruner.fit(*train).mask_.density


def accuracies(seed):
    """Test accuracy of the dense network, of tickets, and of their controls."""
    net, train, test = problem(seed)
    settings = {"random_state": seed}
    as_found = {"sparsity": None, "mask_init": 0.1, "penalty": 1.0}
    tickets = {
        "continuous, as found": ContinuousSparsificationPruner(net, **as_found, **settings),
        "continuous": ContinuousSparsificationPruner(net, sparsity=0.75, **settings),
        "continuous, 3 rounds": ContinuousSparsificationPruner(
            net, sparsity=0.75, n_rounds=3, **settings
        ),
        "continuous, weights kept": ContinuousSparsificationPruner(
            net, sparsity=0.75, rewind_epoch=None, **settings
        ),
        "stochastic": StochasticSparsificationPruner(net, sparsity=0.75, **settings),
        "iterative magnitude, 3 rounds": IterativeMagnitudePruner(
            net, sparsity=0.75, n_rounds=3, **settings
        ),
    }
    dense = GivenMaskPruner(net, **settings).fit(*train)
    rows = [{"net": "dense", "density": 1.0, "accuracy": dense.score(*test)}]
    for name, pruner in tickets.items():
        found = pruner.fit(*train)
        again = GivenMaskPruner(net, found.mask_, reinitialize=True, **settings).fit(*train)
        shuffled = GivenMaskPruner(net, found.mask_.shuffled(seed), **settings).fit(*train)
        row = {"net": name, "density": found.mask_.density, "accuracy": found.score(*test)}
        controls = {"re-initialized": again.score(*test), "shuffled": shuffled.score(*test)}
        rows.append(row | controls)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    cells = [(penalty, initial) for penalty in PENALTIES for initial in INITIAL]
    kept = Parallel(n_jobs=-1)(delayed(density)(s, i, p) for p, i in cells for s in SEEDS)
    kept = np.median(np.reshape(kept, (len(PENALTIES), len(INITIAL), len(SEEDS))), axis=2)
    print(f"| penalty | {' | '.join(f'mask_init={i}' for i in INITIAL)} |\n|{'---|' * 6}")
    for penalty, row in zip(PENALTIES, kept, strict=True):
        print(f"| {penalty} | {' | '.join(f'{value:.3f}' for value in row)} |")
    rows = pd.concat(Parallel(n_jobs=-1)(delayed(accuracies)(s) for s in SEEDS))
    columns = list(rows.columns[1:])
    print(f"\n| net | {' | '.join(columns)} |\n|{'---|' * (1 + len(columns))}")
    for name, group in rows.groupby("net", sort=False):
        found = (group[column].dropna() for column in columns)
        texts = (
            f"{v.median():.3f} ({v.min():.3f} - {v.max():.3f})" if len(v) else "" for v in found
        )
        print(f"| {name} | {' | '.join(texts)} |")
