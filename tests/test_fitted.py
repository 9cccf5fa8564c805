"""Fitted pruners: their predictions, probabilities and outputs."""

import numpy as np
import pytest
import torch
from sklearn.datasets import make_regression
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner, SNIPPruner
from tests.instances import make_net, small_data


@pytest.fixture
def data():
    return small_data()


def test_a_binary_net_with_one_logit(data):
    X, y = data
    labels = np.array(["no", "yes"])[y]
    net = NeuralNetBinaryClassifier(
        MLP,
        module__hidden=(32,),
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=30,
        train_split=None,
        verbose=0,
    )
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, labels)
    assert pruner.score(X, labels) > 0.8
    assert pruner.predict_proba(X).shape == (80, 2)
    assert (pruner.predict_proba(X)[:, 1] > 0.5).tolist() == (pruner.predict(X) == "yes").tolist()


def test_several_regression_outputs():
    X, y = make_regression(n_samples=80, n_features=5, n_targets=3, random_state=0)
    pruner = SNIPPruner(make_net("regressor"), sparsity=0.2, random_state=0).fit(X, y / y.std())
    assert pruner.predict(X).shape == (80, 3)
    assert pruner.output_scale_.shape == (3,)


def test_read_only_data_are_taken(data):
    X, y = data
    X.setflags(write=False)
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(X, y)
    pruner.transform(X)


def test_the_threshold_of_a_binary_net_counts(data):
    net = NeuralNetBinaryClassifier(MLP, threshold=0.9, train_split=None, max_epochs=1, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    expected = pruner.predict_proba(data[0])[:, 1] > 0.9
    assert (pruner.predict(data[0]) == 1).tolist() == expected.tolist()


def test_a_criterion_without_probabilities_has_no_predict_proba(data):
    net = make_net("classifier", criterion=nn.MultiMarginLoss, max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    pruner.predict(data[0])
    with pytest.raises(ValueError, match=r"MultiMarginLoss does not imply .* predict_nonlinearity"):
        pruner.predict_proba(data[0])


def test_other_columns_at_predict_are_refused(data):
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    with pytest.raises(ValueError, match="X has 5 features, but SNIPPruner is expecting 6"):
        pruner.predict(data[0][:, :5])
