"""How sparse can each pruner go before its tickets are worse than the planted one?

``python tests/benchmarks/lowest_density.py [task ...]`` prints a Markdown table per task: depth 5,
width 100, seeds 0 to 2, 9000 training samples, noisy test data. Densities are tried in descending
order, until two in a row fail by every quality (one for pruners that learn or score masks of
untrained weights, which are tried at fewer densities). A ticket is as good as the planted one (the
planted mask on the initial weights, read through factors estimated on the training data) if the
median over seeds is within .01 of its accuracy, or within twice its mean squared error.
"""

import sys

import numpy as np
import pandas as pd
from _common import plant, prepare_worker, print_header, print_row, quality
from joblib import Parallel, delayed

from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    GeneticPruner,
    GivenMaskPruner,
    GraSPPruner,
    HardConcretePruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
    StochasticSparsificationPruner,
    SynFlowPruner,
)

SEEDS = range(3)
COARSE, FINE = (0.5, 0.1, 0.02, "ticket"), (0.5, 0.1, 0.05, 0.02, 0.01, "ticket")

ONE_CYCLE = {"schedule": "one-cycle"}
MULTI = ONE_CYCLE | {"n_rounds": 10, "round_epochs": 5}
# The slowest come first, so that no core is idle at the end.
PRUNERS = {
    "genetic": (GeneticPruner, {"n_score_samples": 1000}),
    "learning-rate rewinding": (LearningRateRewindingPruner, {}),
    "continuous, 3 rounds": (ContinuousSparsificationPruner, ONE_CYCLE | {"n_rounds": 3}),
    "IMP, 10 x 5": (IterativeMagnitudePruner, MULTI),
    "SNIP, 10 x 5": (SNIPPruner, MULTI),
    "SynFlow, 10 x 5": (SynFlowPruner, MULTI),
    "continuous": (ContinuousSparsificationPruner, ONE_CYCLE),
    "stochastic": (StochasticSparsificationPruner, ONE_CYCLE),
    "hard concrete": (HardConcretePruner, ONE_CYCLE),
    "RigL": (RigLPruner, ONE_CYCLE | {"mask_epochs": 40}),
    "SET": (RigLPruner, ONE_CYCLE | {"mask_epochs": 40, "grow": "random"}),
    "edge-popup": (EdgePopupPruner, {}),
    "edge-popup, per layer": (EdgePopupPruner, {"scope": "layer"}),
    "Gem-Miner": (GemMinerPruner, {}),
    "Bernoulli gates": (BernoulliGatePruner, {}),
    "concrete": (ConcreteTicketPruner, {}),
    "concrete, of labels": (ConcreteTicketPruner, {"objective": "labels", "learn_scale": True}),
    "SynFlow": (SynFlowPruner, {}),
    "SNIP": (SNIPPruner, {}),
    "GraSP": (GraSPPruner, {}),
    "magnitude": (MagnitudePruner, {}),
    "random": (RandomPruner, {}),
}
# Pruners whose net is not rewound to its initial weights.
SPARSE_NETS = {"learning-rate rewinding", "RigL", "SET"}

# Pruners that reach lower densities than the rest.
FINELY = set(tuple(PRUNERS)[: tuple(PRUNERS).index("edge-popup")])

QUALITIES = ("strong", "weak", "sparse net")


class Problem:
    """A planted ticket, and the quality of tickets that are found in its host."""

    def __init__(self, task, seed):
        self.task = task
        self.seed = seed
        self.planted, self.train, self.test = plant(task, seed)
        self.net = self.planted.make_net(lr=1e-2, batch_size=64, max_epochs=20)
        strong = GivenMaskPruner(self.net, self.planted.mask, train_ticket=False).fit(*self.train)
        self.target_quality = self.measure(strong.strong_predict)

    def measure(self, predict):
        """Measure the quality of predictions on test data."""
        X, y = self.test
        return quality(self.task, y, predict(X))

    def train_mask(self, mask, reinitialize=False):
        """Measure the quality of a mask trained from its initial weights, or from others."""
        control = GivenMaskPruner(
            self.net,
            mask,
            reinitialize=reinitialize,
            final_epochs=40,
            schedule="one-cycle",
            random_state=self.seed,
        )
        return self.measure(control.fit(*self.train).predict)

    def search(self, name, density):
        """Find a mask by a pruner, and measure its qualities."""
        cls, settings = PRUNERS[name]
        if density == "ticket":
            density = self.planted.mask.density
        pruner = cls(self.net, sparsity=1 - density, prune_bias=True, random_state=self.seed)
        is_net = name in SPARSE_NETS
        found = pruner.set_params(**settings, train_ticket=is_net).fit(*self.train)
        return found.mask_, {
            "density": density,
            "strong": self.measure(found.strong_predict),
            "weak": self.train_mask(found.mask_),
            "sparse net": self.measure(found.predict) if is_net else np.nan,
        }

    def train_controls(self, mask):
        """Measure the mask with other initial weights, and shuffled within each layer."""
        return {
            "re-initialized": self.train_mask(mask, reinitialize=True),
            "shuffled": self.train_mask(mask.shuffled(self.seed)),
        }


def densities_to_try(task, name):
    if task == "relu":
        return 0.1, 0.01, "ticket"
    return FINE if name in FINELY else COARSE


def is_good(task, found, planted):
    return found >= planted - 0.01 if task == "circle" else found <= 2 * planted


def sweep(task, name):
    """For each quality, find the row of the lowest density at which it is good."""
    prepare_worker()
    problems = [Problem(task, seed) for seed in SEEDS]
    planted = np.median([problem.target_quality for problem in problems])
    last, failures = dict.fromkeys(QUALITIES), 0
    for density in densities_to_try(task, name):
        masks, rows = zip(*(problem.search(name, density) for problem in problems), strict=True)
        row = pd.DataFrame(rows).median().to_dict()
        good = [column for column in QUALITIES if is_good(task, row[column], planted)]
        print(task, name, row, good, file=sys.stderr, flush=True)
        last |= dict.fromkeys(good, (row, masks))
        failures = 0 if good else failures + 1
        if failures == (2 if name in FINELY else 1):
            break
    rows = {column: pair[0] for column, pair in last.items() if pair}
    if last["weak"]:
        masks = zip(problems, last["weak"][1], strict=True)
        controls = pd.DataFrame([problem.train_controls(mask) for problem, mask in masks])
        rows["weak"] = rows["weak"] | controls.median().to_dict()
    return rows


def format_cells(rows):
    """Format the cells of a pruner."""
    for column in QUALITIES:
        row = rows.get(column)
        yield "-" if row is None else f"{row['density']:.3g} ({row[column]:.3g})"
    for column in ("re-initialized", "shuffled"):
        yield f"{rows['weak'][column]:.3g}" if "weak" in rows else ""


if __name__ == "__main__":
    tasks = sys.argv[1:] or ["circle", "helix", "relu"]
    jobs = [(task, name) for name in PRUNERS for task in tasks]
    found = dict(zip(jobs, Parallel(n_jobs=-1)(delayed(sweep)(*job) for job in jobs), strict=True))
    for task in tasks:
        print(f"\n{task}\n")
        print_header("pruner", *QUALITIES, "weak, re-initialized", "weak, shuffled")
        for name in PRUNERS:
            print_row(name, *format_cells(found[task, name]))
