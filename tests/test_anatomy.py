"""Paths, nodes, operations and gradients of sparse networks, and how far pruners compress."""

import copy

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets.inspection import (
    critical_compression,
    effective_nodes,
    effective_paths,
    gradient_flow,
    sparse_flops,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP, ModuleTemplate, ResNet
from sklearn_tickets.pruners import (
    GivenMaskPruner,
    MagnitudePruner,
    RandomPruner,
    SNIPPruner,
    SynFlowPruner,
)

# Paths, nodes and operations -------------------------------------------------------------

CHAIN = MLP(2, 1, hidden=(3, 2))
# Unit 0 of the first layer leads to unit 0 of the second, unit 1 to both, unit 2 has no input;
# unit 1 of the second leads nowhere.
KEPT = {
    "layers.0.weight": [[1, 1], [0, 1], [0, 0]],
    "layers.1.weight": [[1, 1, 1], [0, 1, 0]],
    "layers.2.weight": [[1, 0]],
}


def test_paths_and_nodes_of_a_chain_by_hand():
    mask, X = TicketMask(KEPT), np.zeros((5, 2))
    assert effective_paths(CHAIN, mask, X) == 2 + 1
    assert effective_paths(CHAIN, mask | ~mask, X) == 2 * 3 * 2
    table = effective_nodes(CHAIN, mask, X)
    assert list(table.columns) == ["n_nodes", "n_effective", "n_dead", "n_removed"]
    assert table.loc["layers.0.weight"].tolist() == [3, 2, 0, 1]
    assert table.loc["layers.1.weight"].tolist() == [2, 1, 1, 0]
    assert table.loc["layers.2.weight"].tolist() == [1, 1, 0, 0]


def test_biases_start_no_path():
    biases = {f"layers.{i}.bias": np.ones(n, dtype=bool) for i, n in enumerate((3, 2, 1))}
    mask, X = TicketMask(KEPT | biases), np.zeros((1, 2))
    assert effective_paths(CHAIN, mask, X) == 3
    assert effective_nodes(CHAIN, mask, X).equals(effective_nodes(CHAIN, TicketMask(KEPT), X))


def test_nodes_behind_a_gap_are_dead():
    mask = TicketMask(KEPT | {"layers.0.weight": np.zeros((3, 2), dtype=bool)})
    assert effective_paths(CHAIN, mask, np.zeros((1, 2))) == 0
    table = effective_nodes(CHAIN, mask, np.zeros((1, 2)))
    assert table["n_effective"].tolist() == [0, 0, 0]
    assert table["n_dead"].tolist() == [0, 2, 1]
    assert table["n_removed"].tolist() == [3, 0, 0]


def test_a_convolution_has_paths_at_each_position():
    # Four pixels, a filter of two: three positions. Channel 0 keeps both taps, channel 1 one.
    net = nn.Sequential(nn.Conv1d(1, 2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(6, 1))
    net[1].weight.data.fill_(0.3)
    head = torch.ones(1, 6, dtype=torch.bool)
    mask = TicketMask({"0.weight": [[[1, 1]], [[0, 1]]], "4.weight": head})
    X = np.zeros((1, 1, 4))
    assert effective_paths(net, mask, X) == 3 * 2 + 3 * 1
    assert effective_nodes(net, mask, X).loc["0.weight"].tolist() == [2, 2, 0, 0]
    # Three positions, three weights, and six to the output, each a product and a sum.
    assert sparse_flops(net, mask, X) == 2 * (3 * 3 + 6)


def test_pooled_paths_count_as_one():
    # One path leads to the first position, at the padding, and two to each of the others.
    for pool in (nn.MaxPool1d(2), nn.AvgPool1d(2)):
        net = nn.Sequential(nn.Conv1d(1, 1, 2, padding=1), pool, nn.Flatten(), nn.Linear(2, 1))
        paths = effective_paths(net, TicketMask.ones_like(net), np.zeros((1, 1, 4)))
        assert paths == (1 + 2) / 2 + (2 + 2) / 2


class Follows(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.layer, self.function = nn.Linear(2, 2), function

    def forward(self, x):
        return self.function(self.layer(x))


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x.sort(dim=1).values, "sort"),
        (lambda x: x.topk(1).values, "topk"),
        (lambda x: x.cumprod(1), "cumprod"),
        (lambda x: x * float(x.sum()), "float"),
        (lambda x: nn.functional.cosine_similarity(x[None], x[:, None]), "cosine_similarity"),
    ],
)
def test_paths_through_unknown_operations_are_not_counted(function, name):
    net = Follows(function)
    with pytest.raises(ValueError, match=f"Paths through {name} in Follows cannot be counted"):
        effective_paths(net, TicketMask.ones_like(net), np.zeros((1, 2)))


def test_shortcuts_are_paths_and_parameters_that_no_mask_covers_are_kept():
    net = ResNet(1, 8, 2, width=0.125)
    blocks = [name for name in TicketMask.ones_like(net) if "conv2" in name]
    mask = TicketMask({name: torch.zeros(net.get_parameter(name).shape) for name in blocks})
    X = np.zeros((1, 1, 8, 8))
    assert 0 < effective_paths(net, mask, X) < effective_paths(net, ~mask, X)


def test_a_network_of_a_single_weight_layer_has_no_path_if_that_is_pruned():
    net = nn.Linear(3, 2)
    mask = TicketMask({"weight": [[1, 0, 1], [0, 0, 0]]})
    assert effective_paths(net, mask, np.zeros((1, 3))) == 2
    assert effective_nodes(net, mask, np.zeros((1, 3))).loc["weight"].tolist() == [2, 1, 0, 1]
    assert sparse_flops(net, mask, np.zeros((1, 3))) == 4


def test_flops_of_a_chain_by_hand():
    mask, X = TicketMask(KEPT), np.zeros((5, 2))
    assert sparse_flops(CHAIN, mask | ~mask, X) == 2 * (2 * 3 + 3 * 2 + 2 * 1)
    # Of the kept weights, three, two and one are on a path.
    assert sparse_flops(CHAIN, mask, X) == 2 * (3 + 2 + 1)


def test_layers_that_the_mask_does_not_cover_are_dense():
    mask = TicketMask({"layers.1.weight": np.array(KEPT["layers.1.weight"])})
    assert sparse_flops(CHAIN, mask, np.zeros((1, 2))) == 2 * (2 * 3 + 4 + 2 * 1)


def test_a_layer_that_is_used_twice_costs_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)
            self.second.weight = self.first.weight  # tied

        def forward(self, X):
            return self.second(self.first(self.first(X)))

    net = Twice()
    mask = TicketMask({"first.weight": [[1, 1], [0, 1]]})
    assert sparse_flops(net, mask | ~mask, np.zeros((1, 2))) == 3 * 8
    assert sparse_flops(net, mask, np.zeros((1, 2))) == 3 * 6


def test_anatomy_leaves_the_module_and_the_random_streams_as_they_were():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(), nn.Linear(2, 1))
    mask, X = TicketMask.ones_like(net), np.zeros((1, 2), dtype=np.float32)
    before = copy.deepcopy(net.state_dict())
    streams = torch.get_rng_state(), np.random.get_state()[1].copy()
    for function in (effective_paths, effective_nodes, sparse_flops):
        function(net, mask, X)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(layer.training for layer in net)
    assert torch.equal(torch.get_rng_state(), streams[0])
    assert (np.random.get_state()[1] == streams[1]).all()


@pytest.mark.parametrize("function", [effective_paths, effective_nodes, sparse_flops])
def test_masks_must_fit(function):
    with pytest.raises(ValueError, match=r"mask does not fit MLP: .* no parameter 'weight'"):
        function(CHAIN, TicketMask({"weight": [[1]]}), np.zeros((1, 2)))


# Gradient flow ---------------------------------------------------------------------------


def fitted_ticket(module, mask, X, y, net_class=NeuralNetRegressor, criterion=nn.MSELoss):
    net = net_class(
        ModuleTemplate(module), criterion=criterion, train_split=None, verbose=0, lr=0.1
    )
    net.set_params(max_epochs=2, batch_size=8)
    return GivenMaskPruner(net, mask, random_state=0).fit(X, y)


def test_gradient_flow_of_a_line_by_hand():
    # f = 3 x_0, for y = x_0 + x_1; x_1 is pruned, the bias is not covered by the mask.
    line = nn.Linear(2, 1)
    with torch.no_grad():
        line.weight[:], line.bias[:] = torch.tensor([[3.0, 7.0]]), 0
    X = np.array([[1, 0], [0, 1], [1, 1], [-1, 0]], dtype=np.float32)
    pruner = fitted_ticket(line, TicketMask({"weight": [[1, 0]]}), X, X.sum(axis=1))
    # Residuals 2, -1, 1 and -2: the mean of 2 r x_0 is 2 (2 + 1 + 2) / 4, of 2 r it is 0.
    assert gradient_flow(pruner, X, X.sum(axis=1)) == pytest.approx(2.5**2)
    # Of one row 2 r x_0 and 2 r are -4 and 4.
    assert gradient_flow(pruner, X[3:], X[3:].sum(axis=1)) == pytest.approx(4**2 + 4**2)


@pytest.mark.parametrize(
    ("net_class", "criterion", "labels"),
    [
        (NeuralNetClassifier, nn.CrossEntropyLoss, np.array(["no", "maybe", "yes"])),
        (NeuralNetBinaryClassifier, nn.BCEWithLogitsLoss, np.array([5, 3])),
        (NeuralNetRegressor, nn.MSELoss, np.linspace(0, 1, 7)),
    ],
)
def test_gradient_flow_is_the_squared_norm_over_what_is_trained(net_class, criterion, labels):
    rng = np.random.RandomState(0)
    # More rows than a batch of the gradient has.
    X = rng.standard_normal((700, 4)).astype(np.float32)
    y = labels[rng.randint(len(labels), size=700)]
    n_outputs = 3 if net_class is NeuralNetClassifier else 1
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())
        module.append(nn.Linear(6, n_outputs))
    mask = TicketMask({"0.weight": rng.uniform(size=(6, 4)) < 0.5})
    pruner = fitted_ticket(module, mask, X, y, net_class, criterion)

    # By hand: batch normalization with the statistics of all the rows, as constants.
    mask.apply_(module)
    with torch.no_grad():
        hidden = module[0](torch.from_numpy(X))
    module[1].running_mean[:] = hidden.mean(dim=0)
    module[1].running_var[:] = hidden.var(dim=0)
    module.eval()
    targets = y if net_class is NeuralNetRegressor else np.unique(y, return_inverse=True)[1]
    targets = torch.from_numpy(targets)
    if n_outputs == 1:
        targets = targets[:, None].float()
    criterion()(module(torch.from_numpy(X)), targets).backward()
    module[0].weight.grad *= mask["0.weight"]
    expected = sum(value.grad.square().sum().item() for value in module.parameters())
    assert gradient_flow(pruner, X, y) == pytest.approx(expected, rel=1e-3)


def test_frozen_parameters_have_no_gradient_flow():
    line = nn.Linear(2, 1)
    line.weight.requires_grad = False
    with torch.no_grad():
        line.weight[:], line.bias[:] = 1, 0
    X = np.ones((4, 2), dtype=np.float32)
    pruner = fitted_ticket(line, None, X, np.arange(4.0))
    # f = 2 and y = 1.5 on average.
    assert gradient_flow(pruner, X, np.arange(4.0)) == pytest.approx(1)


def test_gradient_flow_leaves_the_pruner_as_it_was():
    X = np.random.RandomState(0).standard_normal((20, 2)).astype(np.float32)
    pruner = fitted_ticket(MLP(2, 1, (4,)), None, X, X[:, 0])
    before = copy.deepcopy(pruner.estimator_.module_.state_dict())
    gradient_flow(pruner, X, X[:, 0])
    after = pruner.estimator_.module_.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_gradient_flow_errors():
    X = np.zeros((6, 2), dtype=np.float32)
    y = np.array(["a", "b"] * 3)
    net = NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0)
    pruner = GivenMaskPruner(net, train_ticket=False, random_state=0)
    with pytest.raises(NotFittedError, match="not fitted"):
        gradient_flow(pruner, X, y)
    pruner.fit(X, y)
    with pytest.raises(ValueError, match=r"unseen labels: .*'c'"):
        gradient_flow(pruner, X, np.array(["a", "b", "c"] * 2))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gradient_flow(pruner, X, y[:5])


# Critical compression --------------------------------------------------------------------


def regression():
    X = np.random.RandomState(0).standard_normal((30, 4)).astype(np.float32)
    return X, X[:, 0]


def test_compression_by_hand():
    X, y = regression()
    chain = MLP(4, 1, hidden=(4,))

    def magnitude_pruner():
        net = NeuralNetRegressor(ModuleTemplate(chain), train_split=None, verbose=0)
        return MagnitudePruner(net, random_state=0)

    with torch.no_grad():
        for layer in chain.layers:
            layer.weight.fill_(1.0)
        chain.layers[0].weight[2, 0], chain.layers[1].weight[0, 2] = 3, 2
    # 10, 5 and 2 of 20 weights are kept, and then only the largest.
    assert critical_compression(magnitude_pruner(), X, y, factor=2) == 20 / 2
    with torch.no_grad():
        chain.layers[1].weight.fill_(0.5)
    # The second layer goes first: it lives with 17 weights, not with 14.
    assert critical_compression(magnitude_pruner(), X, y, factor=1.2) == 20 / 17
    assert critical_compression(magnitude_pruner(), X, y, factor=20) == 1


def test_iterative_synaptic_flow_compresses_farther_than_single_shot():
    X, y = regression()
    net = NeuralNetRegressor(
        MLP, module__hidden=(20, 20), train_split=None, verbose=0, iterator_train__shuffle=True
    )
    synflow = critical_compression(SynFlowPruner(net, n_rounds=20, random_state=0), X, y)
    assert synflow <= (80 + 400 + 20) / 3
    for single_shot in (SNIPPruner, RandomPruner):
        assert 1 < critical_compression(single_shot(net, random_state=0), X, y) < synflow / 2


def test_a_network_without_hidden_layers_is_compressed_to_one_parameter():
    X, y = regression()
    net = NeuralNetRegressor(MLP, module__hidden=(), train_split=None, verbose=0)
    assert critical_compression(RandomPruner(net, random_state=0), X, y) == 4


def test_compression_trains_no_ticket_and_leaves_the_pruner_unfitted():
    X, y = regression()
    # With such a learning rate, training would raise an error.
    net = NeuralNetRegressor(MLP, module__hidden=(), train_split=None, verbose=0, lr=1e30)
    pruner = RandomPruner(net, sparsity=0.5, random_state=0)
    critical_compression(pruner, X, y)
    assert not hasattr(pruner, "mask_")
    assert (pruner.sparsity, pruner.train_ticket) == (0.5, True)


def test_compression_errors():
    X, y = regression()
    net = NeuralNetRegressor(MLP, train_split=None, verbose=0)
    with pytest.raises(ValueError, match="factor must be above 1; got 1"):
        critical_compression(RandomPruner(net), X, y, factor=1)
    with pytest.raises(ValueError, match="Invalid parameter 'sparsity' for estimator GivenMask"):
        critical_compression(GivenMaskPruner(net), X, y)
