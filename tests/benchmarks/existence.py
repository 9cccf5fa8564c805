"""Do tickets exist by chance? The bound for the tasks, and against random networks.

Run as ``python tests/benchmarks/existence.py``: prints two markdown tables. In the second, random
uniform networks are searched for the ReLU task's path: "met" if every layer has a unit within its
tolerance, its input being the one met before, which the bound is the probability of; "contained"
if any path of the network, whatever its weights, computes the function within the tolerance.
"""

import numpy as np
from numpy.random import RandomState
from scipy.stats import binomtest

from sklearn_tickets.datasets import ticket_existence_probability, ticket_existence_width
from sklearn_tickets.datasets._existence import _tolerances
from sklearn_tickets.datasets.tasks import TASKS

N_HOSTS = 5000


def share(found):
    """The share of networks, with its 95 % interval."""
    low, high = binomtest(int(found.sum()), len(found)).proportion_ci(0.95)
    return f"{found.mean():.4f} ({low:.4f} to {high:.4f})"


def paths(depth, width, tolerance, X, rng):
    """Whether random networks meet the path of ones, and whether some path is near the ReLU."""
    epsilons = _tolerances(TASKS["relu"].construct(depth), X, tolerance)
    met, best = np.ones(N_HOSTS, dtype=bool), np.ones((N_HOSTS, 1))
    for n_units, epsilon in zip([width] * (depth - 2) + [1], epsilons, strict=True):
        weights = rng.uniform(-1, 1, size=(N_HOSTS, n_units, best.shape[1])).astype(np.float32)
        # By symmetry, the unit met before is as good as the first.
        met &= (weights[:, :, 0] >= 1 - epsilon).any(axis=1)
        # The largest product of positive weights up to each unit.
        best = np.maximum(weights * best[:, None], 0).max(axis=2)
    return met, best[:, 0] >= 1 - tolerance


if __name__ == "__main__":
    print("| task | depth | tolerance | bound at 100 | 1000 | 10^6 | width for 0.5 |")
    print("|---|---|---|---|---|---|---|")
    for name, task in TASKS.items():
        X = task.sample(1000, RandomState(0))
        for depth in (3, 5, 10):
            target = task.construct(depth)
            for tolerance in (0.1, 1):
                bounds = " | ".join(
                    f"{ticket_existence_probability(target, width, X, tolerance=tolerance):.2g}"
                    for width in (100, 1000, 10**6)
                )
                width = ticket_existence_width(target, X, probability=0.5, tolerance=tolerance)
                print(f"| {name} | {depth} | {tolerance} | {bounds} | {width:.2g} |")

    print("\n| depth | width | tolerance | bound | met | contained |\n|---|---|---|---|---|---|")
    for depth, width in [(3, 10), (3, 100), (4, 10), (4, 50), (6, 20)]:
        X = np.array([[-1.0], [1.0]])
        bound = ticket_existence_probability(
            TASKS["relu"].construct(depth), width, X, tolerance=0.5
        )
        met, contained = map(share, paths(depth, width, 0.5, X, RandomState(0)))
        print(f"| {depth} | {width} | 0.5 | {bound:.4f} | {met} | {contained} |")
