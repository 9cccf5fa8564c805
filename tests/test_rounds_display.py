"""Heat maps of rounds: what is drawn."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from sklearn_tickets.inspection import RoundsDisplay
from sklearn_tickets.pruners import IterativeMagnitudePruner
from tests.instances import make_net
from tests.test_round_connectivity import with_rounds

matplotlib.use("agg")


@pytest.fixture(scope="module")
def data():
    X = np.random.RandomState(0).uniform(-1, 1, (200, 3)).astype("float32")
    return X, np.where(X[:, 0] * X[:, 1] > 0, "same", "other")


@pytest.fixture(scope="module")
def fitted(data):
    net = make_net("classifier", max_epochs=5)
    pruner = IterativeMagnitudePruner(net, sparsity=0.75, n_rounds=2, store_rounds=True)
    return pruner.set_params(random_state=0).fit(*data)


@pytest.mark.parametrize(
    "quantity", ["barrier", "angular_distance", "sign_agreement", "mask_overlap"]
)
def test_heat_map_shows_a_table_and_its_numbers(fitted, data, quantity):
    _, ax = plt.subplots()
    display = RoundsDisplay.from_estimator(fitted, *data, n_points=3, quantity=quantity, ax=ax)
    assert display.ax_ is ax
    table = getattr(display.rounds, quantity)
    assert np.array_equal(ax.images[0].get_array(), table)
    numbers = [float(text.get_text()) for text in ax.texts]
    assert numbers == pytest.approx(table.to_numpy().ravel().tolist(), abs=0.005)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "final"]
    plt.close("all")


def test_many_rounds_have_colors_only_and_some_labels():
    pruner, X, y = with_rounds([[1.0, 2.0]] * 25, [[1, 1]] * 25)
    ax = RoundsDisplay.from_estimator(pruner, X, y, n_points=2).ax_
    assert not ax.texts
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert len(labels) <= 12
    assert labels[-1] == "final"
    plt.close("all")


def test_rounds_without_common_weights_are_drawn():
    pruner, X, y = with_rounds([[1.0, 2.0]] * 2, [[1, 0], [0, 1]], train_ticket=False)
    display = RoundsDisplay.from_estimator(pruner, X, y, quantity="sign_agreement")
    assert [text.get_text() for text in display.ax_.texts] == ["1.00", "nan", "nan", "1.00"]
    plt.close("all")


def test_unknown_quantity_is_refused(fitted, data):
    with pytest.raises(ValueError, match=r"quantity must be one of barrier, .* got 'angle'"):
        RoundsDisplay(None).plot("angle")
