"""Learning-rate rewinding: its many epochs on few rows."""

from functools import partial

import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import scale

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import LearningRateRewindingPruner
from tests.instances import make_net


def test_the_penalty_keeps_many_rounds_from_overfitting_few_rows():
    """With the penalty of 9000 rows, R2 on the other rows was .19."""
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    net = make_net("regressor", module=partial(MLP, hidden=(100, 100)), lr=3e-3, batch_size=32)
    pruner = LearningRateRewindingPruner(net, sparsity=0.8, random_state=2)
    assert pruner.fit(X[:200], y[:200]).score(X[200:], y[200:]) > 0.35


def test_the_penalty_leaves_deep_networks_their_small_weights():
    """Their gradients are small at first. The penalty by rows alone made the network constant."""
    X, y = load_digits(return_X_y=True)
    net = make_net("classifier", module=MLP, optimizer=torch.optim.Adam, lr=3e-3, batch_size=128)
    pruner = LearningRateRewindingPruner(net, sparsity=0.8, n_rounds=5, random_state=0)
    assert pruner.fit(X / 16, y).score(X / 16, y) > 0.95
