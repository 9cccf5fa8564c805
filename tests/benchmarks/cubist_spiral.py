"""The Cubist Spiral: how few weights does a pruner need where a combinatorial search needs 30?

``python tests/benchmarks/cubist_spiral.py [pruner ...]`` (names of classes) prints a Markdown table
per pruner; ``--budgets``, ``--seeds``, ``--width`` and ``--set name=value`` change what is run. As
published, the network is 2-w-w-w-1 with one logit, w = 16, weights are pruned and biases are not,
batches have 128 rows, and accuracy is measured on the training points. The optimizer is Adam with
a peak rate of 1e-2 instead of SGD. All pruners have their default parameters unless set.

"Effective" weights are on a path from an input to the output; "live" parameters are these and the
biases of their units. Medians (lowest - highest) over seeds.
"""

import argparse
import ast
import time

import numpy as np
import torch
from _common import prepare_worker, print_header, print_row, spread
from joblib import Parallel, delayed
from skorch import NeuralNetBinaryClassifier

from sklearn_tickets.datasets import make_cubist_spiral
from sklearn_tickets.inspection import effective_nodes
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners.base import BasePruner
from sklearn_tickets.utils import all_pruners

BUDGETS = (65, 55, 45, 40, 35, 30, 25, 20, 15)


def make_net(width: int) -> NeuralNetBinaryClassifier:
    """Make the published network."""
    return NeuralNetBinaryClassifier(
        MLP,
        module__hidden=(width,) * 3,
        optimizer=torch.optim.Adam,
        optimizer__fused=True,
        lr=1e-2,
        batch_size=128,
        max_epochs=50,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )


def measure(
    cls: type[BasePruner], n_weights: int, width: int, seed: int, params: dict[str, object]
) -> tuple[float, int, int, float]:
    """Prune to a number of weights; return accuracy, effective weights, live part and seconds."""
    prepare_worker()
    X, y = make_cubist_spiral(random_state=seed)
    sparsity = 1 - n_weights / (2 * width + 2 * width**2 + width)
    pruner = cls(make_net(width), sparsity=sparsity, random_state=seed, **params)
    began = time.perf_counter()
    pruner.fit(X, y)
    seconds = time.perf_counter() - began
    module, mask, row = pruner.estimator_.module_, pruner.mask_, torch.zeros(1, 2)
    n_effective = mask.effective(module, row).n_kept
    n_units = effective_nodes(module, mask, row)["n_effective"].sum()
    return pruner.score(X, y), n_effective, n_effective + n_units, seconds


def main() -> None:
    """Print a table per pruner."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pruners", nargs="*", default=["LearningRateRewindingPruner"])
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=range(5))
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--set", nargs="+", default=[], metavar="name=value")
    args = parser.parse_args()
    pairs = (setting.split("=") for setting in args.set)
    params = {name: ast.literal_eval(value) for name, value in pairs}
    classes = dict(all_pruners())
    for name in args.pruners:
        print(f"\n{name} {params or ''}\n")
        print_header("weights", "accuracy", "effective", "live", "seconds")
        for n_weights in args.budgets:
            rows = Parallel(n_jobs=-1)(
                delayed(measure)(classes[name], n_weights, args.width, seed, params)
                for seed in args.seeds
            )
            accuracies, *rest = np.transpose(rows)
            print_row(n_weights, spread(accuracies, ".4f"), *(spread(r, ".0f") for r in rest))


if __name__ == "__main__":
    main()
