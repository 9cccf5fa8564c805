"""From which epoch on copies of a network stay connected."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from pandas.testing import assert_frame_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from skorch import NeuralNetRegressor
from skorch.callbacks import EarlyStopping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import StepLR

from sklearn_tickets.inspection import (
    InstabilityDisplay,
    _instability,
    instability_analysis,
)
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.model_selection import _stack
from sklearn_tickets.pruners import MagnitudePruner
from tests.test_connectivity import BLOBS, COLORS, make_net

matplotlib.use("agg")

TARGETS = (np.sin(BLOBS[:, :1]) + BLOBS[:, 1:2]).astype("float32")
# Relative, between networks that are trained alone and in a stack; training amplifies it, and some
# processors have none.
ROUNDING = 1e-4


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
    errors = table.groupby("pair")[["error_a", "error_b"]]
    assert_allclose(errors.min(), errors.max(), rtol=ROUNDING)


@pytest.mark.parametrize("schedule", [None, "one-cycle"])
def test_ticket_is_trained_as_its_pruner_trains_it(schedule):
    net = make_net(NeuralNetRegressor, iterator_train__shuffle=False)
    pruner = MagnitudePruner(net, sparsity=0.5, schedule=schedule, random_state=0)
    table = analyze(pruner.fit(BLOBS, TARGETS), TARGETS, start_epochs=(0, 2))
    error = mean_squared_error(TARGETS, pruner.predict(BLOBS))
    assert_allclose(table[["error_a", "error_b"]], error, rtol=ROUNDING)


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


def test_copies_are_trained_as_one_network(monkeypatch):
    net = make_net(NeuralNetRegressor)
    sizes, train = [], _stack.Stack.train

    def note(stack):
        sizes.append(len(stack.members))
        return train(stack)

    monkeypatch.setattr(_stack.Stack, "train", note)
    table = analyze(net, TARGETS, n_pairs=3)
    # Three networks up to epochs 1 and 4, and their copies from epochs 0 and 1 on.
    assert sizes == [3, 3, 6, 6]

    def fail(stack):
        raise RuntimeError("one by one")

    monkeypatch.setattr(_stack.Stack, "train", fail)
    assert_frame_equal(table, analyze(net, TARGETS, n_pairs=3), rtol=ROUNDING)


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
    with pytest.raises(TypeError, match=r"estimator, .* must be .* got LinearRegression"):
        analyze(LinearRegression().fit(BLOBS, BLOBS), COLORS)
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


def test_the_display_takes_one_table_or_several():
    table = pd.DataFrame({"start_epoch": [0, 1], "barrier": [0.3, 0.0]})
    for tables, labels in [
        (table, ["network"]),
        ([table, table], ["network", "network 2"]),
        ({"dense": table}, ["dense"]),
    ]:
        assert list(InstabilityDisplay(tables).plot().tables) == labels
    with pytest.raises(TypeError, match="tables must be a DataFrame, a list of them"):
        InstabilityDisplay("dense")
