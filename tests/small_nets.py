"""Small data, and nets around a small MLP that is trained on them."""

import numpy as np
import torch
from skorch import NeuralNetRegressor

from sklearn_tickets._random import seeded
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.training import Training

RNG = np.random.RandomState(0)
X = RNG.randn(60, 3).astype("float32")
Y = (X @ [[1], [-2], [0.5]]).astype("float32")
MASK = TicketMask(
    {
        name: RNG.rand(*shape) < 0.5
        for name, shape in {
            "layers.0.weight": (8, 3),
            "layers.0.bias": (8,),
            "layers.1.weight": (1, 8),
        }.items()
    }
)
MOMENTUM = {
    "optimizer": torch.optim.SGD,
    "optimizer__momentum": 0.9,
    "optimizer__weight_decay": 0.01,
}


def make_net(net_class=NeuralNetRegressor, **params):
    """A silent net around a small MLP that trains on all rows."""
    defaults = {
        "module": MLP,
        "module__n_features": 3,
        "module__n_outputs": 1,
        "module__hidden": (8,),
        "batch_size": 16,
        "max_epochs": 3,
        "train_split": None,
        "verbose": 0,
    }
    return net_class(**defaults | params)


def initialized(seed=0, **params):
    """The net with its weights drawn from a seed."""
    with seeded(seed, "cpu"):
        return make_net(**params).initialize()


def weights(net):
    """Copies of a net's parameters."""
    return {name: value.clone() for name, value in net.module_.named_parameters()}


def assert_same_state(first, second):
    """Two states have the same names and equal tensors."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def train(net, X, Y, until, snapshot=None):
    """Train up to an epoch, and return the state at the end of epoch `snapshot`."""
    training = Training(net, X, Y, until, snapshot)
    training.run()
    return training.passed


def trained(net, until, snapshot=None):
    """The weights after training on the small data, and the snapshot."""
    state = train(net, X, Y, until, snapshot)
    return weights(net), state
