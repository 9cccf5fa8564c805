"""`check_same_outputs` and `example_inputs`: what differs, by how much, and on which inputs."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from sklearn_tickets._network import check_same_outputs, draw_inputs, example_inputs
from tests.odd_networks import ROWS, mlp

NAMES = ("network", "copy")


def shifted(by):
    """An MLP whose first output is moved."""
    module = mlp()
    module[2].bias.data[0] += by
    return module


def test_equal_networks_pass_and_others_are_told_by_how_much():
    check_same_outputs(mlp(), mlp(), ROWS, NAMES)
    check_same_outputs(mlp(), shifted(1e-6), ROWS, NAMES)
    with pytest.raises(ValueError, match=r"n=20 rows, outputs of size [\d.]+ differ by 0.01\d*\."):
        check_same_outputs(mlp(), shifted(0.01), ROWS, NAMES)


def test_small_outputs_are_compared_beside_large_ones():
    scaled, other = mlp(), shifted(0.01)
    for module in (scaled, other):
        module[2].weight.data[1] *= 1e6
    with pytest.raises(ValueError, match=r"differ by 0.01"):
        check_same_outputs(scaled, other, ROWS, NAMES)


def test_outputs_that_cancel_may_differ_by_more():
    def cancelling():
        module = nn.Linear(6, 1)
        module.weight.data[:] = 1e4
        module.bias.data[:] = 0
        return module

    X = ROWS - ROWS.mean(dim=1, keepdim=True)
    reordered = cancelling()
    check_same_outputs(cancelling(), lambda X: reordered(X) + 1e-4, X, NAMES)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda X: mlp()(X)[:, :1], r"outputs of shape \(20, 2\) .* become outputs of shape"),
        (lambda X: mlp()(X).double(), r"\(torch.float32\) become .* \(torch.float64\)"),
        (lambda X: (mlp()(X), X), r"shape \(20, 2\) .*, shape \(20, 6\)"),
        (lambda X: mlp()(X) * torch.nan, "differ by nan"),
        (lambda X: mlp()(X) * (1 if len(X) > 1 else 2), r"n=1 rows.* number of rows"),
        (lambda X: mlp()(X) * (2 if len(X) == 3 else 1), r"n=3 rows.* number of rows"),
        (lambda X: 1 / 0, "copy fails on inputs of network: division by zero"),
        (lambda X: object(), "returns object, which cannot be compared"),
    ],
)
def test_what_differs_is_said(other, message):
    with pytest.raises(ValueError, match=message):
        check_same_outputs(mlp(), other, ROWS, NAMES)


def test_nested_outputs_and_networks_that_need_several_rows():
    lstm = nn.LSTM(6, 2, batch_first=True)
    check_same_outputs(copy.deepcopy(lstm), lstm, ROWS[:, None], NAMES)
    norm = nn.BatchNorm1d(6, track_running_stats=False)
    check_same_outputs(norm, norm, ROWS, NAMES)


def test_rows_are_taken_repeated_and_converted():
    module = mlp().double()
    X = example_inputs(module, ROWS[:1].tolist(), "network")
    assert X.shape == (64, 6)
    assert X.dtype == torch.float64
    assert torch.equal(X[0].float(), ROWS[0])
    assert torch.equal(example_inputs(module, ROWS.numpy()[::-1], "network")[19].float(), ROWS[0])
    assert len(example_inputs(nn.Flatten(), np.zeros((9, 3, 200, 200)), "network")) == 4


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (mlp(), (64, 6)),
        (nn.Sequential(nn.Conv1d(2, 3, 3), nn.Flatten(), nn.Linear(9, 2)), (64, 2, 5)),
        (nn.Sequential(nn.Conv2d(1, 1, 3), nn.Flatten(), nn.Linear(676, 2)), (41, 1, 28, 28)),
        (nn.Sequential(nn.Conv3d(1, 1, 2), nn.Flatten(), nn.Linear(8, 2)), (64, 1, 3, 3, 3)),
        (nn.Sequential(nn.Linear(6, 2), nn.Flatten(), nn.Linear(8, 2)), (64, 4, 6)),
        (nn.Sequential(nn.Conv2d(1, 1, (1, 2)), nn.Flatten(), nn.Linear(7, 2)), None),
        (nn.Sequential(nn.Linear(6, 2), nn.Flatten(0)), None),
        (nn.Tanh(), None),
    ],
)
def test_shapes_are_guessed_from_the_first_layer(module, shape):
    X = draw_inputs(module)
    assert shape == (None if X is None else X.shape)


def test_a_known_shape_is_not_guessed():
    assert draw_inputs(nn.Tanh(), (3, 2)).shape == (64, 3, 2)
    words = nn.Sequential(nn.Embedding(5, 2), nn.Flatten())
    assert draw_inputs(words, (3,)).unique().tolist() == [0, 1, 2, 3, 4]
