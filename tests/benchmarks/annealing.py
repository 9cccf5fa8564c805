"""Strong tickets as small as planted ones, by simulated annealing of the mask's bits.

``python tests/benchmarks/annealing.py circle relu helix`` prints a Markdown table for these tasks:
depth 5, width 100 (20,904 parameters with biases), 9000 training samples, quality on 1000 noisy
test samples (accuracy on circle, else mean squared error), median (lowest - highest) over seeds 5
to 9; settings were chosen on seeds 0 to 4. Kept parameters in common with the planted ticket
stand beside the number that chance gives. Seconds are those of one core for one fit of annealing,
edge-popup's start included, compilation not. ``--speed`` prints moves per second instead.
"""

import argparse
import time

from _common import plant, prepare_worker, print_header, print_row, quality, spread

from sklearn_tickets.pruners import AnnealingPruner, EdgePopupPruner, GivenMaskPruner

SEEDS = range(5, 10)
SHARES = 0.5, 0.1, 0.02
# Numbers of kept parameters, shares of all, or the number of the planted ticket.
KEPT = {
    "circle": ["ticket", 209, 418, 0.1, 0.5],
    "relu": ["ticket"],
    "helix": [0.1, 0.02, "ticket"],
    "sine": ["ticket", 0.1],
    "spiral": ["ticket", 0.1],
}
COLUMNS = "annealing", "edge-popup", "planted", "seconds", "in common", "by chance"


def measure(task, kept, seed, **settings):
    """Measure the annealed ticket of a seed, edge-popup's and the planted one."""
    planted, train, (X_test, y_test) = plant(task, seed)
    n = planted.mask.n_parameters
    by_name = {"ticket": planted.mask.n_kept, **{share: round(share * n) for share in SHARES}}
    n_kept = by_name.get(kept, kept)
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
        row[name] = quality(task, y_test, pruner.strong_predict(X_test))
    row["in common"] = (masks["annealing"] & planted.mask).n_kept
    row["by chance"] = n_kept * planted.mask.n_kept / n
    return row


def speed(n_rows=256, n_moves=500_000):
    """Measure the moves per second on few rows at the size of circle's ticket."""
    planted, (X, y), _ = plant("circle", 0)
    net, sparsity = planted.make_net(max_epochs=10), planted.mask.sparsity
    seconds = []
    for n in (1000, 1000 + n_moves):
        began = time.process_time()
        AnnealingPruner(net, sparsity=sparsity, prune_bias=True, n_moves=n, random_state=0).fit(
            X[:n_rows], y[:n_rows]
        )
        seconds.append(time.process_time() - began)
    return n_moves / (seconds[1] - seconds[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", choices=[*KEPT, []], default=[])
    parser.add_argument("--n-moves", type=float, default=5e6)
    parser.add_argument("--n-chains", type=int, default=1)
    parser.add_argument("--speed", action="store_true")
    given = parser.parse_args()
    settings = {"n_moves": int(given.n_moves), "n_chains": given.n_chains}
    prepare_worker()
    if given.speed:
        speed(n_moves=1)
        parser.exit(message=f"{speed():,.0f} moves per second on 256 rows\n")
    # The first fit compiles.
    measure("circle", 130, 0, **settings | {"n_moves": 1000, "n_start": 10})
    print_header("task", "kept", *COLUMNS)
    for task in given.tasks or KEPT:
        for kept in KEPT[task]:
            rows = [measure(task, kept, seed, **settings) for seed in SEEDS]
            columns = (spread([row[name] for row in rows]) for name in ("kept", *COLUMNS))
            print_row(task, *columns)
