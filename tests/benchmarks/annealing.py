"""Strong tickets as small as planted ones, by simulated annealing of the mask's bits.

``python tests/benchmarks/annealing.py`` prints a Markdown table; ``... circle helix`` one for these
tasks. Depth 5, width 100 (20,904 parameters with biases), 9000 training samples, quality on 1000
noisy test samples (accuracy on circle and spiral, else mean squared error), median (lowest -
highest) over seeds; settings were chosen on seeds 0 to 2, sine and spiral not used for it. Kept
parameters in common with the planted ticket stand beside the number that chance gives. Seconds are
those of a processor for one fit of annealing, edge-popup's start included, compilation not. Each
seed's figures go to the standard error. ``--speed`` prints moves per second instead, and those of
batched forwards of torch.
"""

import argparse
import sys
import time
from itertools import pairwise

import numpy as np
import torch
from _common import plant, prepare_worker, print_header, print_row, spread
from sklearn.metrics import accuracy_score, mean_squared_error

from sklearn_tickets.datasets.tasks import FunctionTask, SpiralTask
from sklearn_tickets.pruners import AnnealingPruner, EdgePopupPruner, GivenMaskPruner

SEEDS = range(5, 10)
# Numbers of kept parameters: of the planted ticket, or a share of all.
KEPT = "ticket", 0.01, 0.02, 0.05, 0.1, 0.5
TASKS = {
    "circle": "circle",
    "helix": "helix",
    "relu": "relu",
    "sine": FunctionTask(np.sin, n_knots=20, interval=(0, 6), name="sine"),
    "spiral": SpiralTask(),
}
COLUMNS = "annealing", "edge-popup", "planted", "seconds", "in common", "by chance"


def share(name):
    """Read a share of the parameters, or "ticket"."""
    return name if name == "ticket" else float(name)


def measure(task, kept, seed, **settings):
    """Measure the annealed ticket of a seed, edge-popup's and the planted one."""
    planted, train, (X_test, y_test) = plant(TASKS[task], seed)
    score = accuracy_score if y_test.dtype == np.int64 else mean_squared_error
    n = planted.mask.n_parameters
    n_kept = planted.mask.n_kept if kept == "ticket" else round(kept * n)
    net = planted.make_net(max_epochs=10)
    common = {"prune_bias": True, "random_state": seed, "sparsity": 1 - n_kept / n}
    row, masks = {"kept": n_kept}, {}
    for name, pruner in {
        "annealing": AnnealingPruner(net, **common, **settings),
        "edge-popup": EdgePopupPruner(net, **common),
        "planted": GivenMaskPruner(net, mask=planted.mask, final_epochs=0, random_state=seed),
    }.items():
        began = time.process_time()
        pruner.fit(*train)
        if name == "annealing":
            row["seconds"] = time.process_time() - began
        masks[name] = pruner.mask_
        row[name] = score(y_test, pruner.strong_predict(X_test))
    row["in common"] = (masks["annealing"] & planted.mask).n_kept
    row["by chance"] = n_kept * planted.mask.n_kept / n
    print(task, seed, {name: round(value, 6) for name, value in row.items()}, file=sys.stderr)
    return row


def speed(n_rows=256, n_moves=500_000):
    """Measure the moves per second on few rows at the size of circle's ticket."""
    planted, (X, y), _ = plant("circle", 0)
    net, sparsity = planted.make_net(max_epochs=10), planted.mask.sparsity
    seconds = []
    for n in (1000, 1000 + n_moves):
        began = time.process_time()
        params = {"sparsity": sparsity, "prune_bias": True, "n_chains": 1, "random_state": 0}
        AnnealingPruner(net, n_moves=n, **params).fit(X[:n_rows], y[:n_rows])
        seconds.append(time.process_time() - began)
    return n_moves / (seconds[1] - seconds[0])


def speed_of_batches(sizes, n_masks=32, n_rows=256, n_batches=300):
    """Measure the masks per second of batched forwards through a network of these sizes."""
    layers = [(torch.randn(n_masks, 1, m), torch.randn(n_masks, n, m)) for n, m in pairwise(sizes)]
    X = torch.randn(n_rows, sizes[0]).expand(n_masks, -1, -1)
    began = time.process_time()
    for _ in range(n_batches):
        values = X
        for bias, weight in layers:
            values = torch.baddbmm(bias, values.relu(), weight)
        values.logsumexp(dim=2)
    return n_masks * n_batches / (time.process_time() - began)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", choices=[*TASKS, []], default=[])
    parser.add_argument("--kept", nargs="*", default=KEPT, type=share)
    parser.add_argument("--seeds", nargs="*", default=SEEDS, type=int)
    parser.add_argument("--n-moves", type=float, default=2e6)
    parser.add_argument("--n-chains", type=int, default=12)
    parser.add_argument("--n-small", type=int)
    parser.add_argument("--heat", type=float, default=1.0)
    parser.add_argument("--speed", action="store_true")
    given = parser.parse_args()
    settings = {
        "n_moves": int(given.n_moves),
        "n_chains": given.n_chains,
        "n_small": given.n_small,
        "heat": given.heat,
    }
    prepare_worker()
    # The first fit compiles.
    measure("circle", "ticket", 0, **settings | {"n_moves": 1000, "n_chains": 1, "n_start": 10})
    if given.speed:
        print(f"{speed():,.0f} moves per second on 256 rows")
        for sizes in ((2, 14, 14, 8, 4), (2, 100, 100, 100, 4)):
            print(f"{speed_of_batches(sizes):,.0f} masks per second with layers of {sizes}")
        parser.exit()
    print_header("task", "kept", *COLUMNS)
    for task in given.tasks or TASKS:
        for kept in given.kept:
            rows = [measure(task, kept, seed, **settings) for seed in given.seeds]
            columns = (spread([row[name] for row in rows]) for name in ("kept", *COLUMNS))
            print_row(task, *columns)
