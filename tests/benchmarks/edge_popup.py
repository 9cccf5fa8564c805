"""Strong tickets found by edge-popup on hidden planted networks, untrained.

Run as ``python tests/benchmarks/edge_popup.py``: prints a markdown table over seeds, depth 5,
width 100, 9000 training samples, 10 epochs of learning scores, quality on noisy test data.
"""

import warnings

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.metrics import accuracy_score, mean_squared_error

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.masks import LayerCollapseWarning
from sklearn_tickets.pruners import EdgePopupPruner

PAPER = {"anneal": False, "learn_scale": False, "scope": "layer"}
RUNS = [
    ("circle", 0.5, PAPER, 5),
    ("circle", 0.5, {"anneal": False}, 5),
    ("circle", 0.5, {}, 5),
    ("circle", 0.1, PAPER, 5),
    ("circle", 0.1, {"anneal": False}, 5),
    ("circle", 0.1, {}, 5),
    ("circle", 0.01, {}, 5),
    ("circle", "ticket", {}, 5),
    ("helix", 0.5, {}, 5),
    ("helix", 0.1, {}, 5),
    ("relu", "ticket", {"scope": "layer"}, 20),
    ("relu", "ticket", {}, 20),
]


def measure(task, density, settings, seed):
    """Quality of the strong ticket on test data."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", LayerCollapseWarning)
    planted = PlantedTicketGenerator(task, random_state=seed).generate(10_000)
    pruner = EdgePopupPruner(
        planted.make_net(max_epochs=10),
        sparsity=1 - (planted.mask.density if density == "ticket" else density),
        prune_bias=True,
        random_state=seed,
        **settings,
    ).fit(planted.X[:9000], planted.y[:9000])
    metric = accuracy_score if task == "circle" else mean_squared_error
    return metric(planted.y[9000:], pruner.strong_predict(planted.X[9000:]))


if __name__ == "__main__":
    print("| task | density | settings | seeds | median | lowest | highest | MSE <= 2e-4 |")
    print("|---|---|---|---|---|---|---|---|")
    for task, density, settings, n_seeds in RUNS:
        found = np.array(
            Parallel(n_jobs=-1)(
                delayed(measure)(task, density, settings, seed) for seed in range(n_seeds)
            )
        )
        said = ", ".join(f"{name}={value!r}" for name, value in settings.items()) or "defaults"
        figures = " | ".join(f"{f(found):.3g}" for f in (np.median, np.min, np.max))
        good = "" if task == "circle" else f"{(found <= 2e-4).sum()} of {n_seeds}"
        print(f"| {task} | {density} | {said} | {n_seeds} | {figures} | {good} |", flush=True)
