"""One cheap instance of every pruner, around a classifier and around a regressor."""

from functools import partial

import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets.models import MLP
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
    SNIPPruner: {"sparsity": 0.5},
    GraSPPruner: {"sparsity": 0.5},
    SynFlowPruner: {"sparsity": 0.5, "n_rounds": 3},
    EdgePopupPruner: {"sparsity": 0.5, "mask_epochs": 2},
    ContinuousSparsificationPruner: {"sparsity": 0.5, "n_rounds": 2, "round_epochs": 2},
    StochasticSparsificationPruner: {"sparsity": 0.5, "round_epochs": 2},
    HardConcretePruner: {"sparsity": 0.5, "round_epochs": 2},
    GemMinerPruner: {"sparsity": 0.5, "mask_epochs": 2},
    ConcreteTicketPruner: {"sparsity": 0.5, "mask_epochs": 2},
    BernoulliGatePruner: {"sparsity": 0.5, "mask_epochs": 2},
    RigLPruner: {"sparsity": 0.5, "update_every": 2},
    GeneticPruner: {
        "sparsity": 0.5,
        "population_size": 6,
        "min_generations": 1,
        "max_generations": 2,
    },
    GivenMaskPruner: {},
}


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
