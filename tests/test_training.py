"""`Training`: epochs, snapshots, losses, and what ends a training early."""

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.dataset import Dataset, ValidSplit
from torch import nn

from sklearn_tickets._network import infer
from sklearn_tickets.pruners import GivenMaskPruner
from sklearn_tickets.training import last_train_loss
from tests.small_nets import X, Y, assert_same_state, initialized, make_net, train, trained, weights


def test_snapshot_is_of_the_end_of_its_epoch_and_is_a_copy():
    short, long = initialized(), initialized()
    expected, _ = trained(short, 2)
    _, state = trained(long, 5, snapshot=2)
    assert_same_state(state.module, expected)
    assert not any("snapshot" in name for name, _ in long.callbacks_)


def test_snapshot_of_an_epoch_that_is_not_reached_is_none():
    assert trained(initialized(), 2, snapshot=3)[1] is None
    assert trained(initialized(), 2)[1] is None
    assert trained(initialized(), 2, snapshot=0)[1] is None


def test_snapshot_of_the_epoch_at_which_a_callback_stops():
    stopper = EarlyStopping("train_loss", patience=2, threshold=1e6, threshold_mode="abs")
    net = initialized(callbacks=[("stop", stopper)])
    trained(net, 50)
    n_epochs = len(net.history)
    again = initialized(callbacks=[("stop", stopper)])
    _, state = trained(again, 50, snapshot=n_epochs)
    assert_same_state(state.module, weights(net))
    assert len(state.epochs) == n_epochs


def test_training_counts_the_epochs_in_the_history():
    net = initialized()
    trained(net, 2)
    trained(net, 5)
    assert len(net.history) == 5
    before = weights(net)
    assert_same_state(trained(net, 5)[0], before)


def test_no_epochs_are_no_error():
    net = initialized()
    before = weights(net)
    assert_same_state(trained(net, 0)[0], before)


def test_callbacks_may_stop_the_training():
    stopper = EarlyStopping("train_loss", patience=2, threshold=1e6, threshold_mode="abs")
    net = initialized(callbacks=[("stop", stopper)])
    assert trained(net, 50, snapshot=10)[1] is None
    assert len(net.history) < 10


@pytest.mark.parametrize("params", [{"lr": 1e30}, {"lr": float("nan"), "callbacks": "disable"}])
def test_training_loss_that_is_not_finite_is_an_error(params):
    net = initialized(**params)
    with pytest.raises(
        ValueError, match=r"loss of estimator=NeuralNetRegressor is nan after 3 epochs.*lr=(1e|nan)"
    ):
        train(net, X, Y, 3)
    assert not any("snapshot" in name for name, _ in net.callbacks_)


def test_a_training_that_fails_puts_random_streams_back():
    pruner = GivenMaskPruner(make_net(lr=1e30, max_epochs=3), random_state=0)
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(3), np.random.uniform(size=3)
    torch.manual_seed(1)
    np.random.seed(1)
    with pytest.raises(ValueError, match="loss of estimator=NeuralNetRegressor is nan") as error:
        pruner.fit(X, Y)
    # The error keeps the frames of the fit alive until here.
    assert torch.equal(torch.rand(3), expected[0])
    np.testing.assert_array_equal(np.random.uniform(size=3), expected[1])
    assert error.value


def test_last_train_loss_is_a_mean_over_rows_of_training_batches():
    assert np.isnan(last_train_loss(initialized()))
    net = initialized(lr=1e-30, train_split=ValidSplit(4))
    trained(net, 1)
    part = ValidSplit(4)(Dataset(X, Y), Y)[0].indices
    expected = np.mean((infer(net.module_, X[part]) - Y[part]) ** 2)
    assert last_train_loss(net) == pytest.approx(expected, rel=1e-5)


def test_classifier_nets_train_with_a_validation_split():
    net = make_net(
        NeuralNetClassifier,
        module__n_outputs=2,
        criterion=nn.CrossEntropyLoss,
        train_split=ValidSplit(5),
    ).initialize()
    assert train(net, X, (Y[:, 0] > 0).astype("int64"), 2) is None
    assert np.isfinite(last_train_loss(net))
