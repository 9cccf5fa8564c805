"""Do tickets exist by chance? The bound for each task, and a comparison with random networks.

``python tests/benchmarks/existence.py`` prints two Markdown tables. For the second, random uniform
networks are searched for the path of the ReLU task. "Met" means that every layer has a unit within
its tolerance, connected to the unit of the layer before; the bound is the probability of this.
"Contained" means that some path of the network, whatever its weights, computes the function within
the tolerance.
"""

import numpy as np
from _common import print_header, print_row
from numpy.random import RandomState
from scipy.stats import binomtest

from sklearn_tickets.datasets import ticket_existence_probability, ticket_existence_width
from sklearn_tickets.datasets.tasks import TASKS

N_HOSTS = 5000


def fraction(found):
    """Format the fraction of networks, with its 95 % interval."""
    low, high = binomtest(int(found.sum()), len(found)).proportion_ci(0.95)
    return f"{found.mean():.4f} ({low:.4f} to {high:.4f})"


def path_tolerances(depth, tolerance):
    """List how far off each weight of a path of ones may be, for inputs in [-1, 1]."""
    share = tolerance / (depth - 1)
    return [share / (2 * (1 + share) ** n_after) for n_after in reversed(range(depth - 1))]


def find_paths(depth, width, tolerance, rng):
    """Find which random networks meet the path of ones, and which have a path near the ReLU."""
    epsilons = path_tolerances(depth, tolerance)
    met, best = np.ones(N_HOSTS, dtype=bool), np.ones((N_HOSTS, 1))
    for n_units, epsilon in zip([width] * (depth - 2) + [1], epsilons, strict=True):
        weights = rng.uniform(-1, 1, size=(N_HOSTS, n_units, best.shape[1])).astype(np.float32)
        # By symmetry, the unit that was met before can be taken to be the first.
        met &= (weights[:, :, 0] >= 1 - epsilon).any(axis=1)
        # The largest product of positive weights up to each unit.
        best = np.maximum(weights * best[:, None], 0).max(axis=2)
    return met, best[:, 0] >= 1 - tolerance


if __name__ == "__main__":
    print_header("task", "depth", "tolerance", "bound at 100", "1000", "10^6", "width for 0.5")
    for name, task in TASKS.items():
        X = task.sample(1000, RandomState(0))
        for depth in (3, 5, 10):
            target = task.construct(depth)
            for tolerance in (0.1, 1):
                bounds = (
                    f"{ticket_existence_probability(target, width, X, tolerance=tolerance):.2g}"
                    for width in (100, 1000, 10**6)
                )
                width = ticket_existence_width(target, X, probability=0.5, tolerance=tolerance)
                print_row(name, depth, tolerance, *bounds, f"{width:.2g}")

    print()
    print_header("depth", "width", "tolerance", "bound", "met", "contained")
    for depth, width in [(3, 10), (3, 100), (4, 10), (4, 50), (6, 20)]:
        X = np.array([[-1.0], [1.0]])
        bound = ticket_existence_probability(
            TASKS["relu"].construct(depth), width, X, tolerance=0.5
        )
        met, contained = map(fraction, find_paths(depth, width, 0.5, RandomState(0)))
        print_row(depth, width, 0.5, f"{bound:.4f}", met, contained)
