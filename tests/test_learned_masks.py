"""Pruners that learn their masks: the gates by hand, their training, and what they find."""

import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetBinaryClassifier, NeuralNetRegressor
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate
from sklearn_tickets.pruners import (
    BernoulliGatePruner,
    ConcreteTicketPruner,
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GemMinerPruner,
    HardConcretePruner,
    StochasticSparsificationPruner,
)
from sklearn_tickets.pruners._bernoulli_gate import _ClippedNormal
from sklearn_tickets.pruners._concrete_ticket import _Concrete, _reverse_kl
from sklearn_tickets.pruners._continuous_sparsification import SoftGates
from sklearn_tickets.pruners._gem_miner import _Rounded
from sklearn_tickets.pruners._hard_concrete import _HardConcrete
from sklearn_tickets.pruners._stochastic_sparsification import _DrawnGates
from sklearn_tickets.training import Gates, Layout
from sklearn_tickets.training._learn_mask import LearnMask
from tests.instances import make_net

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
    X, y = make_classification(n_samples=80, n_features=6, n_informative=4, random_state=0)
    return X.astype(np.float32), y


def linear_net(weight, **params):
    module = nn.Linear(len(weight), 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([weight]))
    return NeuralNetRegressor(
        ModuleTemplate(module), train_split=None, verbose=0, batch_size=50, **params
    )


def layout_of(*shapes, scope="global"):
    mask = TicketMask({f"{i}.weight": torch.ones(shape) for i, shape in enumerate(shapes)})
    return Layout(mask, scope)


# The vector -----------------------------------------------------------------------------


def test_layout_joins_what_it_splits():
    tensors = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.tensor([6.0, 7.0])}
    tensors["1.weight"] = torch.arange(8.0, 12.0).view(1, 4)
    order = ["0.weight", "1.weight", "0.bias"]
    layout = Layout(TicketMask({name: tensors[name] >= 0 for name in order}), "layer")
    vector = layout.join(tensors)
    # A bias competes with its own weight, so it lies beside it.
    assert vector.tolist() == list(range(12))
    assert layout.groups == [slice(0, 8), slice(8, 12)]
    assert layout.weights == [slice(0, 6), slice(8, 12)]
    for name, part in layout.split(vector).items():
        assert torch.equal(part, tensors[name])


def test_the_best_of_each_weight_comes_first():
    layout = layout_of((1, 3), (1, 2))
    raised = layout.with_footholds(torch.tensor([0.1, 0.3, 0.2, 0.9, 0.8]))
    assert layout.best(raised, layout.counts(0.4)).tolist() == [False, True, False, True, False]
    assert layout.best(raised, layout.counts(0.6)).tolist() == [False, True, False, True, True]


def test_nothing_of_a_group_may_be_best():
    layout = layout_of((1, 3), (1, 2), scope="layer")
    scores = torch.tensor([0.1, 0.3, 0.2, 0.9, 0.8])
    assert layout.best(scores, [1, 0]).tolist() == [False, True, False, False, False]


# Gates by hand --------------------------------------------------------------------------


def test_soft_gates_start_open_and_harden():
    gates = SoftGates(torch.zeros(2), penalty=0.0, density=None, final_temperature=100.0)
    gates.begin_epoch(1, 3)
    assert gates().tolist() == [1.0, 1.0]
    with torch.no_grad():
        gates.scores.copy_(torch.tensor([0.5, -0.5]))
    gates.begin_epoch(2, 3)
    assert gates.temperature == pytest.approx(10)
    assert gates().tolist() == pytest.approx([2 / (1 + math.exp(-5)), 2 / (1 + math.exp(5))])
    gates.begin_epoch(3, 3)
    assert gates().tolist() == pytest.approx([2, 0], abs=1e-6)
    gates.begin_round(torch.tensor([False, False]), None)
    assert gates.scores.tolist() == [0.0, -50.0]
    gates.begin_round(torch.tensor([True, False]), None)
    assert gates().tolist() == [0.0, 0.0]


def test_drawn_gates_are_the_soft_ones_on_average():
    torch.manual_seed(0)
    gates = _DrawnGates(
        torch.full((20_000,), -0.5), penalty=0.0, density=None, final_temperature=10.0
    )
    gates.begin_epoch(1, 2)
    drawn = gates()
    scale = 1 + math.exp(0.5)
    assert drawn.unique().tolist() == pytest.approx([0, scale])
    assert drawn.mean().item() == pytest.approx(1, abs=0.02)
    assert gates.expected().tolist()[0] == pytest.approx(1)


def test_hard_concrete_gates_are_closed_open_or_between():
    torch.manual_seed(0)
    gates = _HardConcrete(torch.full((100_000,), 0.5), penalty=1.0, density=None, temperature=2 / 3)
    z = gates()
    assert (z == 0).any()
    assert (z == 1).any()
    expected = torch.sigmoid(torch.tensor(0.5 - 2 / 3 * math.log(0.1 / 1.1)))
    assert (z > 0).float().mean().item() == pytest.approx(expected.item(), abs=0.005)
    assert gates.expected()[0].item() == pytest.approx(1.2 / (1 + math.exp(-0.5)) - 0.1)
    # The threshold is where the gate without noise opens.
    at_threshold = _HardConcrete(
        torch.tensor([gates.threshold]), penalty=1.0, density=None, temperature=2 / 3
    )
    assert at_threshold.expected().item() == pytest.approx(0, abs=1e-6)


def test_clipped_normal_gates():
    torch.manual_seed(0)
    gates = _ClippedNormal(torch.full((100_000,), 0.3), penalty=1.0, density=None, noise=0.5)
    assert (gates() > 0).float().mean().item() == pytest.approx(0.7257, abs=0.005)
    assert gates.expected()[0].item() == pytest.approx(0.3)


def test_rounded_gates_freeze_the_lowest_for_good():
    layout = layout_of((1, 4))
    scores = torch.tensor([0.9, 0.6, 0.4, 0.2])
    gates = _Rounded(scores, layout=layout, density=0.25, penalty=0.0, freeze_every=1)
    gates.begin_epoch(1, 2)
    assert gates().tolist() == [1, 1, 0, 0]
    with torch.no_grad():
        gates.scores.copy_(torch.tensor([0.7, 0.8, 1.3, 1.2]))
        gates.project_()
    assert gates.scores.tolist() == pytest.approx([0.7, 0.8, 0, 0])
    gates.begin_epoch(2, 2)
    assert gates().tolist() == [0, 1, 0, 0]


def test_frozen_gates_do_not_come_back_when_others_fall_to_zero():
    gates = _Rounded(
        torch.linspace(0.9, 0.6, 4),
        layout=layout_of((1, 4)),
        density=0.25,
        penalty=0.0,
        freeze_every=1,
    )
    gates.begin_epoch(1, 4)
    with torch.no_grad():
        gates.scores.zero_()
        gates.project_()
    gates.begin_epoch(2, 4)
    assert gates.active.tolist() == [1, 1, 1, 0]


def test_concrete_gates_pull_only_while_too_many_are_open():
    task = torch.tensor([3.0, 4.0])
    few = _Concrete(torch.tensor([-3.0, -3.0]), density=0.5, temperature=1.0)
    assert torch.equal(few.gradient(task), task)
    many = _Concrete(torch.tensor([2.0, 2.0]), density=0.5, temperature=1.0)
    # As strong as the loss's gradient (5), and equal for both.
    expected = task + 5 / math.sqrt(2)
    assert many.gradient(task).tolist() == pytest.approx(expected.tolist(), rel=1e-5)


def test_reverse_kl_by_hand():
    sparse, dense = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])
    expected = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    assert _reverse_kl(sparse, dense).item() == pytest.approx(expected)
    # A single logit is that of class 1 against 0.
    one = _reverse_kl(torch.zeros(1), torch.tensor([-math.log(3.0)]))
    assert one.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("gates", "penalty"),
    [
        (
            SoftGates(torch.zeros(5), penalty=2.0, density=None, final_temperature=100.0),
            lambda gates: torch.sigmoid(gates.temperature * gates.scores).mean(),
        ),
        (
            _HardConcrete(torch.zeros(5), penalty=2.0, density=None, temperature=0.5),
            lambda gates: torch.sigmoid(gates.scores - 0.5 * math.log(0.1 / 1.1)).mean(),
        ),
        (
            _ClippedNormal(torch.zeros(5), penalty=2.0, density=None, noise=0.3),
            lambda gates: torch.special.ndtr(gates.scores / 0.3).mean(),
        ),
        (
            _Rounded(
                torch.zeros(5), layout=layout_of((1, 5)), density=0.5, penalty=2.0, freeze_every=1
            ),
            lambda gates: (gates.scores**2).mean(),
        ),
    ],
    ids=["soft", "hard concrete", "clipped normal", "rounded"],
)
def test_penalties_are_as_documented(gates, penalty):
    gates.begin_epoch(2, 3)
    with torch.no_grad():
        gates.scores.copy_(torch.linspace(-0.2, 0.9, 5))
    (expected,) = torch.autograd.grad(2.0 * penalty(gates), gates.scores)
    found = gates.gradient(torch.zeros(5))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_what_may_be_open_is_free():
    gates = _ClippedNormal(torch.tensor([0.0, 0.0]), penalty=1.0, density=0.6, noise=1.0)
    assert gates.gradient(torch.zeros(2)).tolist() == [0, 0]
    gates.density = 0.4
    slope = 1 / math.sqrt(2 * math.pi) / 2
    assert gates.gradient(torch.zeros(2)).tolist() == pytest.approx([slope, slope])


# Training them --------------------------------------------------------------------------


class Linear(Gates):
    """Gates that are their scores, trained by plain gradient descent."""

    def optimizer(self, lr):
        return torch.optim.SGD([self.scores], lr=lr)

    def __call__(self):
        return 1 * self.scores


@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_are_those_of_the_gated_network(data, frozen):
    X, y = data[0], data[1].astype(np.float32).reshape(-1, 1)
    net = make_net("regressor", module=ModuleTemplate(MLP(6, 1, hidden=(4,))), batch_size=80)
    net.set_params(optimizer=torch.optim.SGD, lr=1.0, max_epochs=1).initialize()
    before = {name: p.detach().clone() for name, p in net.module_.named_parameters()}
    layout = Layout(TicketMask.ones_like(net.module_), "global")
    gates = Linear(torch.linspace(0.5, 1.5, 28))
    s = gates.scores.detach().clone().requires_grad_()
    w = {name: p.clone().requires_grad_() for name, p in before.items()}
    theta = w | {n: w[n] * g for n, g in layout.split(s).items()}
    torch.nn.functional.mse_loss(
        torch.func.functional_call(net.module_, theta, torch.from_numpy(X)), torch.from_numpy(y)
    ).backward()
    criterion = net.criterion_
    net.callbacks_.append(("mask", LearnMask(gates, layout, lr=1.0, n_epochs=1, frozen=frozen)))
    net.partial_fit(X, y)  # one epoch of one batch
    np.testing.assert_allclose(gates.scores.detach(), (s - s.grad).detach(), rtol=1e-4, atol=1e-6)
    for name, p in net.module_.named_parameters():
        expected = before[name] if frozen else before[name] - w[name].grad
        np.testing.assert_allclose(p.detach(), expected, rtol=1e-4, atol=1e-6)
    assert net.criterion_ is criterion


def test_validation_sees_the_gated_network(data):
    closed = Linear(torch.zeros(6))
    net = linear_net([1.0] * 6, max_epochs=1, lr=1e-9).set_params(
        train_split=ValidSplit(2), criterion=nn.MSELoss
    )
    net.initialize()
    layout = Layout(TicketMask.ones_like(net.module_), "global")
    net.callbacks_.append(("mask", LearnMask(closed, layout, lr=1e-9, n_epochs=1, frozen=True)))
    net.partial_fit(data[0], np.ones((80, 1), dtype=np.float32))
    assert net.history[-1]["valid_loss"] == pytest.approx(1, abs=1e-4)
    assert net.module_.weight.tolist() == [[1.0] * 6]


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


@pytest.mark.parametrize("cls", TRAINED + FROZEN)
def test_divergence_is_said(data, cls):
    X = data[0] * 1e25
    X[0, 0] = 3e38
    with pytest.raises(ValueError, match=r"mask_lr=|learning rate"):
        cls(make_net("regressor"), random_state=0).fit(X, data[1] * 1e10)


# What they find -------------------------------------------------------------------------


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


def test_concrete_tickets_keep_what_the_dense_network_needs():
    X = np.random.RandomState(0).randn(200, 4).astype(np.float32)
    net = linear_net([3.0, 0.1, -2.0, 0.2], max_epochs=10)
    pruner = ConcreteTicketPruner(net, sparsity=0.5, train_ticket=False, random_state=0)
    # The labels do not matter.
    pruner.fit(X, X[:, 1])
    assert pruner.mask_["weight"].tolist() == [[True, False, True, False]]


def test_density_rises_with_the_initial_scores():
    X, y = load_digits(return_X_y=True)
    net = make_net("classifier", max_epochs=3, lr=3e-3)
    densities = [
        ContinuousSparsificationPruner(
            net, sparsity=None, mask_init=init, train_ticket=False, random_state=0
        )
        .fit(X / 16, y)
        .mask_.density
        for init in (-0.3, -0.1, 0.0, 0.1, 0.3)
    ]
    assert densities == sorted(set(densities))


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


def test_rounds_are_nested_and_go_on_from_trained_weights(data):
    net = make_net("classifier", max_epochs=4)
    pruner = ContinuousSparsificationPruner(
        net, sparsity=0.75, n_rounds=3, train_ticket=False, random_state=0
    ).fit(*data)
    losses = [record["train_loss"] for record in pruner.rounds_]
    assert losses[1] < losses[0]
    assert [record["round"] for record in pruner.rounds_] == [1, 2, 3]


def test_concrete_tickets_can_be_searched_after_warming_up(data):
    net = make_net("classifier", max_epochs=3)
    pruner = ConcreteTicketPruner(
        net, round_epochs=3, rewind_epoch=2, train_ticket=False, random_state=0
    ).fit(*data)
    assert len(pruner.estimator_.history) == 2


# With everything ------------------------------------------------------------------------


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
