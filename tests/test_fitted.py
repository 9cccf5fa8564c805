"""Fitted pruners: their predictions, probabilities and outputs."""

import threading
import time
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.datasets import make_classification, make_regression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_validate
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets._network import infer
from sklearn_tickets.metrics import sparse_accuracy, sparse_r2, strong_accuracy, strong_r2
from sklearn_tickets.models import MLP, VGG
from sklearn_tickets.pruners import (
    ContinuousSparsificationPruner,
    EdgePopupPruner,
    GivenMaskPruner,
    MagnitudePruner,
    SNIPPruner,
)
from tests.instances import make_net, small_data, small_images


@pytest.fixture
def data():
    return small_data()


def test_a_binary_net_with_one_logit(data):
    X, y = data
    labels = np.array(["no", "yes"])[y]
    net = NeuralNetBinaryClassifier(
        MLP,
        module__hidden=(32,),
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=30,
        train_split=None,
        verbose=0,
    )
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, labels)
    assert pruner.score(X, labels) > 0.8
    assert pruner.predict_proba(X).shape == (80, 2)
    assert (pruner.predict_proba(X)[:, 1] > 0.5).tolist() == (pruner.predict(X) == "yes").tolist()


def test_several_regression_outputs():
    X, y = make_regression(n_samples=80, n_features=5, n_targets=3, random_state=0)
    pruner = SNIPPruner(make_net("regressor"), sparsity=0.2, random_state=0).fit(X, y / y.std())
    assert pruner.predict(X).shape == (80, 3)
    assert pruner.output_scale_.shape == (3,)


def memmap(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    return np.load(tmp_path / "X.npy", mmap_mode="r")


def read_only(X, tmp_path):
    array = X.copy()
    array.setflags(write=False)
    return array


LAYOUTS = {
    "reversed": lambda X, tmp_path: X[::-1].copy()[::-1],
    "mirrored": lambda X, tmp_path: X[:, ::-1].copy()[:, ::-1],
    "frame": lambda X, tmp_path: pd.DataFrame(X[::-1].copy()).iloc[::-1].reset_index(drop=True),
    "Fortran": lambda X, tmp_path: np.asfortranarray(X),
    "big-endian": lambda X, tmp_path: X.astype(">f4"),
    "double": lambda X, tmp_path: X.astype(">f8")[::-1].copy()[::-1],
    "read-only": read_only,
    "memmap": memmap,
    "list": lambda X, tmp_path: X.tolist(),
}


@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_data_of_any_layout_are_taken(make, data, tmp_path):
    X, y = data
    other = make(X, tmp_path)
    net = make_net("classifier", max_epochs=1)
    plain, laid_out = (
        SNIPPruner(net, sparsity=0.5, random_state=0).fit(data, y) for data in (X, other)
    )
    assert plain.mask_ == laid_out.mask_
    for method in ("predict", "predict_proba", "transform", "strong_predict", "strong_output"):
        np.testing.assert_array_equal(
            getattr(plain, method)(X), getattr(laid_out, method)(other), err_msg=method
        )
    assert plain.score(X, y) == laid_out.score(other, y)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "transform", "strong_predict", "strong_output"]
)
def test_predictions_in_inference_mode_are_the_same(method, data):
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    expected = getattr(pruner, method)(data[0])
    with torch.inference_mode():
        np.testing.assert_array_equal(getattr(pruner, method)(data[0]), expected)


class ParametersOnly(nn.Module):
    """No layer of its own is called."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.ws = nn.ParameterList([torch.randn(n_features, 8), torch.randn(8, n_outputs)])
        self.bs = nn.ParameterList([torch.zeros(8), torch.zeros(n_outputs)])

    def forward(self, x):
        hidden = (x @ self.ws[0] + self.bs[0]).relu()
        return hidden @ self.ws[1] + self.bs[1]


def test_a_network_of_listed_parameters_is_pruned_with_its_biases(data):
    net = make_net("classifier", module=ParametersOnly)
    pruner = MagnitudePruner(net, sparsity=0.2, prune_bias=True, round_epochs=5, random_state=0)
    pruner.fit(*data)
    assert set(pruner.mask_) == {"ws.0", "ws.1", "bs.0", "bs.1"}
    assert pruner.score(*data) > 0.8
    np.testing.assert_array_equal(pruner.transform(data[0]), data[0])
    assert len(pruner.get_feature_names_out()) == 6


def test_the_threshold_of_a_binary_net_counts(data):
    net = NeuralNetBinaryClassifier(MLP, threshold=0.9, train_split=None, max_epochs=1, verbose=0)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    expected = pruner.predict_proba(data[0])[:, 1] > 0.9
    assert (pruner.predict(data[0]) == 1).tolist() == expected.tolist()


def test_a_criterion_without_probabilities_has_no_predict_proba(data):
    net = make_net("classifier", criterion=nn.MultiMarginLoss, max_epochs=1)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(*data)
    pruner.predict(data[0])
    with pytest.raises(ValueError, match=r"MultiMarginLoss does not imply .* predict_nonlinearity"):
        pruner.predict_proba(data[0])


def test_negative_numbers_are_no_probabilities_though_they_add_up_to_one(data):
    net = make_net(
        "classifier",
        predict_nonlinearity=lambda logits: logits - logits.mean(dim=1, keepdim=True) + 0.5,
        max_epochs=1,
    )
    pruner = GivenMaskPruner(net).fit(100 * data[0], data[1])
    with pytest.raises(ValueError, match="CrossEntropyLoss does not imply"):
        pruner.predict_proba(100 * data[0])


# Untrained tickets -------------------------------------------------------------------


class Normalized(nn.Module):
    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_features, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, n_outputs)
        )

    def forward(self, X):
        return 100 * self.layers(X + 10)


def binary_net(**params):
    return NeuralNetBinaryClassifier(MLP, train_split=None, verbose=0, **params)


UNTRAINED = {
    "no training": lambda **k: SNIPPruner(make_net("classifier"), train_ticket=False, **k),
    "no epochs": lambda **k: SNIPPruner(make_net("classifier"), final_epochs=0, **k),
    "rewound": lambda **k: MagnitudePruner(
        make_net("classifier"), round_epochs=2, train_ticket=False, **k
    ),
    "nothing to rewind": lambda **k: MagnitudePruner(
        make_net("classifier"), rewind_epoch=None, train_ticket=False, **k
    ),
    "no learning rate": lambda **k: SNIPPruner(make_net("classifier", lr=0.0), **k),
    "frozen": lambda **k: EdgePopupPruner(make_net("classifier"), **k),
    "normalized": lambda **k: SNIPPruner(
        make_net("classifier", module=Normalized), train_ticket=False, **k
    ),
    "one logit": lambda **k: SNIPPruner(binary_net(), train_ticket=False, **k),
    "threshold": lambda **k: SNIPPruner(binary_net(threshold=0.7), train_ticket=False, **k),
    "regression": lambda **k: SNIPPruner(make_net("regressor"), train_ticket=False, **k),
}


@pytest.mark.parametrize("name", UNTRAINED)
def test_untrained_tickets_are_read_as_strong_ones(name, data):
    X, y = data
    pruner = UNTRAINED[name](sparsity=0.3, random_state=0).fit(X, y)
    np.testing.assert_array_equal(pruner.predict(X), pruner.strong_predict(X))
    if name == "regression":
        assert pruner.score(X, y) == sparse_r2(pruner, X, y) == strong_r2(pruner, X, y)
        return
    assert pruner.score(X, y) == sparse_accuracy(pruner, X, y) == strong_accuracy(pruner, X, y)
    proba = pruner.predict_proba(X)
    threshold = getattr(pruner.estimator, "threshold", 0.5)
    assert (proba[:, 1] > threshold).tolist() == pruner.predict(X).tolist()
    # The best constant probability has a cross entropy of log 2 or less.
    assert log_loss(y, proba) < np.log(2)


TRAINED = {
    "trained": lambda net: SNIPPruner(net, random_state=0),
    "not rewound": lambda net: MagnitudePruner(
        net, round_epochs=2, rewind_epoch=None, train_ticket=False, random_state=0
    ),
    "rewound to 1": lambda net: MagnitudePruner(
        net, round_epochs=2, rewind_epoch=1, train_ticket=False, random_state=0
    ),
    "learned beside": lambda net: ContinuousSparsificationPruner(
        net, rewind_epoch=None, train_ticket=False, random_state=0
    ),
}


@pytest.mark.parametrize("name", TRAINED)
def test_trained_weights_are_read_as_they_are(name, data):
    X, y = data
    pruner = TRAINED[name](make_net("classifier", max_epochs=2)).set_params(sparsity=0.3)
    logits = infer(pruner.fit(X, y).estimator_.module_, X)
    np.testing.assert_allclose(pruner.predict_proba(X), softmax(logits, axis=1))
    np.testing.assert_array_equal(pruner.predict(X), logits.argmax(axis=1))


def test_an_untrained_ticket_can_be_trained_on(data):
    X, y = data
    pruner = SNIPPruner(make_net("classifier"), sparsity=0.3, train_ticket=False, random_state=0)
    net = pruner.fit(X, y).estimator_
    net.partial_fit(X, y)
    np.testing.assert_array_equal(pruner.predict(X), net.predict(X))


def test_cross_validation_scores_strong_tickets():
    X, y = make_classification(n_samples=200, random_state=0, class_sep=2)
    pruner = EdgePopupPruner(make_net("classifier", module=Normalized), random_state=0)
    scores = cross_validate(pruner, X, y, cv=2, scoring={"own": None, "strong": strong_accuracy})
    assert scores["test_own"].tolist() == scores["test_strong"].tolist()
    assert scores["test_own"].min() > 0.8


# Inputs ------------------------------------------------------------------------------


@pytest.mark.parametrize("as_list", [False, True])
def test_rows_of_another_shape_at_predict_are_refused(as_list, data):
    images, y = small_images()
    net = make_net("classifier", module=partial(VGG, depth=11, width=0.05), max_epochs=1)
    pruner = GivenMaskPruner(net, train_ticket=False, random_state=0).fit(images, y)
    flat = images.reshape(len(images), -1)
    shape = r"X has rows of shape \(64,\), but X had rows of shape \(1, 8, 8\) in fit"
    with pytest.raises(ValueError, match=shape + r": pass X.reshape\(-1, 1, 8, 8\)"):
        pruner.predict(flat.tolist() if as_list else flat)
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    with pytest.raises(ValueError, match=r"shape \(1, 8, 8\), but X had rows of shape \(6,\)"):
        pruner.strong_predict(images)


def test_other_columns_at_predict_are_refused(data):
    pruner = SNIPPruner(make_net("classifier", max_epochs=1), random_state=0).fit(*data)
    with pytest.raises(ValueError, match="X has 5 features, but SNIPPruner is expecting 6"):
        pruner.predict(data[0][:, :5])


class FromOne(nn.Module):
    """Looks rows up by numbers from 1."""

    def __init__(self):
        super().__init__()
        self.embed, self.head = nn.Embedding(4, 3), nn.Linear(3, 2)

    def forward(self, X):
        return self.head(self.embed(X.long() - 1).mean(dim=1))


def test_hidden_units_are_counted_on_rows_of_the_data():
    X = np.random.default_rng(0).integers(1, 5, size=(20, 2)).astype("float32")
    net = make_net("classifier", module=FromOne)
    pruner = MagnitudePruner(net, sparsity=0.5, random_state=0).fit(X, X[:, 0] > 2)
    assert len(pruner.get_feature_names_out()) == pruner.transform(X).shape[1]


class Slow(MLP):
    """Takes its time in a thread of this name."""

    has_begun = threading.Event()

    def forward(self, X):
        if threading.current_thread().name == "slow":
            self.has_begun.set()
            time.sleep(0.1)
        return super().forward(X)


def test_threads_that_read_the_strong_ticket_leave_predictions_alone(data):
    X, y = data
    pruner = MagnitudePruner(make_net("classifier", module=Slow), sparsity=0.5, random_state=0)
    expected = pruner.fit(X, y).predict_proba(X)
    thread = threading.Thread(target=pruner.strong_predict, args=(X,), name="slow")
    thread.start()
    assert Slow.has_begun.wait(10)
    np.testing.assert_array_equal(pruner.predict_proba(X), expected)
    thread.join()
