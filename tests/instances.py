"""One cheap instance of every pruner, and the small networks and data of many tests."""

import copy
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification, make_multilabel_classification
from sklearn.preprocessing import scale
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    ACDCPruner,
    AnnealingPruner,
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    FORCEPruner,
    GemMinerPruner,
    GeneticPruner,
    GivenMaskPruner,
    GraSPPruner,
    HardConcretePruner,
    IterativeMagnitudePruner,
    LearningRateRewindingPruner,
    MagnitudePruner,
    OptimalBrainSurgeonPruner,
    RandomPruner,
    RigLPruner,
    SNIPPruner,
    StochasticSparsificationPruner,
    SynFlowPruner,
)
from sklearn_tickets.pruners.base import Rounds, Run
from sklearn_tickets.training import Layout, TrainingState

X_SMALL = np.array([[1, 1], [2, 0]], dtype=np.float32)
Y_SMALL = np.array([0, 1], dtype=np.float32)

SETTINGS = {
    RandomPruner: {"sparsity": 0.5},
    MagnitudePruner: {"sparsity": 0.5},
    IterativeMagnitudePruner: {"sparsity": 0.5, "n_rounds": 2, "round_epochs": 2},
    LearningRateRewindingPruner: {
        "sparsity": 0.5,
        "n_rounds": 2,
        "round_epochs": 2,
        "final_epochs": 6,
    },
    # Weights that return at 0 go where rounding takes them; the sign in the penalty adds to it.
    ACDCPruner: {
        "sparsity": 0.5,
        "n_rounds": 3,
        "round_epochs": 2,
        "final_epochs": 4,
        "l1": 0.0,
    },
    OptimalBrainSurgeonPruner: {
        "sparsity": 0.5,
        "n_rounds": 2,
        "round_epochs": 2,
        "n_regrowths": 1,
    },
    SNIPPruner: {"sparsity": 0.5},
    FORCEPruner: {"sparsity": 0.5, "n_rounds": 3},
    GraSPPruner: {"sparsity": 0.5},
    SynFlowPruner: {"sparsity": 0.5, "n_rounds": 3},
    EdgePopupPruner: {"sparsity": 0.5, "mask_epochs": 2},
    ContinuousSparsificationPruner: {"sparsity": 0.5, "n_rounds": 2, "round_epochs": 2},
    StochasticSparsificationPruner: {"sparsity": 0.5, "round_epochs": 2},
    HardConcretePruner: {"sparsity": 0.5, "round_epochs": 2},
    GemMinerPruner: {"sparsity": 0.5, "mask_epochs": 2},
    ConcreteTicketPruner: {"sparsity": 0.5, "mask_epochs": 2},
    BernoulliGatePruner: {"sparsity": 0.5, "mask_epochs": 2},
    AnnealingPruner: {"sparsity": 0.5, "mask_epochs": 2, "n_moves": 2000, "n_chains": 1},
    RigLPruner: {"sparsity": 0.5, "update_every": 2},
    GeneticPruner: {
        "sparsity": 0.5,
        "population_size": 6,
        "min_generations": 1,
        "max_generations": 2,
    },
    GivenMaskPruner: {},
}

# Annealing takes chains of linear layers, and one class in a row.
GENERAL = [cls for cls in SETTINGS if cls is not AnnealingPruner]


def make_net(kind, **params):
    """A small net that learns what small data teach."""
    net_class, criterion = {
        "classifier": (NeuralNetClassifier, nn.CrossEntropyLoss),
        "regressor": (NeuralNetRegressor, nn.MSELoss),
    }[kind]
    defaults = {
        "module": partial(MLP, hidden=(32,)),
        "criterion": criterion,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "batch_size": 16,
        "max_epochs": 30,
        "iterator_train__shuffle": True,
        "train_split": None,
        "verbose": 0,
    }
    return net_class(**defaults | params)


def instances(kind):
    """All pruners around a net of that kind, trained as little as scikit-learn's checks bear."""
    # skorch makes its table of losses even if it does not print it.
    quick = {"lr": 0.05, "batch_size": 32, "max_epochs": 4, "callbacks__print_log": None}
    return [cls(make_net(kind, **quick), random_state=0, **kw) for cls, kw in SETTINGS.items()]


class ConvNet(nn.Module):
    """A convolution, batch normalization and dropout, for images of 8 x 8 pixels."""

    def __init__(self, n_outputs):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.dropout = nn.Dropout()
        self.head = nn.Linear(8 * 4 * 4, n_outputs)

    def forward(self, X):
        return self.head(self.dropout(self.features(X).flatten(1)))


class Softmax(MLP):
    """A module whose outputs are probabilities."""

    def forward(self, X):
        return super().forward(X).softmax(dim=1)


def small_data():
    """Two classes that a small net tells apart."""
    X, y = make_classification(n_samples=80, n_features=6, n_informative=4, random_state=0)
    return X.astype(np.float32), y


def multilabel_data():
    """Four labels, of which a row may have several."""
    X, y = make_multilabel_classification(n_samples=100, n_features=6, n_classes=4, random_state=0)
    return scale(X).astype(np.float32), y


def multilabel_net(**params):
    """A small net with a logit for each label."""
    return make_net("classifier", criterion=nn.BCEWithLogitsLoss, **params)


def small_images():
    """Digits from 0 to 3, one channel of 8 x 8 pixels."""
    X, y = load_digits(n_class=4, return_X_y=True)
    return (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)[:200], y[:200]


def two_layer_net():
    """Inputs -> two ReLU units -> one output, all weights different, no biases."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 4.0]]))
        module[2].weight.copy_(torch.tensor([[5.0, 6.0]]))
    return NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)


def linear_net(weight, **params):
    """One output without a bias."""
    module = nn.Linear(len(weight), 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([weight]))
    return NeuralNetRegressor(
        ModuleTemplate(module), train_split=None, verbose=0, batch_size=50, **params
    )


def layout_of(*shapes, scope="global"):
    """The layout of weights of these shapes."""
    mask = TicketMask({f"{i}.weight": torch.ones(shape) for i, shape in enumerate(shapes)})
    return Layout(mask, scope)


def run_of(net, X, y, sample_weight=None, **settings):
    """A fit of an initialized net that is about to begin."""
    start = TrainingState.of(net)
    mask = TicketMask.ones_like(net.module_)
    run = Run(Rounds(3), net, X, y, sample_weight, None, None, mask, start, start)
    return replace(run, **settings)


def score_of(pruner, *data):
    """The scores of all parameters at the initial weights, as lists."""
    scores = pruner._score(run_of(copy.deepcopy(pruner.estimator).initialize(), *data))
    return {name: score.flatten().tolist() for name, score in scores.items()}


def weights(pruner):
    """The parameters of the sparse network by name."""
    return {name: p.detach() for name, p in pruner.estimator_.module_.named_parameters()}


def assert_refused(pruner, data, complaint):
    """Check that a fit fails with this complaint, and leaves nothing behind."""
    with pytest.raises((ValueError, TypeError), match=complaint):
        pruner.fit(*data)
    assert not hasattr(pruner, "mask_")
