"""What stacking saves in a grid search: 16 candidates, three folds, against scikit-learn's.

Run as ``OMP_NUM_THREADS=1 python tests/benchmarks/batched_search.py`` (two minutes on two cores):
planted circle, depth 5, width 100, 3000 samples, batch 32, 10 epochs. The searches take turns, so
that a busy machine slows all of them.
"""

import time
import warnings

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV

from sklearn_tickets import LayerCollapseWarning, MagnitudePruner, PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV

GRID = {"sparsity": [0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9], "scope": ["global", "layer"]}
N_TURNS = 2


def scores(search):
    """Of every candidate and fold."""
    return np.array([search.cv_results_[f"split{i}_test_score"] for i in range(3)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", LayerCollapseWarning)
    planted = PlantedTicketGenerator(random_state=0).generate(3000)
    pruner = MagnitudePruner(planted.make_net(), random_state=0)
    searches = {
        f"{cls.__name__}, n_jobs={n_jobs}": cls(pruner, GRID, cv=3, n_jobs=n_jobs, refit=False)
        for n_jobs in (1, 2)
        for cls in (GridSearchCV, BatchedGridSearchCV)
    }
    seconds = {name: [] for name in searches}
    for _ in range(N_TURNS):
        for name, search in searches.items():
            began = time.perf_counter()
            search.fit(planted.X, planted.y)
            seconds[name].append(time.perf_counter() - began)
    ordinary = scores(searches["GridSearchCV, n_jobs=1"])
    print(
        "| | s (median of turns) | s (least) | largest difference of a score |\n|---|---|---|---|"
    )
    for name, values in seconds.items():
        difference = np.abs(scores(searches[name]) - ordinary).max()
        print(f"| {name} | {np.median(values):.1f} | {min(values):.1f} | {difference:.1g} |")
