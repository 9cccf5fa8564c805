"""FORCE, AC/DC and SCULPT beside the methods that they should improve on.

``python tests/benchmarks/todays_methods.py [section ...]`` prints Markdown tables for circle and
helix: depth 5, width 100, 9000 training samples, 10,000 noisy test samples, medians (lowest -
highest). `initialization` (seeds 5 to 9) masks untrained weights, which are then trained for 40
epochs; in `training` (seeds 5 to 7), every sparse network is trained for 190 epochs.
"""

import numpy as np
from _common import prepare_worker, print_header, print_row, quality, run_sections, spread

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.metrics import ticket_overlap_score
from sklearn_tickets.model_selection import fit_replicates
from sklearn_tickets.pruners import (
    ACDCPruner,
    FORCEPruner,
    LearningRateRewindingPruner,
    RandomPruner,
    SNIPPruner,
)

CYCLE = {"schedule": "one-cycle", "final_epochs": 40}
INITIALIZATION = {
    "random": (RandomPruner, CYCLE),
    "SNIP": (SNIPPruner, CYCLE),
    "iterative SNIP, 60 rounds": (SNIPPruner, CYCLE | {"n_rounds": 60}),
    "FORCE, 60 rounds": (FORCEPruner, CYCLE),
}
TRAINING = {
    "learning-rate rewinding": (LearningRateRewindingPruner, {}),
    "learning-rate rewinding, 15 x 10": (
        LearningRateRewindingPruner,
        {"n_rounds": 15, "round_epochs": 10},
    ),
    "SCULPT": (LearningRateRewindingPruner, {"density_schedule": "one-shot"}),
    "AC/DC": (ACDCPruner, {}),
}


def measure(task, density, seeds, pruner_class, settings):
    """Measure sparse networks on noisy test data, and overlaps with the planted tickets."""
    planted_list = [PlantedTicketGenerator(task, random_state=s).generate(9000) for s in seeds]
    pruner = pruner_class(
        planted_list[0].make_net(lr=1e-2, batch_size=64, max_epochs=20),
        sparsity=1 - (planted_list[0].mask.density if density == "ticket" else density),
        prune_bias=True,
        random_state=0,
        **settings,
    )
    for planted, found in zip(planted_list, fit_replicates(pruner, planted_list), strict=True):
        X, y = planted.sample(10_000, random_state=0)
        overlap = ticket_overlap_score(planted.mask, found.mask_)
        yield quality(task, y, found.predict(X)), overlap, found.rounds_[-1]["collapsed"]


def compare(methods, densities, seeds):
    """Print the table of each task."""
    prepare_worker()
    for task in ("circle", "helix"):
        print(f"\n{task}\n")
        print_header("method", "density", "quality", "overlap", "collapsed")
        for density in densities:
            for name, method in methods.items():
                rows = measure(task, density, seeds, *method)
                qualities, overlaps, collapsed = zip(*rows, strict=True)
                print_row(name, density, spread(qualities), spread(overlaps), np.sum(collapsed))


def initialization():
    compare(INITIALIZATION, ("ticket", 0.02, 0.1), range(5, 10))


def training():
    compare(TRAINING, ("ticket", 0.1), range(5, 8))


if __name__ == "__main__":
    run_sections(__doc__, [initialization, training])
