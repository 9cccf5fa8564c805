"""Lines between networks, and from which epoch on copies of a network stay connected."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import EarlyStopping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import StepLR

from sklearn_tickets._random import seeded
from sklearn_tickets.inspection import (
    ConnectivityDisplay,
    InstabilityDisplay,
    ModeConnectivity,
    _instability,
    instability_analysis,
    linear_mode_connectivity,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner

matplotlib.use("agg")

SIGNS = np.tile([[-1.0], [1.0]], (50, 1)).astype("float32")
BLOBS, CODES = make_blobs(60, n_features=3, cluster_std=4, random_state=0)
BLOBS, COLORS = (BLOBS / 4).astype("float32"), np.array(["blue", "green", "red"])[CODES]
TARGETS = (np.sin(BLOBS[:, :1]) + BLOBS[:, 1:2]).astype("float32")


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


# Lines ----------------------------------------------------------------------------------


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


def test_connectivity_is_a_value():
    alphas = np.array([0.0, 0.5, 1.0])
    line = ModeConnectivity(alphas, [0.1, 0.15, 0.16])
    assert line.barrier == pytest.approx(0.03)
    assert not line.is_stable()
    assert line.is_stable(0.04)
    assert repr(line) == "ModeConnectivity(barrier 0.03 on 3 points)"
    alphas[0] = 7
    assert line.alphas[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        line.errors[0] = 0
    with pytest.raises(AttributeError):
        line.errors = alphas


def test_line_errors():
    one, two = net_with(nn.Linear(1, 1), [[1.0]], [0.0]), net_with(nn.Linear(1, 2), 0.0, 0.0)
    with pytest.raises(ValueError, match=r"'weight' is \(1, 1\) in a and \(2, 1\) in b"):
        linear_mode_connectivity(one, two, SIGNS, SIGNS)
    bare = net_with(nn.Linear(1, 1, bias=False), [[1.0]])
    with pytest.raises(ValueError, match=r"'bias' is missing in a and \(1,\) in b"):
        linear_mode_connectivity(bare, one, SIGNS, SIGNS)
    with pytest.raises(NotFittedError, match=r"b must be .* got NeuralNetRegressor"):
        linear_mode_connectivity(one, NeuralNetRegressor(nn.Linear), SIGNS, SIGNS)
    with pytest.raises(NotFittedError, match=r"a must be .* got LinearRegression"):
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


# Instability ----------------------------------------------------------------------------


def analyze(estimator, y, **options):
    return instability_analysis(
        estimator,
        BLOBS,
        y,
        **{"start_epochs": (0, 1, 4), "n_pairs": 2, "random_state": 0} | options,
    )


def test_copies_that_never_part_are_equal():
    table = analyze(make_net(), COLORS).set_index(["start_epoch", "pair"])
    assert table.index.tolist() == [(k, pair) for k in (0, 1, 4) for pair in (0, 1)]
    assert table.columns.tolist() == ["error_a", "error_b", "barrier"]
    last = table.loc[4]
    assert (last["barrier"] == 0).all()
    assert (last["error_a"] == last["error_b"]).all()
    assert table.loc[0, "barrier"].gt(0).all()


def test_pairs_of_a_net_start_from_weights_of_their_own():
    table = analyze(make_net(NeuralNetRegressor), TARGETS, start_epochs=[4])
    assert table["error_a"].nunique() == 2


@pytest.mark.parametrize("schedule", [None, "step"])
def test_copies_go_on_as_if_training_had_not_been_interrupted(schedule):
    # Without noise all copies are one network: momentum and schedule are shared, too.
    callbacks = [LRScheduler(StepLR, step_size=1, gamma=0.5)] if schedule else []
    net = make_net(NeuralNetRegressor, iterator_train__shuffle=False, callbacks=callbacks)
    table = analyze(net, TARGETS, start_epochs=(0, 1, 2, 3, 4))
    assert (table["barrier"] == 0).all()
    assert (table.groupby("pair")[["error_a", "error_b"]].nunique() == 1).all(axis=None)


@pytest.mark.parametrize("schedule", [None, "one-cycle"])
def test_ticket_is_trained_as_its_pruner_trains_it(schedule):
    net = make_net(NeuralNetRegressor, iterator_train__shuffle=False)
    pruner = MagnitudePruner(net, sparsity=0.5, schedule=schedule, random_state=0)
    table = analyze(pruner.fit(BLOBS, TARGETS), TARGETS, start_epochs=(0, 2))
    error = mean_squared_error(TARGETS, pruner.predict(BLOBS))
    assert_allclose(table[["error_a", "error_b"]], error, rtol=1e-12)


def test_tickets_are_held_and_evaluated_on_the_test_data(monkeypatch):
    calls = []
    compute = _instability.errors_on_line

    def spy(module, a, b, X, evaluate, **options):
        calls.append((a, b, X, options["X_train"]))
        return compute(module, a, b, X, evaluate, **options)

    monkeypatch.setattr(_instability, "errors_on_line", spy)
    pruner = MagnitudePruner(make_net(), sparsity=0.6, random_state=0).fit(BLOBS, COLORS)
    X_test, y_test = BLOBS[:9] + 1, COLORS[:9]
    table = analyze(pruner, COLORS, X_test=X_test, y_test=y_test, start_epochs=[1])
    assert_allclose((9 * table[["error_a", "error_b"]]) % 1, 0, atol=1e-9)
    for a, b, X, X_train in calls:
        for state in (a, b):
            assert TicketMask({name: state[name] != 0 for name in pruner.mask_}) == pruner.mask_
        assert not torch.equal(a["layers.0.weight"], b["layers.0.weight"])
        assert np.array_equal(X, X_test)
        assert np.array_equal(X_train, BLOBS)


def test_rows_are_reproducible_and_do_not_depend_on_each_other():
    net = make_net(NeuralNetRegressor)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    table = analyze(net, TARGETS)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert not net.initialized_
    assert_frame_equal(table, analyze(net, TARGETS))
    alone = analyze(net, TARGETS, start_epochs=[1], n_pairs=1)
    row = table.query("start_epoch == 1 and pair == 0").reset_index(drop=True)
    assert_frame_equal(alone, row)


def test_batch_normalization_is_part_of_the_copies():
    def normalized(hidden):
        return nn.Sequential(nn.Linear(3, *hidden), nn.BatchNorm1d(*hidden), nn.Linear(*hidden, 1))

    net = make_net(NeuralNetRegressor, module=normalized, iterator_train__shuffle=False)
    table = analyze(net, TARGETS, n_pairs=1)
    assert (table["barrier"] == 0).all()
    assert table["error_a"].nunique() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_epochs": (0, 5)}, r"start_epochs must be .* 0 to .* max_epochs=4; got \(0, 5\)"),
        ({"start_epochs": (-1,)}, r"start_epochs must .* got \(-1,\)"),
        ({"start_epochs": (0.5,)}, r"start_epochs must .* got \(0.5,\)"),
        ({"n_pairs": 0}, "n_pairs == 0"),
        ({"n_points": 1}, "n_points == 1"),
        ({"X_test": BLOBS}, "X_test is given without y_test"),
        ({"y_test": COLORS}, "y_test is given without X_test"),
    ],
)
def test_instability_errors(options, message):
    with pytest.raises(ValueError, match=message):
        analyze(make_net(), COLORS, **options)


def test_only_nets_and_fitted_pruners_can_be_trained():
    with pytest.raises(TypeError, match=r"estimator must be .* got LinearRegression"):
        analyze(LinearRegression(), COLORS)
    with pytest.raises(NotFittedError, match="MagnitudePruner"):
        analyze(MagnitudePruner(make_net()), COLORS)


def test_copies_cannot_part_after_training_was_stopped():
    stop = EarlyStopping("train_loss", patience=2, threshold=1, sink=lambda _: None)
    with pytest.raises(ValueError, match=r"start_epochs=\(0, 4\) contains 4, .* after 3 epochs"):
        analyze(make_net(callbacks=[stop]), COLORS, start_epochs=(0, 4))


def test_instability_display_shows_medians_and_ranges():
    display = InstabilityDisplay.from_estimator(
        make_net(max_epochs=2),
        BLOBS,
        COLORS,
        start_epochs=(0, 2),
        n_pairs=3,
        n_points=5,
        random_state=0,
        name="dense",
    )
    (table,) = display.tables.values()
    barriers = table.groupby("start_epoch")["barrier"]
    (bars,) = display.ax_.containers
    assert_allclose(bars[0].get_ydata().astype(float), barriers.median())
    segments = np.array(bars[2][0].get_segments())
    assert_allclose(segments[:, :, 1], np.column_stack([barriers.min(), barriers.max()]))
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == ["dense", "stable below 0.02"]

    _, ax = plt.subplots()
    both = InstabilityDisplay({"one": table, "other": table}).plot(ax, threshold=None)
    assert both.ax_ is ax
    places = [bars[0].get_xdata()[0] for bars in ax.containers]
    assert places == pytest.approx([-0.01, 0.01])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "other"]
    plt.close("all")
