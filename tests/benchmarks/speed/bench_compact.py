"""The speed of compacting: a network with a hundredth of its weights, masked and compact.

MLP with four layers of 1024 units on digits, 256 images at a time. Outputs are compared relative
to the largest.
"""

import pytest
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier
from torch import nn

from sklearn_tickets.export import compact
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner, SynFlowPruner


@pytest.mark.parametrize(
    ("pruner", "settings"),
    [(MagnitudePruner, {}), (SynFlowPruner, {"n_rounds": 10})],
    ids=["magnitude", "SynFlow"],
)
def test_compact_beside_masked(pruner, settings, compare):
    X, y = load_digits(return_X_y=True)
    net = NeuralNetClassifier(
        MLP,
        module__hidden=(1024,) * 4,
        module__init="he",
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=128,
        max_epochs=2,
        train_split=None,
        verbose=0,
    )
    fitted = pruner(net, sparsity=0.99, random_state=0, **settings).fit(X[:1000] / 16, y[:1000])
    assert not fitted.rounds_[-1]["collapsed"]
    masked, small = fitted.estimator_.module_.eval(), compact(fitted)
    images = torch.tensor(X[:256] / 16, dtype=torch.float32)
    with torch.no_grad():
        compare(
            f"`compact`, 99 % sparse, {pruner.__name__}; peer: the masked network",
            lambda: small(images),
            lambda: masked(images),
            lambda theirs, own: (theirs - own).abs().max() / theirs.abs().max(),
            within=1e-5,
            goal=">= 10",
            n_rounds=100,
        )
