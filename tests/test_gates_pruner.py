"""Pruners that learn their masks: what all of them do."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier
from skorch.callbacks import Callback
from torch import nn

from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    HardConcretePruner,
    StochasticSparsificationPruner,
)
from tests.instances import linear_net, make_net, small_data

TRAINED = [
    ContinuousSparsificationPruner,
    StochasticSparsificationPruner,
    HardConcretePruner,
]
FROZEN = [EdgePopupPruner, GemMinerPruner, ConcreteTicketPruner, BernoulliGatePruner]

# Parameters of each algorithm's own, and values that make a difference in a few epochs.
OWN = {
    ContinuousSparsificationPruner: {"mask_init": [-0.1, 0.1], "final_temperature": [10, 200]},
    StochasticSparsificationPruner: {"mask_init": [-0.1, 0.1], "penalty": [0.0, 1.0]},
    HardConcretePruner: {"temperature": [0.3, 1.0], "mask_init": [0.0, 2.0]},
    EdgePopupPruner: {"anneal": [True, False], "mask_lr": [0.01, 1.0]},
    GemMinerPruner: {"penalty": [0.0, 10.0], "freeze_every": [1, 2]},
    ConcreteTicketPruner: {"objective": ["dense", "labels"], "temperature": [0.3, 1.0]},
    BernoulliGatePruner: {"noise": [0.1, 1.0], "penalty": [0.0, 10.0]},
}


@pytest.fixture
def data():
    return small_data()


class StopsAfterTwo(Callback):
    """Ends a training, as EarlyStopping does; remembers the epochs of the last."""

    def on_epoch_end(self, net, **kwargs):
        type(self).n_epochs = len(net.history)
        if len(net.history) == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("cls", [ContinuousSparsificationPruner, GemMinerPruner])
def test_callbacks_of_the_net_are_honored(data, cls):
    net = make_net("classifier", max_epochs=10, callbacks=[StopsAfterTwo()])
    cls(net, sparsity=0.5, train_ticket=False, random_state=0).fit(*data)
    assert StopsAfterTwo.n_epochs == 2


@pytest.mark.parametrize("cls", [*TRAINED, EdgePopupPruner, ConcreteTicketPruner])
def test_divergence_is_said(data, cls):
    net = make_net("regressor", lr=1e30, max_epochs=3)
    with pytest.raises(ValueError, match=r"Lower (mask_lr=1e\+30|its learning rate)"):
        cls(net, mask_lr=1e30, random_state=0).fit(*data)


@pytest.mark.parametrize("cls", TRAINED + FROZEN)
def test_values_that_are_too_large_are_refused(data, cls):
    X = data[0] * 1e25
    X[0, 0] = 3e38
    with pytest.raises(ValueError, match=r"\|X\| <= 3e\+38, \|y\| <= 1e\+10. Scale X"):
        cls(make_net("regressor"), random_state=0).fit(X, data[1] * 1e10)


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (GemMinerPruner, {"mask_lr": 0.05, "penalty": 0.1}),
        (BernoulliGatePruner, {"mask_lr": 0.1}),
        (BernoulliGatePruner, {"mask_lr": 0.1, "sparsity": None, "penalty": 0.1}),
        (ConcreteTicketPruner, {"objective": "labels", "learn_scale": True}),
    ],
)
def test_frozen_weights_that_fit_are_kept_as_they_are(cls, params):
    # y = 2 x1 - x3; the weights of x2 and x4 are of no use, at any factor of the output.
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    net = linear_net([2.0, 5.0, -1.0, 4.0], max_epochs=20, criterion=nn.MSELoss)
    pruner = cls(net, train_ticket=False, random_state=0)
    pruner.set_params(**{"sparsity": 0.5} | params).fit(X, 2 * X[:, 0] - X[:, 2])
    assert pruner.mask_["weight"].tolist() == [[True, False, True, False]]
    assert pruner.estimator_.module_.weight.tolist() == [[2, 0, -1, 0]]


@pytest.mark.parametrize("cls", TRAINED)
@pytest.mark.parametrize("sparsity", [None, 0.5])
def test_trained_weights_that_are_needed_are_kept(cls, sparsity):
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    net = linear_net([0.5, 0.5, 0.5, 0.5], max_epochs=40, lr=0.05, criterion=nn.MSELoss)
    pruner = cls(net, sparsity=sparsity, mask_lr=0.1, rewind_epoch=None, random_state=0)
    pruner.set_params(penalty=3.0 if cls is HardConcretePruner else 0.1)
    y = 2 * X[:, 0] - X[:, 2]
    pruner.fit(X, y)
    assert pruner.mask_["weight"].tolist() == [[True, False, True, False]]
    np.testing.assert_allclose(pruner.predict(X), y, atol=0.02)


@pytest.mark.parametrize("cls", TRAINED)
def test_without_rewinding_the_network_computes_the_same_without_gates(data, cls):
    net = make_net("classifier", max_epochs=8)
    pruner = cls(net, sparsity=None, penalty=0.0, rewind_epoch=None, final_epochs=0)
    pruner.set_params(random_state=0).fit(*data)
    logits = pruner.estimator_.forward(data[0])
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(data[1])).item()
    assert loss < 1.5 * pruner.rounds_[-1]["train_loss"] + 0.05
    assert pruner.score(*data) > 0.8


@pytest.mark.parametrize("cls", TRAINED)
def test_tickets_are_rewound(data, cls):
    net = make_net("classifier", max_epochs=4)
    to_start = cls(net, sparsity=0.5, train_ticket=False, random_state=0).fit(*data)
    later = cls(net, sparsity=0.5, rewind_epoch=2, train_ticket=False, random_state=0).fit(*data)
    assert later.mask_ == to_start.mask_
    for name, p in to_start.estimator_.module_.named_parameters():
        expected = to_start.mask_.apply(to_start.initial_state_)[name]
        assert torch.equal(p.detach(), expected)
    moved = later.estimator_.module_.layers[0].weight.detach()
    assert not torch.equal(moved, to_start.estimator_.module_.layers[0].weight.detach())
    assert len(later.estimator_.history) == 2


@pytest.mark.parametrize("cls", OWN)
def test_grid_search_over_their_own_parameters(data, cls):
    net = make_net("classifier", max_epochs=3)
    search = GridSearchCV(cls(net, sparsity=0.5, random_state=0), OWN[cls], cv=2).fit(*data)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.mask_.sparsity == 0.5


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.head = nn.Linear(4 * 36, 10)

    def forward(self, X):
        return self.head(self.features(X).flatten(1))


@pytest.mark.parametrize("cls", TRAINED + FROZEN)
def test_convolutions_and_normalization(cls):
    X, y = load_digits(return_X_y=True)
    X, y = X[:200].reshape(-1, 1, 8, 8) / 16, y[:200]
    net = make_net("classifier", module=ConvNet, max_epochs=2)
    pruner = cls(net, sparsity=0.5, prune_bias=True, random_state=0).fit(X, y)
    assert pruner.mask_.n_kept == round(0.5 * pruner.mask_.n_parameters)
    assert set(pruner.mask_) == {"features.0.weight", "features.0.bias", "head.weight", "head.bias"}


@pytest.mark.parametrize("cls", TRAINED + FROZEN)
def test_one_logit(data, cls):
    net = NeuralNetBinaryClassifier(
        MLP, module__n_outputs=1, train_split=None, verbose=0, max_epochs=2, batch_size=16
    )
    pruner = cls(net, sparsity=0.5, random_state=0).fit(*data)
    assert pruner.predict(data[0]).shape == (80,)


@pytest.mark.parametrize(
    ("cls", "params", "message"),
    [
        (ContinuousSparsificationPruner, {"penalty": -1.0}, "'penalty'"),
        (ContinuousSparsificationPruner, {"final_temperature": 1.0}, "'final_temperature'"),
        (ContinuousSparsificationPruner, {"rewind_epoch": 3}, r"rewind_epoch=3 .* round_epochs"),
        (HardConcretePruner, {"temperature": 0.0}, "'temperature'"),
        (EdgePopupPruner, {"sparsity": None}, "'sparsity'"),
        (GemMinerPruner, {"sparsity": None}, "'sparsity'"),
        (GemMinerPruner, {"freeze_every": 0}, "'freeze_every'"),
        (ConcreteTicketPruner, {"sparsity": None}, "'sparsity'"),
        (ConcreteTicketPruner, {"rewind_epoch": 1}, r"rewind_epoch=1 .* round_epochs"),
        (BernoulliGatePruner, {"noise": 0.0}, "'noise'"),
        (BernoulliGatePruner, {"mask_epochs": 0}, "'mask_epochs'"),
    ],
)
def test_errors_name_the_parameter(data, cls, params, message):
    pruner = cls(make_net("classifier", max_epochs=2), **params)
    with pytest.raises(ValueError, match=message):
        pruner.fit(*data)


@pytest.mark.parametrize(
    ("cls", "params", "gate"),
    [
        # sigma(-1) / sigma(-0.01), at the temperature of a single epoch
        (
            ContinuousSparsificationPruner,
            {"mask_init": -0.01, "final_temperature": 100},
            0.540597,
        ),
        (
            StochasticSparsificationPruner,
            {"mask_init": -0.01, "final_temperature": 100},
            0.540597,
        ),
        (HardConcretePruner, {"mask_init": 0.0}, 0.5),
    ],
)
def test_gates_become_part_of_the_kept_weights(data, cls, params, gate):
    # Neither weights nor scores move.
    net = make_net("classifier", max_epochs=1, optimizer=torch.optim.SGD, lr=1e-20)
    pruner = cls(net, sparsity=0.5, rewind_epoch=None, final_epochs=0, mask_lr=1e-20)
    pruner.set_params(**params, penalty=0.0, random_state=0).fit(*data)
    for name, kept in pruner.mask_.items():
        trained = pruner.estimator_.module_.get_parameter(name).detach()[kept]
        torch.testing.assert_close(trained, gate * pruner.initial_state_[name][kept])
