"""Continuous sparsification on digits: what controls the density, and does it find tickets?

``python tests/benchmarks/continuous_sparsification.py`` prints two Markdown tables: MLP
64-100-100-10, Adam at 3e-3, batch size 32, 20 epochs, 30 % of the digits held out, seeds 0 to 4
(initial weights and split).
"""

from functools import partial

import numpy as np
import pandas as pd
import torch
from _common import make_classifier, prepare_worker, print_header, print_row, spread
from joblib import Parallel, delayed
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

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


def make_problem(seed):
    """Make a net, and split the digits into training and test data."""
    prepare_worker()
    net = make_classifier(
        partial(MLP, hidden=(100, 100)),
        optimizer=torch.optim.Adam,
        lr=3e-3,
        batch_size=32,
        max_epochs=20,
    )
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, test_size=0.3, stratify=y, random_state=seed
    )
    return net, (X_train, y_train), (X_test, y_test)


def find_density(seed, initial, penalty):
    """Find the density that the method determines itself."""
    net, train, _ = make_problem(seed)
    pruner = ContinuousSparsificationPruner(
        net,
        sparsity=None,
        mask_init=initial,
        penalty=penalty,
        train_ticket=False,
        random_state=seed,
    )
    return pruner.fit(*train).mask_.density


def compute_accuracies(seed):
    """Compute the test accuracy of the dense network, of tickets and of their controls."""
    net, train, test = make_problem(seed)
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
    kept = Parallel(n_jobs=-1)(delayed(find_density)(s, i, p) for p, i in cells for s in SEEDS)
    kept = np.median(np.reshape(kept, (len(PENALTIES), len(INITIAL), len(SEEDS))), axis=2)
    print_header("penalty", *(f"mask_init={initial}" for initial in INITIAL))
    for penalty, row in zip(PENALTIES, kept, strict=True):
        print_row(penalty, *(f"{value:.3f}" for value in row))
    rows = pd.concat(Parallel(n_jobs=-1)(delayed(compute_accuracies)(s) for s in SEEDS))
    print()
    print_header(*rows.columns)
    for name, group in rows.groupby("net", sort=False):
        found = (group[column].dropna() for column in rows.columns[1:])
        print_row(name, *(spread(values, ".3f") if len(values) else "" for values in found))
