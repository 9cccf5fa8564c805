"""The same on a GPU: pruners, searches, and small networks. Without one, nothing is shown."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.export import compact
from sklearn_tickets.model_selection import BatchedGridSearchCV, fit_replicates
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    AnnealingPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    IterativeMagnitudePruner,
    MagnitudePruner,
    OptimalBrainSurgeonPruner,
    RigLPruner,
    SNIPPruner,
)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CIRCLE = PlantedTicketGenerator(depth=3, width=20, random_state=0).generate(120)
NET = CIRCLE.make_net(max_epochs=2, device="cuda")


# So few weights may leave no path.
@pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")
@pytest.mark.parametrize(
    "pruner",
    [
        MagnitudePruner(NET),
        SNIPPruner(NET),
        IterativeMagnitudePruner(NET, n_rounds=2, rewind_epoch=1),
        EdgePopupPruner(NET, mask_epochs=1),
        ContinuousSparsificationPruner(NET, n_rounds=1, round_epochs=1),
        RigLPruner(NET, mask_epochs=1, update_every=1),
        AnnealingPruner(NET, mask_epochs=1, n_moves=2000),
        OptimalBrainSurgeonPruner(NET),
    ],
    ids=lambda pruner: type(pruner).__name__,
)
def test_pruners_hold_their_masks(pruner):
    pruner.set_params(sparsity=0.3, random_state=0).fit(CIRCLE.X, CIRCLE.y)
    parameters = dict(pruner.estimator_.module_.named_parameters())
    for name, kept in pruner.mask_.items():
        assert parameters[name].is_cuda
        assert not parameters[name].detach().cpu()[~kept].any()
    assert pruner.predict(CIRCLE.X).shape == (120,)
    assert pruner.mask_.sparsity == pytest.approx(0.3, abs=0.01)
    further = clone(pruner).set_params(sparsity=0.6, initial_mask=pruner.mask_)
    further.fit(CIRCLE.X, CIRCLE.y)
    assert further.mask_ & pruner.mask_ == further.mask_


def test_searches_score_as_scikit_learn():
    pruner = MagnitudePruner(NET, random_state=0)
    grid = {"sparsity": [0.2, 0.5], "scope": ["global", "layer"]}
    scores = [
        search(pruner, grid, cv=3, refit=False)
        .fit(CIRCLE.X, CIRCLE.y)
        .cv_results_["mean_test_score"]
        for search in (BatchedGridSearchCV, GridSearchCV)
    ]
    np.testing.assert_allclose(*scores, atol=0.03)


def test_replicates_are_fitted():
    pruner = MagnitudePruner(NET, sparsity=0.3, random_state=0)
    fitted = fit_replicates(pruner, [CIRCLE] * 3)
    assert all(replicate.mask_ == fitted[0].mask_ for replicate in fitted)


def test_compact_networks_stay_on_the_device():
    pruner = MagnitudePruner(NET, sparsity=0.5, random_state=0).fit(CIRCLE.X, CIRCLE.y)
    small = compact(pruner)
    X = torch.from_numpy(CIRCLE.X)
    assert all(parameter.is_cuda for parameter in small.parameters())
    expected = copy.deepcopy(pruner.estimator_.module_)(X.cuda())
    torch.testing.assert_close(small(X.cuda()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("density", [0.1, 0.3])
def test_masks_are_selected_on_the_device(scope, density):
    mask = CIRCLE.mask | CIRCLE.mask.shuffled(0)
    scores = {name: torch.randint(50, kept.shape).float() for name, kept in mask.items()}
    on_gpu = {name: score.cuda() for name, score in scores.items()}
    expected = mask.shrink(scores, density, scope, rng=1)
    assert mask.shrink(on_gpu, density, scope, rng=1) == expected


def test_a_large_network_predicts_as_skorch():
    rng = np.random.RandomState(0)
    X, y = rng.randn(300, 1000).astype("float32"), np.arange(300) % 3
    net = NeuralNetClassifier(
        MLP,
        module__hidden=(1000,),
        criterion=nn.CrossEntropyLoss,
        device="cuda",
        max_epochs=1,
        train_split=None,
        verbose=0,
    )
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(X, y)
    np.testing.assert_array_equal(pruner.predict(X), pruner.estimator_.predict(X))
