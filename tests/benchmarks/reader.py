"""Reading the strong ticket: estimated output factors compared with the true ones.

``python tests/benchmarks/reader.py`` prints a Markdown table over 20 seeds.
"""

import numpy as np
import pandas as pd
from _common import print_header, print_row
from sklearn.metrics import accuracy_score, mean_squared_error
from sklearn.model_selection import train_test_split

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.pruners import GivenMaskPruner

N_SEEDS = 20


def measure(task, seed, depth):
    """Measure the planted mask's test quality: raw, with estimated and with true factors."""
    planted = PlantedTicketGenerator(task, depth=depth, random_state=seed).generate(10_000)
    X_train, X_test, y_train, y_test = train_test_split(
        planted.X, planted.y, test_size=0.1, random_state=seed
    )
    pruner = GivenMaskPruner(planted.make_net(), planted.mask, train_ticket=False, random_state=0)
    pruner.fit(X_train, y_train)
    outputs = pruner.strong_output(X_test)

    def quality(scale):
        if task == "circle":
            return accuracy_score(y_test, (outputs * scale).argmax(axis=1))
        return mean_squared_error(y_test, outputs * scale)

    return {
        "raw": quality(1.0),
        "estimated": quality(pruner.output_scale_),
        "true": quality(planted.output_scale),
    }


if __name__ == "__main__":
    print_header("task", "depth", "raw", "estimated", "true", "worst")
    for task in ("circle", "helix", "relu"):
        for depth in (3, 5, 10):
            table = pd.DataFrame([measure(task, seed, depth) for seed in range(N_SEEDS)])
            worst = (
                f"{(table.estimated - table.true).min():+.4f}"
                if task == "circle"
                else f"x{(table.estimated / table.true).max():.3f}"
            )
            medians = (f"{value:.4g}" for value in np.median(table, axis=0))
            print_row(task, depth, *medians, worst)
