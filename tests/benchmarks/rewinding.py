"""Learning-rate rewinding at the planted ticket's own size.

``python tests/benchmarks/rewinding.py [task ...]`` prints a Markdown table, medians (worst) over
seeds 0 to 9: depth 5, width 100, Adam with a peak rate of 1e-2, batch size 64, 9000 training
samples, noisy test data. The fourth task, a sine, was not used to choose settings. The controls
train the found mask from its initial weights (the weak ticket), re-initialized, and shuffled.
"""

import sys
import time

import numpy as np
import pandas as pd
from _common import plant, prepare_worker, print_header, print_row, quality
from joblib import Parallel, delayed

from sklearn_tickets.datasets.tasks import ReluTask, linear
from sklearn_tickets.datasets.tasks._constructions import piecewise_linear
from sklearn_tickets.pruners import GivenMaskPruner, LearningRateRewindingPruner

SEEDS = range(10)


class SineTask(ReluTask):
    """Regression of sin(3 pi x) on x in [-1, 1], with 30 knots."""

    name = "sine"
    target_names = ("sine",)

    def target(self, X):
        return np.sin(3 * np.pi * X[:, 0])

    def construct(self, depth):
        def raised(x):
            return np.sin(3 * np.pi * (x - 1)) + 1

        shift = linear([[1]], 1)
        lower = (linear([[1]]),) * (depth - 5)
        return shift, *piecewise_linear(raised, np.linspace(0, 2, 30)), *lower, linear([[1]], -1)


TASKS = {"circle": "circle", "helix": "helix", "relu": "relu", "sine": SineTask()}


def measure(task, prune_bias, seed):
    """Measure the planted ticket, the sparse network found, and the controls of its mask."""
    prepare_worker()
    planted, train, (X_test, y_test) = plant(TASKS[task], seed)
    counts = planted.mask.summary()
    covered = counts if prune_bias else counts[counts["shape"].map(len) > 1]
    net = planted.make_net(lr=1e-2, batch_size=64)
    began = time.perf_counter()
    found = LearningRateRewindingPruner(
        net,
        sparsity=1 - covered["n_kept"].sum() / covered["n_parameters"].sum(),
        prune_bias=prune_bias,
        random_state=seed,
    ).fit(*train)
    seconds = time.perf_counter() - began
    strong = GivenMaskPruner(net, planted.mask, train_ticket=False).fit(*train)
    row = {
        "kept": found.mask_.n_kept,
        "seconds": seconds,
        "planted": quality(task, y_test, strong.strong_predict(X_test)),
        "sparse net": quality(task, y_test, found.predict(X_test)),
    }
    controls = {
        "weak ticket": (found.mask_, False),
        "re-initialized": (found.mask_, True),
        "shuffled": (found.mask_.shuffled(seed), False),
    }
    for name, (mask, reinitialize) in controls.items():
        control = GivenMaskPruner(
            net,
            mask,
            reinitialize=reinitialize,
            final_epochs=60,
            schedule="one-cycle",
            random_state=seed,
        ).fit(*train)
        row[name] = quality(task, y_test, control.predict(X_test))
    return row


if __name__ == "__main__":
    cells = [(task, bias) for task in sys.argv[1:] or TASKS for bias in (False, True)]
    runs = [(*cell, seed) for cell in cells for seed in SEEDS]
    rows = pd.DataFrame(Parallel(n_jobs=-1)(delayed(measure)(*run) for run in runs))
    rows[["task", "biases", "seed"]] = runs
    columns = list(rows.columns[:7])
    print_header("task", "pruned", *columns)
    for (task, bias), group in rows.groupby(["task", "biases"], sort=False):
        worst = group.min() if task == "circle" else group.max()
        medians = (f"{group[name].median():.3g} ({worst[name]:.3g})" for name in columns)
        print_row(task, "weights and biases" if bias else "weights", *medians)
