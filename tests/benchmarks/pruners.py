"""The pruners on hidden tickets, compared with the original research code.

``python tests/benchmarks/pruners.py [task ...]`` prints a Markdown table, medians (lowest -
highest) over seeds 0 to 4, depth 5, width 100, 9000 training samples, and takes half an hour on
two cores. Two columns show the original protocol (Adam at a constant 1e-3, 10 epochs), and the
same epochs with ``schedule="one-cycle"`` and a peak of 3e-3.

The original code rescales each regression output to the *test* targets, batch by batch,
before scoring, so its errors are lower than those of its predictions.
"""

import sys

import pandas as pd
from _common import plant, prepare_worker, print_header, print_row, quality, spread
from joblib import Parallel, delayed

from sklearn_tickets.pruners import (
    GraSPPruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
    SynFlowPruner,
)

SEEDS = range(5)
SINGLE = {
    "random": RandomPruner,
    "magnitude": MagnitudePruner,
    "SNIP": SNIPPruner,
    "GraSP": GraSPPruner,
    "SynFlow, 1 round": SynFlowPruner,
}
MULTI = {"magnitude": MagnitudePruner, "SynFlow": SynFlowPruner}

# Medians of three seeds of the original code by (task, mode, density). "Dead" means that no path
# is left.
DEAD = "dead"
ORIGINAL = {
    ("circle", "single", 0.5): [0.97, 0.98, 0.96, 0.95, 0.96],
    ("circle", "single", 0.1): [0.86, 0.97, 0.96, 0.95, 0.97],
    ("circle", "single", 0.01): [DEAD, DEAD, 0.49, 0.80, DEAD],
    ("circle", "single", "ticket"): [DEAD, DEAD, 0.17, 0.44, DEAD],
    ("relu", "single", 0.5): [1.2e-4, 1.2e-4, 1.8e-4, 4.9e-4, 1.3e-4],
    ("relu", "single", 0.1): [9.7e-5, 1.0e-4, 1.1e-4, 3.8e-4, 1.1e-4],
    ("relu", "single", 0.01): [DEAD, DEAD, 1.0e-4, 1.6e-4, DEAD],
    ("helix", "single", 0.5): [4.0e-4, 3.7e-4, 4.9e-4, 0.138, 1.1e-3],
    ("helix", "single", 0.1): [0.096, 4.8e-4, 7.3e-3, 0.139, 4.2e-4],
    ("helix", "single", 0.01): [DEAD, DEAD, 0.134, 0.148, DEAD],
    ("circle", "5 x 5", 0.1): [0.98, 0.98],
    ("circle", "5 x 5", 0.01): [0.73, 0.96],
    ("circle", "5 x 5", "ticket"): [0.44, 0.94],
    ("circle", "10 x 10", 0.1): [0.97, 0.97],
    ("circle", "10 x 10", 0.01): [0.81, 0.97],
    ("circle", "10 x 10", "ticket"): [0.32, 0.94],
    ("helix", "10 x 10", 0.1): [4e-4, 3e-4],
    ("helix", "10 x 10", 0.01): [0.24, 0.004],
    ("helix", "10 x 10", "ticket"): [0.29, 0.075],
}


PROTOCOLS = {
    "constant rate": ({"lr": 1e-3}, {"schedule": None}),
    "one-cycle": ({"lr": 3e-3}, {"schedule": "one-cycle"}),
}


def measure(task, mode, density, name, seed, protocol):
    """Measure the quality of the trained ticket on noisy test data."""
    prepare_worker()
    net_params, pruner_params = PROTOCOLS[protocol]
    planted, train, (X_test, y_test) = plant(task, seed)
    n_rounds, round_epochs = (1, 0) if mode == "single" else map(int, mode.split(" x "))
    pruner = (SINGLE if mode == "single" else MULTI)[name](
        planted.make_net(max_epochs=10, **net_params),
        sparsity=1 - (planted.mask.density if density == "ticket" else density),
        prune_bias=True,
        n_rounds=n_rounds,
        round_epochs=round_epochs,
        random_state=seed,
        **pruner_params,
    ).fit(*train)
    return quality(task, y_test, pruner.predict(X_test))


if __name__ == "__main__":
    tasks = sys.argv[1:] or ["circle", "helix", "relu"]
    cells = [key for key in ORIGINAL if key[0] in tasks]
    runs = [
        (*cell, name, original, seed)
        for cell in cells
        for name, original in zip(
            SINGLE if cell[1] == "single" else MULTI, ORIGINAL[cell], strict=True
        )
        for seed in SEEDS
    ]
    table = pd.DataFrame(runs, columns=["task", "mode", "density", "pruner", "original", "seed"])
    for protocol in PROTOCOLS:
        table[protocol] = Parallel(n_jobs=-1)(
            delayed(measure)(*cell, seed, protocol) for *cell, _, seed in runs
        )
    columns = [*table.columns[:5], *PROTOCOLS]
    print_header(*columns)
    for key, rows in table.groupby(columns[:5], sort=False):
        print_row(*key, *(spread(rows[name]) for name in PROTOCOLS))
