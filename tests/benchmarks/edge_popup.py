"""Strong tickets that edge-popup finds in hidden planted networks, without training.

``python tests/benchmarks/edge_popup.py`` prints a Markdown table: depth 5, width 100, 9000
training samples, scores learned for 10 epochs, quality on noisy test data.
"""

import numpy as np
from _common import plant, prepare_worker, print_header, print_row, quality
from joblib import Parallel, delayed

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
    """Measure the quality of the strong ticket on test data."""
    prepare_worker()
    planted, train, (X_test, y_test) = plant(task, seed)
    pruner = EdgePopupPruner(
        planted.make_net(max_epochs=10),
        sparsity=1 - (planted.mask.density if density == "ticket" else density),
        prune_bias=True,
        random_state=seed,
        **settings,
    ).fit(*train)
    return quality(task, y_test, pruner.strong_predict(X_test))


if __name__ == "__main__":
    names = "task", "density", "settings", "seeds", "median", "lowest", "highest", "MSE <= 2e-4"
    print_header(*names)
    for task, density, settings, n_seeds in RUNS:
        found = np.array(
            Parallel(n_jobs=-1)(
                delayed(measure)(task, density, settings, seed) for seed in range(n_seeds)
            )
        )
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items()) or "defaults"
        figures = (f"{f(found):.3g}" for f in (np.median, np.min, np.max))
        solved = "" if task == "circle" else f"{(found <= 2e-4).sum()} of {n_seeds}"
        print_row(task, density, given, n_seeds, *figures, solved)
