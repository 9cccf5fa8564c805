"""Lines between networks, and their error barriers."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets._random import seeded
from sklearn_tickets.inspection import (
    ConnectivityDisplay,
    ModeConnectivity,
    linear_mode_connectivity,
)
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner

matplotlib.use("agg")

SIGNS = np.tile([[-1.0], [1.0]], (50, 1)).astype("float32")
BLOBS, CODES = make_blobs(60, n_features=3, cluster_std=4, random_state=0)
BLOBS, COLORS = (BLOBS / 4).astype("float32"), np.array(["blue", "green", "red"])[CODES]


def net_with(module, *values, kind=NeuralNetRegressor, **params):
    """An initialized net whose parameters, and then buffers, are the given values."""
    with seeded(0, "cpu"):
        net = kind(lambda: module, **params).initialize()
    for tensor, value in zip(net.module_.state_dict().values(), values, strict=True):
        tensor.copy_(torch.as_tensor(value))
    return net


def make_net(kind=NeuralNetClassifier, **params):
    """A silent net that trains on all rows with momentum."""
    defaults = {
        "module": MLP,
        "module__hidden": (8,),
        "criterion": nn.CrossEntropyLoss if kind is NeuralNetClassifier else nn.MSELoss,
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "lr": 0.05,
        "batch_size": 16,
        "iterator_train__shuffle": True,
        "max_epochs": 4,
        "train_split": None,
        "verbose": 0,
    }
    return kind(**defaults | params)


@pytest.mark.parametrize(("weight", "errors"), [(2, [1, 0, 1]), (3, [1, 0.25, 4])])
def test_linear_regressors_have_no_bump_between_them(weight, errors):
    a, b = (net_with(nn.Linear(1, 1, bias=False), [[w]]) for w in (0.0, float(weight)))
    line = linear_mode_connectivity(a, b, SIGNS, SIGNS, n_points=3)
    assert_allclose(line.alphas, [0, 0.5, 1])
    assert_allclose(line.errors, errors)
    assert line.barrier == (errors[2] - errors[0]) / 2


def test_products_of_weights_have_a_barrier_between_equal_functions():
    def product(weight):
        layers = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        return net_with(nn.Sequential(*layers), [[weight]], [[weight]])

    line = linear_mode_connectivity(product(1.0), product(-1.0), SIGNS, SIGNS, n_points=5)
    # (1 - 2 alpha)^2 x instead of x.
    assert_allclose(line.errors, [0, 0.75**2, 1, 0.75**2, 0])
    assert line.barrier == 1


def test_permuted_units_have_a_barrier_between_them_and_none_to_themselves():
    def absolute(first, second):
        return net_with(MLP(1, 1, (2,)), [[first], [second]], [0.0, 0.0], [[1.0, 1.0]], [0.0])

    a, b = absolute(1.0, -1.0), absolute(-1.0, 1.0)
    assert_allclose(linear_mode_connectivity(a, b, SIGNS, abs(SIGNS), n_points=3).errors, [0, 1, 0])
    line = linear_mode_connectivity(a, a, SIGNS, abs(SIGNS))
    assert len(line.alphas) == 30
    assert line.barrier == 0


def test_classifiers_err_in_the_share_of_wrong_labels():
    # With weight w the sign of x is told right, wrong at -w, and all are class 0 at w = 0.
    a, b = (
        net_with(
            nn.Linear(1, 2, bias=False),
            [[0.0], [weight]],
            kind=NeuralNetClassifier,
            criterion=nn.CrossEntropyLoss,
        )
        for weight in (1.0, -1.0)
    )
    codes = (SIGNS[:, 0] > 0).astype(int)
    assert_allclose(linear_mode_connectivity(a, b, SIGNS, codes, n_points=3).errors, [0, 0.5, 1])


def test_binary_classifiers_are_read_by_their_threshold():
    a, b = (
        net_with(nn.Linear(1, 1, bias=False), [[w]], kind=NeuralNetBinaryClassifier, threshold=0.6)
        for w in (1.0, -1.0)
    )
    codes = (SIGNS[:, 0] > 0).astype(int)
    assert_allclose(linear_mode_connectivity(a, b, SIGNS, codes, n_points=3).errors, [0, 0.5, 1])


def test_pruners_are_read_by_their_labels():
    a, b = (GivenMaskPruner(make_net(), random_state=i).fit(BLOBS, COLORS) for i in range(2))
    line = linear_mode_connectivity(a, b, BLOBS, COLORS, n_points=2)
    assert_allclose(line.errors, [1 - a.score(BLOBS, COLORS), 1 - b.score(BLOBS, COLORS)])
    ends = linear_mode_connectivity(b.estimator_, a.estimator_, BLOBS, CODES, n_points=2)
    assert_allclose(ends.errors, line.errors[::-1])


def test_metric_of_your_own():
    a, b = (net_with(nn.Linear(1, 1, bias=False), [[w]]) for w in (0.0, 4.0))
    line = linear_mode_connectivity(
        a, b, SIGNS, SIGNS, n_points=3, metric=lambda y, f: abs(y - f).max()
    )
    assert_allclose(line.errors, [1, 1, 3])


def test_statistics_of_batch_normalization_are_estimated_anew():
    # A normalized output does not depend on the weight's size. Interpolated statistics would
    # make 2 / sqrt(5) of x in the middle, where the variance is 4.
    def normalized(weight, variance):
        module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
        return net_with(module, [[weight]], [1.0], [0.0], [0.0], [variance], 1)

    a, b = normalized(1.0, 1.0), normalized(3.0, 9.0)
    line = linear_mode_connectivity(a, b, SIGNS, SIGNS, n_points=3)
    assert_allclose(line.errors, 0, atol=1e-4)
    assert (1 - 2 / 5**0.5) ** 2 > 1e-2
    line = linear_mode_connectivity(a, b, SIGNS, SIGNS, n_points=3, X_train=2 * SIGNS)
    assert_allclose(line.errors, 1 / 4, atol=1e-2)
    assert a.module_[1].running_var == 1


def test_line_errors():
    one, two = net_with(nn.Linear(1, 1), [[1.0]], [0.0]), net_with(nn.Linear(1, 2), 0.0, 0.0)
    with pytest.raises(ValueError, match=r"'weight' is \(1, 1\) in a and \(2, 1\) in b"):
        linear_mode_connectivity(one, two, SIGNS, SIGNS)
    bare = net_with(nn.Linear(1, 1, bias=False), [[1.0]])
    with pytest.raises(ValueError, match=r"'bias' is missing in a and \(1,\) in b"):
        linear_mode_connectivity(bare, one, SIGNS, SIGNS)
    with pytest.raises(NotFittedError, match=r"b must be .* got an unfitted NeuralNetRegressor"):
        linear_mode_connectivity(one, NeuralNetRegressor(nn.Linear), SIGNS, SIGNS)
    with pytest.raises(TypeError, match=r"a, unless it is a skorch net, .* got LinearRegression"):
        linear_mode_connectivity(LinearRegression().fit(SIGNS, SIGNS), one, SIGNS, SIGNS)
    with pytest.raises(ValueError, match="n_points must be at least 2, for both ends; got 1"):
        linear_mode_connectivity(one, one, SIGNS, SIGNS, n_points=1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        linear_mode_connectivity(one, one, SIGNS, SIGNS[1:])
    a, b = (
        GivenMaskPruner(make_net(max_epochs=1), random_state=0).fit(BLOBS, labels)
        for labels in (COLORS, CODES)
    )
    with pytest.raises(ValueError, match="a and b must have the same classes"):
        linear_mode_connectivity(a, b, BLOBS, COLORS)


def test_connectivity_display_draws_a_line_for_each_pair():
    lines = {
        "first": ModeConnectivity([0, 0.25, 1], [0, 3, 2]),
        "second": ModeConnectivity([0, 0.5, 1], [1, 1, 1]),
    }
    _, ax = plt.subplots()
    display = ConnectivityDisplay(lines).plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["first: barrier 2", "second: barrier 0"]
    assert_allclose(ax.lines[0].get_ydata(), [0, 3, 2])
    # The barrier stands on the ends' mean error.
    assert_allclose(ax.collections[0].get_segments(), [[[0.25, 1], [0.25, 3]]])
    net = net_with(nn.Linear(1, 1, bias=False), [[1.0]])
    display = ConnectivityDisplay.from_estimator(net, net, SIGNS, SIGNS, n_points=4, name="self")
    assert len(display.connectivities["self"].errors) == 4
    plt.close("all")


def test_the_display_takes_one_line_or_several():
    line = ModeConnectivity([0, 0.5, 1], [0.1, 0.5, 0.3])
    for lines, labels in [
        (line, ["a to b"]),
        ([line, line], ["a to b", "a to b 2"]),
        ({"scratch": line}, ["scratch"]),
    ]:
        assert list(ConnectivityDisplay(lines).connectivities) == labels
    with pytest.raises(TypeError, match="connectivities must be a ModeConnectivity, a list"):
        ConnectivityDisplay([0.1, 0.2])
    with pytest.raises(ValueError, match="connectivities is empty"):
        ConnectivityDisplay({})
