"""Bases of pruners that score: what competes, penalties and dead ends."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from torch import nn

from sklearn_tickets.masks import LayerCollapseWarning, TicketMask
from sklearn_tickets.models import ModuleTemplate
from sklearn_tickets.pruners import MagnitudePruner
from sklearn_tickets.pruners.base import ScoringPruner
from tests.instances import X_SMALL, Y_SMALL, assert_refused, make_net, small_data, weights


@pytest.fixture
def data():
    return small_data()


def test_constant_weights_give_nothing_to_choose_by(data):
    module = nn.Linear(6, 2)
    nn.init.constant_(module.weight, 0.5)
    with pytest.raises(ValueError, match=r"scores all parameters .* the same"):
        MagnitudePruner(make_net("classifier", module=ModuleTemplate(module))).fit(*data)


def test_only_kept_weights_can_be_chosen_by_their_differences(data):
    module = nn.Linear(6, 2)
    nn.init.constant_(module.weight, 0.5)
    nn.init.zeros_(module.weight[0])
    net = make_net("classifier", module=ModuleTemplate(module), max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.75, initial_mask="nonzero", random_state=0)
    with pytest.raises(ValueError, match=r"scores all parameters .* the same \(0.5\)"):
        pruner.fit(*data)
    # There is nothing to choose if all that the mask keeps is kept.
    assert pruner.set_params(sparsity=0.5).fit(*data).mask_.n_kept == 6


def test_excluded_parameters_stay_dense(data):
    pruner = MagnitudePruner(
        make_net("classifier", max_epochs=1), exclude=("layers.1.*",), random_state=0
    ).fit(*data)
    assert list(pruner.mask_) == ["layers.0.weight"]
    assert (weights(pruner)["layers.1.weight"] != 0).all()


def test_the_l1_penalty_pulls_weights_to_zero_in_the_rounds_only(data):
    """On constant targets plain SGD moves weights by lr * l1 * sign(w) a step, and no further."""
    X = np.zeros((8, 3), dtype=np.float32)  # no gradient of the data
    module = nn.Linear(3, 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([[1.0, -2.0, 3.0]]))
    net = make_net(
        "regressor",
        module=ModuleTemplate(module),
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=4,
        max_epochs=3,
    )
    pruner = MagnitudePruner(net, sparsity=0.3, round_epochs=2, rewind_epoch=None, l1=0.5)
    pruner.fit(X, np.ones(8))
    # Two epochs of two steps: 4 * 0.1 * 0.5. The ticket's own training adds nothing.
    expected = torch.tensor([[0.0, -1.8, 2.8]])
    torch.testing.assert_close(weights(pruner)["weight"], expected)


def fit_with_automatic_l1(kind, x, n):
    """Fit a linear net, of which only the first input is not 0, for two steps of 0.1."""
    module = nn.Linear(3, 2 if kind == "classifier" else 1, bias=False)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([3.0, -2.0, 4.0]))
    net = make_net(
        kind,
        module=ModuleTemplate(module),
        optimizer=torch.optim.SGD,
        lr=0.1,
        batch_size=n,
        max_epochs=1,
    )
    pruner = MagnitudePruner(net, sparsity=0.0, round_epochs=2, rewind_epoch=None, l1="auto")
    y = np.arange(n) % 4 > 0 if kind == "classifier" else np.full(n, 2.0)
    return pruner.fit(np.tile([x, 0.0, 0.0], (n, 1)), y)


@pytest.mark.parametrize(("kind", "per_row"), [("classifier", 2.7), ("regressor", 0.9)])
@pytest.mark.parametrize(("n", "divisor"), [(8, 300), (600, 600)])
def test_the_automatic_l1_penalty_counts_less_among_more_rows(kind, per_row, n, divisor):
    pruner = fit_with_automatic_l1(kind, 1.0, n)
    step = 0.1 * per_row / divisor
    expected = torch.tensor([-2 + 2 * step, 4 - 2 * step])
    torch.testing.assert_close(weights(pruner)["weight"][0, 1:], expected)


def test_the_automatic_l1_penalty_is_at_most_the_mean_gradient():
    pruner = fit_with_automatic_l1("regressor", 0.001, 8)
    # The first entry of the gradient is 2 (3 x - 2) x, the others are 0.
    step = 0.1 * abs(2 * (3 * 0.001 - 2) * 0.001) / 3
    expected = torch.tensor([-2 + 2 * step, 4 - 2 * step])
    torch.testing.assert_close(weights(pruner)["weight"][0, 1:], expected, rtol=1e-6, atol=1e-6)


def test_dead_ends_are_pruned_first():
    """Once a unit's way out is cut, its incoming weights go, though they are the largest."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[9.0, 8.0], [2.0, 3.0]]))
        module[2].weight.copy_(torch.tensor([[0.1, 5.0]]))
    net = NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, n_rounds=2, train_ticket=False)
    with pytest.warns(LayerCollapseWarning):
        pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_ == TicketMask({"0.weight": [[1, 1], [0, 0]], "2.weight": [[0, 1]]})
    pruner.set_params(connected=True).fit(X_SMALL, Y_SMALL)
    assert pruner.mask_["0.weight"][1].tolist() == [False, True]
    assert pruner.mask_["2.weight"].tolist() == [[False, True]]


class Encoder(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.last = layer, nn.LazyLinear(1)
        self(torch.ones(2, 2))

    def forward(self, x):
        encoded = self.layer(x if isinstance(self.layer, nn.GRUCell) else x[:, None])
        return self.last((encoded[0] if isinstance(encoded, tuple) else encoded).flatten(1))


@pytest.mark.parametrize(
    ("layer", "operation"),
    [
        (nn.GRU(2, 3, batch_first=True), "gru"),
        (nn.LSTM(2, 3, batch_first=True), "lstm"),
        (nn.RNN(2, 3, batch_first=True), "rnn_tanh"),
        (nn.GRUCell(2, 3), "gru_cell"),
        (nn.TransformerEncoderLayer(2, 1, 4, batch_first=True), "multi_head_attention_forward"),
    ],
)
def test_dead_ends_behind_unknown_operations_are_refused_before_training(layer, operation):
    net = make_net("regressor", module=ModuleTemplate(Encoder(layer)), iterator_train=None)
    pruner = MagnitudePruner(net, sparsity=0.5, n_rounds=2, round_epochs=1, connected=True)
    complaint = f"connected=True of MagnitudePruner .* through {operation} inside"
    assert_refused(pruner, (X_SMALL, Y_SMALL), complaint)


@pytest.mark.parametrize(
    ("make_pruner", "complaint"),
    [
        (lambda: MagnitudePruner(make_net("classifier"), sparsity=1.0), "'sparsity' parameter"),
        (lambda: MagnitudePruner(make_net("classifier"), sparsity=-0.1), "'sparsity' parameter"),
        (lambda: MagnitudePruner(make_net("classifier"), scope="local"), "'scope' parameter"),
        (
            lambda: MagnitudePruner(
                make_net("classifier", module__hidden=()), exclude=("layers*",)
            ),
            "no prunable parameters",
        ),
        (
            lambda: MagnitudePruner(make_net("classifier"), exclude=("head.*",)),
            r"exclude='head.\*' matches no parameter",
        ),
        (lambda: MagnitudePruner(make_net("classifier"), l1=-1.0), "'l1' parameter"),
    ],
)
def test_what_cannot_be_scored_is_refused(make_pruner, complaint, data):
    assert_refused(make_pruner(), data, complaint)


def test_the_l1_penalty_leaves_biases_alone():
    X = np.zeros((8, 3), dtype=np.float32)
    module = nn.Linear(3, 1)
    nn.init.constant_(module.bias, 2.0)
    net = make_net("regressor", module=ModuleTemplate(module), optimizer=torch.optim.SGD, lr=0.1)
    pruner = MagnitudePruner(
        net, sparsity=0.25, prune_bias=True, round_epochs=2, rewind_epoch=None, l1=0.5
    ).fit(X, np.full(8, 2.0))
    assert weights(pruner)["bias"].item() == 2.0


class KeepsTheSmallest(ScoringPruner):
    """Scores are all negative."""

    def _score(self, run):
        return {name: -run.net.module_.get_parameter(name).detach().abs() for name in run.mask}


def test_dead_ends_rank_below_negative_scores():
    """Once the largest weight is cut, the smallest ones lead nowhere and go first."""
    module = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.tensor([[0.1, 0.2], [2.0, 3.0]]))
        module[2].weight.copy_(torch.tensor([[9.0, 1.0]]))
    net = NeuralNetRegressor(ModuleTemplate(module), train_split=None, verbose=0)
    pruner = KeepsTheSmallest(net, sparsity=0.5, n_rounds=2, connected=True, train_ticket=False)
    pruner.fit(X_SMALL, Y_SMALL)
    assert pruner.mask_["0.weight"][1].tolist() == [True, False]
    assert pruner.mask_["2.weight"].tolist() == [[False, True]]
