"""The speed of learning masks in stacks: compared with fits one after the other.

Circle, depth 5, width 100, 2000 samples, batch size 32, 10 epochs of learning and 10 of the
ticket, one process. The parallel search has one network at eight initial scores.
"""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV, fit_replicates
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
)

TURNS = {"n_rounds": 3, "n_warm_ups": 0}


@pytest.fixture(scope="module")
def hosts():
    return [PlantedTicketGenerator(random_state=seed).generate(2000) for seed in range(16)]


@pytest.mark.parametrize(
    "cls", [ContinuousSparsificationPruner, EdgePopupPruner, BernoulliGatePruner]
)
def test_replicates_beside_single_fits(cls, hosts, compare):
    pruner = cls(hosts[0].make_net(max_epochs=10), sparsity=0.9, random_state=0)

    def one_by_one():
        return [clone(pruner).set_params(estimator__module=h.module).fit(h.X, h.y) for h in hosts]

    compare(
        f"`fit_replicates`, `{cls.__name__}`, 16 hosts; peer: one by one",
        lambda: fit_replicates(pruner, hosts),
        one_by_one,
        lambda theirs, own: sum(a.mask_ != b.mask_ for a, b in zip(theirs, own, strict=True)),
        within=0,
        goal=">= 2.5",
        **TURNS,
    )


def test_parallel_search_beside_grid_search(hosts, compare):
    [planted, *_] = hosts
    pruner = ContinuousSparsificationPruner(
        planted.make_net(max_epochs=10), sparsity=0.9, random_state=0
    )
    grid = {"mask_init": np.linspace(-0.3, 0.1, 8)}
    rows = np.arange(2000)

    def search(kind):
        found = kind(pruner, grid, cv=[(rows, rows)], refit=False, error_score="raise")
        return found.fit(planted.X, planted.y).cv_results_["mean_test_score"]

    compare(
        "`BatchedGridSearchCV`, continuous sparsification, 8 `mask_init`; peer: `GridSearchCV`",
        lambda: search(BatchedGridSearchCV),
        lambda: search(GridSearchCV),
        lambda theirs, own: np.abs(theirs - own).max(),
        within=1e-3,
        goal=">= 2.5",
        **TURNS,
    )
