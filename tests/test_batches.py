"""`batch_iterator`: the batches of a DataLoader, sliced."""

from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetRegressor
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.utils.data import DataLoader, Subset, TensorDataset

from sklearn_tickets._network import infer
from sklearn_tickets._random import random_streams, seeded
from sklearn_tickets.pruners import RandomPruner
from sklearn_tickets.training import batch_iterator
from sklearn_tickets.training._batches import check_batches
from tests.small_nets import X, Y, assert_same_state, initialized, make_net, weights


def rows(batches):
    return torch.cat([batch for batch, _ in batches])


@pytest.mark.parametrize("batch_size", [1, 16, 20, 60, 100])
def test_batches_are_those_of_a_data_loader(batch_size):
    dataset = Dataset(X, Y)
    batches, expected = (
        list(make(dataset, batch_size=batch_size)) for make in (batch_iterator, DataLoader)
    )
    assert len(batches) == len(batch_iterator(dataset, batch_size)) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        for part, other_part in zip(batch, other, strict=True):
            assert torch.equal(part, other_part)
            assert part.dtype == other_part.dtype


def test_every_pass_is_shuffled_anew_and_covers_every_row_once():
    numbers = np.arange(50)
    batches = batch_iterator(Dataset(numbers, numbers * 2), batch_size=8, shuffle=True)
    with seeded(0, "cpu"):
        passes = [list(batches) for _ in range(2)]
    orders = [rows(batches).tolist() for batches in passes]
    assert orders[0] != orders[1] != list(numbers)
    for order, one_pass in zip(orders, passes, strict=True):
        assert sorted(order) == list(numbers)
        assert all(torch.equal(2 * batch, target) for batch, target in one_pass)


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_of_a_split_are_those_of_the_split(shuffle):
    for part in ValidSplit(3)(Dataset(X, Y), Y):
        assert isinstance(part, Subset)
        batches = batch_iterator(part, batch_size=16, shuffle=shuffle)
        assert not isinstance(batches, DataLoader)
        got = rows(batches).numpy()
        assert {tuple(row) for row in got} == {tuple(row) for row in X[part.indices]}
        assert len(got) == len(part)


class OwnDataset(Dataset):
    def transform(self, X, y):
        return X + 1, y


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        (TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), {}),
        (Subset(Subset(Dataset(X, Y), range(50)), range(40)), {}),
        (OwnDataset(X, Y), {}),
        (Dataset({"X": X}, Y), {}),
        (Dataset(X), {}),
        (Dataset(X, Y), {"drop_last": True}),
    ],
)
def test_anything_else_goes_to_a_data_loader(dataset, options):
    batches = batch_iterator(dataset, batch_size=7, **options)
    assert isinstance(batches, DataLoader)
    assert len(list(batches)) == len(DataLoader(dataset, batch_size=7, **options))


def test_nets_train_alike_on_batches_and_on_a_data_loader():
    first, second = (initialized(iterator_train=kind) for kind in (batch_iterator, DataLoader))
    for net in (first, second):
        net.partial_fit(X, Y)
    assert_same_state(weights(first), weights(second))


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    "view",
    [lambda a: a[::-1], lambda a: a[::2], np.asfortranarray, read_only, torch.from_numpy],
    ids=["reversed", "strided", "fortran", "read_only", "tensor"],
)
def test_any_memory_layout_will_do(view):
    expected = torch.from_numpy(np.asarray(view(X)).copy())
    assert torch.equal(rows(batch_iterator(Dataset(view(X), view(Y)), 16)), expected)
    net = initialized()
    np.testing.assert_allclose(infer(net.module_, view(X)), infer(net.module_, expected.numpy()))


class InPlace(nn.Module):
    """A network whose first layer works in place."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)

    def forward(self, x):
        return self.layer(x.relu_())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_that_work_in_place_do_not_change_the_data(dtype):
    data = X.copy()
    net = NeuralNetRegressor(
        InPlace, train_split=None, iterator_train=batch_iterator, max_epochs=1, verbose=0
    ).fit(data, Y)
    np.testing.assert_array_equal(data, X)
    data = X.astype(dtype)
    infer(net.module_, data)
    np.testing.assert_array_equal(data, X)


# What can be trained on ---------------------------------------------------------------------


def normalized(norm, n_features, n_outputs, hidden):
    first, last = nn.Linear(n_features, *hidden), nn.Linear(*hidden, n_outputs)
    return nn.Sequential(first, norm, nn.ReLU(), nn.Dropout(0.1), last)


def with_norm(norm, **params):
    return make_net(module=partial(normalized, norm), **{"batch_size": 59} | params)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"batch_size": 1},
        {"iterator_train": DataLoader},
        {"iterator_train__shuffle": True},
        {"iterator_train__batch_size": 59, "batch_size": 60},
        {"batch_size": 47, "train_split": ValidSplit(5)},
        {"iterator_train__num_workers": 0},
    ],
)
def test_a_batch_of_one_row_is_refused_where_it_cannot_be_normalized(params):
    size = params.get("batch_size", 59)
    with pytest.raises(ValueError, match=r"makes of the \d+ training .* one row.*drop_last=True"):
        RandomPruner(with_norm(nn.BatchNorm1d(8), **params), sparsity=0.5, random_state=0).fit(
            X, Y[:, 0]
        )
    # Other modules are trained on it.
    for norm in (nn.LayerNorm(8), nn.Identity()):
        RandomPruner(with_norm(norm, **params), sparsity=0.5, random_state=0).fit(X, Y[:, 0])
    # As are those that normalize in batches, where there is none.
    remedies = [{"iterator_train__drop_last": True}] if size > 1 else [{"batch_size": 20}]
    for remedy in remedies:
        net = with_norm(nn.BatchNorm1d(8), **params | remedy)
        RandomPruner(net, sparsity=0.5, random_state=0).fit(X, Y[:, 0])


@pytest.mark.parametrize("batch_size", [61, 1000])
@pytest.mark.parametrize("iterator", [DataLoader, batch_iterator])
def test_no_batch_is_refused_before_training(iterator, batch_size):
    drop = {"iterator_train": iterator, "iterator_train__drop_last": True}
    pruner = RandomPruner(make_net(batch_size=batch_size, **drop), sparsity=0.5)
    with pytest.raises(ValueError, match=rf"batch_size={batch_size} makes of the 60 .* no batch"):
        pruner.fit(X, Y[:, 0])
    pruner.set_params(train_ticket=False).fit(X, Y[:, 0])
    pruner.set_params(train_ticket=True, estimator__batch_size=60).fit(X, Y[:, 0])


def test_checks_of_batches_change_nothing():
    split = ValidSplit(0.2, stratified=False)
    net = make_net(module=partial(normalized, nn.Identity()), train_split=split, batch_size=47)
    net.initialize()
    for batch_size in (47, 1, 20):
        net.set_params(batch_size=batch_size)
        before, streams = weights(net), random_streams()
        check_batches(net, X, Y)
        assert_same_state(weights(net), before)
        for now, then in zip(random_streams()[::2], streams[::2], strict=True):
            assert str(now) == str(then)
