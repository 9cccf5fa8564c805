"""The speed of a stacked grid search: compared with scikit-learn's, and as candidates grow.

Circle, depth 5, width 100, batch size 32, three folds; 3000 samples, 10 epochs and two jobs unless
a test says otherwise.
"""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.pruners import MagnitudePruner, SNIPPruner

pytestmark = pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")


@pytest.fixture(scope="module")
def planted():
    return PlantedTicketGenerator(random_state=0).generate(3000)


def search(cls, planted, n_candidates=16, n_samples=3000, device="cpu"):
    """Run a search; return its scores, of shape (n_folds, n_candidates)."""
    pruner = MagnitudePruner(planted.make_net(device=device), random_state=0)
    grid = {"sparsity": np.linspace(0.2, 0.9, n_candidates // 2), "scope": ["global", "layer"]}
    found = cls(pruner, grid, cv=3, n_jobs=2, refit=False, error_score="raise")
    results = found.fit(planted.X[:n_samples], planted.y[:n_samples]).cv_results_
    return np.array([results[f"split{i}_test_score"] for i in range(3)])


def test_batched_search_beside_grid_search(device, planted, compare):
    for cls in (GridSearchCV, BatchedGridSearchCV):
        search(cls, planted, 2, n_samples=100, device=device)  # starts workers, loads code
    compare(
        f"`BatchedGridSearchCV`, 16 x 3 fits, {device}; peer: `GridSearchCV`",
        lambda: search(BatchedGridSearchCV, planted, device=device),
        lambda: search(GridSearchCV, planted, device=device),
        lambda theirs, own: np.abs(theirs - own).max(),
        within=1e-3,
        goal=">= 3",
        n_rounds=3,
        n_warm_ups=0,
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_short_search_of_what_scores_gradients(n_jobs, compare):
    planted = PlantedTicketGenerator(random_state=0).generate(4000)

    def short_search(cls, sparsities=(0.5, 0.8, 0.9, 0.95), n_samples=4000):
        pruner = SNIPPruner(planted.make_net(max_epochs=4))
        grid = {"sparsity": sparsities, "random_state": [0, 1, 2, 3]}
        found = cls(pruner, grid, cv=3, n_jobs=n_jobs, refit=False, error_score="raise")
        results = found.fit(planted.X[:n_samples], planted.y[:n_samples]).cv_results_
        return np.array([results[f"split{i}_test_score"] for i in range(3)])

    for cls in (GridSearchCV, BatchedGridSearchCV):
        short_search(cls, [0.5], n_samples=100)  # starts workers, loads code
    compare(
        f"`BatchedGridSearchCV`, SNIP, 16 x 3 fits of 4 epochs, {n_jobs} jobs; "
        "peer: `GridSearchCV`",
        lambda: short_search(BatchedGridSearchCV),
        lambda: short_search(GridSearchCV),
        lambda theirs, own: np.abs(theirs - own).max(),
        within=1e-3,
        goal=">= 3.5",
        n_rounds=3,
        n_warm_ups=0,
    )


def test_growth_with_candidates(planted, grow):
    jobs = {n: lambda n=n: search(BatchedGridSearchCV, planted, n) for n in (2, 4, 8, 16, 32)}
    turns = {"n_rounds": 2, "n_warm_ups": 0}
    grow("`BatchedGridSearchCV`, n candidates", jobs, per="s per candidate", **turns)
