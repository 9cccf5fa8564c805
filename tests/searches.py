"""Searches whose fits are stacked, and the comparison with scikit-learn's."""

import re

import numpy as np
import torch
from numpy.testing import assert_allclose
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.datasets import PlantedTicketGenerator
from sklearn_tickets.model_selection import BatchedGridSearchCV

CIRCLE = PlantedTicketGenerator("circle", depth=3, width=20, random_state=0).generate(120)
HELIX = PlantedTicketGenerator("helix", depth=3, width=30, random_state=0).generate(120)
GRID = {"sparsity": [0.2, 0.5], "scope": ["global", "layer"]}


def make_net(module, **settings):
    """A silent classifier that trains for two epochs."""
    return NeuralNetClassifier(
        module,
        **{
            "criterion": nn.CrossEntropyLoss,
            "lr": 0.1,
            "batch_size": 32,
            "max_epochs": 2,
            "iterator_train__shuffle": True,
            "train_split": None,
            "verbose": 0,
        }
        | settings,
    )


def stacked(caplog):
    """The sizes of the stacks so far."""
    found = (re.fullmatch(r"Trained (\d+) fits as one network\.", m) for m in caplog.messages)
    return [int(match[1]) for match in found if match]


def weigh(estimator, X, y, sample_weight=None):
    """A sum of the trained weights, with factors that tell them apart."""
    pruner = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    weights = torch.cat([p.detach().flatten() for p in pruner.estimator_.module_.parameters()])
    return float(weights.double() @ torch.arange(1.0, len(weights) + 1, dtype=torch.float64))


def check_same(estimator, grid, planted=CIRCLE, *, rtol=1e-5, fit_params=None, **settings):
    """Search with and without stacks, and compare the scores and weights of all fits."""
    quality = "accuracy" if planted.y.dtype == np.int64 else "r2"
    settings = {
        "scoring": {"quality": quality, "weights": weigh},
        "cv": 2,
        "refit": False,
    } | settings
    data, fit_params = (planted.X, planted.y), fit_params or {}
    batched = BatchedGridSearchCV(estimator, grid, **settings).fit(*data, **fit_params)
    settings.pop("max_batch_bytes", None)
    expected = GridSearchCV(estimator, grid, **settings).fit(*data, **fit_params).cv_results_
    assert batched.cv_results_.keys() == expected.keys()
    for name, values in expected.items():
        if name.startswith("split"):
            assert_allclose(batched.cv_results_[name], values, rtol, err_msg=name)
    return batched
