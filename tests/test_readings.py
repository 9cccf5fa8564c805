"""Readings of outputs: class numbers, decisions, probabilities and their logarithms."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from skorch import NeuralNetBinaryClassifier
from torch import nn

from sklearn_tickets.metrics import sparse_accuracy, strong_accuracy
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import SNIPPruner
from sklearn_tickets.pruners.base import class_codes
from sklearn_tickets.pruners.base._readings import decision_values
from tests.instances import make_net, multilabel_data, multilabel_net, small_data, small_images


def binary_net(**params):
    return NeuralNetBinaryClassifier(MLP, train_split=None, verbose=0, **params)


@pytest.mark.parametrize(("threshold", "logit"), [(0.5, 0.0), (0.75, np.log(3))])
def test_a_single_logit_at_the_threshold_is_of_class_0(threshold, logit):
    net = binary_net(threshold=threshold)
    outputs = logit + np.array([[-1e-6], [0], [1e-6]])
    assert class_codes(net, outputs).tolist() == [0, 0, 1]
    np.testing.assert_allclose(decision_values(net, outputs), [-1e-6, 0, 1e-6], atol=1e-15)


@pytest.mark.parametrize("threshold", [0, 1, 1.0])
def test_no_logit_is_between_the_ends_of_the_thresholds(threshold):
    outputs = np.array([[-50.0], [0], [50]])
    assert class_codes(binary_net(threshold=threshold), outputs).tolist() == [1 - threshold] * 3


def test_decisions_hand_worked():
    outputs = np.array([[1.0, 3], [2, 2], [5, 4]])
    assert decision_values(make_net("classifier"), outputs).tolist() == [2, 0, -1]
    assert class_codes(make_net("classifier"), outputs).tolist() == [1, 0, 0]
    three = np.array([[1.0, 3, 2]])
    assert decision_values(make_net("classifier"), three) is three
    labels = np.array([[1.0, -3], [-2, 2]])
    assert decision_values(multilabel_net(), labels) is labels
    assert class_codes(multilabel_net(), labels).tolist() == [[1, 0], [0, 1]]


NETS = {
    "two logits": (make_net("classifier", max_epochs=2), small_data()),
    "one logit": (binary_net(max_epochs=2), small_data()),
    "threshold": (binary_net(max_epochs=2, threshold=0.7), small_data()),
    "many classes": (
        make_net("classifier", max_epochs=2),
        (small_images()[0].reshape(-1, 64), np.array(list("abcd"))[small_images()[1]]),
    ),
    "labels": (multilabel_net(max_epochs=2), multilabel_data()),
}


@pytest.mark.parametrize("train_ticket", [True, False])
@pytest.mark.parametrize("name", NETS)
def test_all_readings_agree(name, train_ticket):
    net, (X, y) = NETS[name]
    pruner = SNIPPruner(net, sparsity=0.5, train_ticket=train_ticket, random_state=0).fit(X, y)
    decision, predicted = pruner.decision_function(X), pruner.predict(X)
    codes = decision.argmax(axis=1) if name == "many classes" else (decision > 0).astype(int)
    np.testing.assert_array_equal(pruner.classes_[codes], predicted)
    proba = pruner.predict_proba(X)
    np.testing.assert_allclose(np.exp(pruner.predict_log_proba(X)), proba)
    expected = {
        "two logits": lambda: np.stack([expit(-decision), expit(decision)], axis=1),
        "many classes": lambda: softmax(decision, axis=1),
        "labels": lambda: expit(decision),
    }
    if name in expected:
        np.testing.assert_allclose(proba, expected[name]())
    assert pruner.score(X, y) == sparse_accuracy(pruner, X, y)
    if not train_ticket:
        assert pruner.score(X, y) == strong_accuracy(pruner, X, y)


@pytest.mark.parametrize("name", NETS)
def test_logarithms_of_tiny_probabilities_are_finite(name):
    net, (X, y) = NETS[name]
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, y)
    far = 1e5 * X
    assert (pruner.predict_proba(far) == 0).any()
    logarithms = pruner.predict_log_proba(far)
    assert np.isfinite(logarithms).all()
    # Of a far row, the logarithm of the smallest probability is the distance of the logits.
    if name == "two logits":
        distance = np.abs(pruner.decision_function(far))
        np.testing.assert_allclose(logarithms.min(axis=1), -distance, atol=1)


def test_logarithms_of_other_probabilities_are_those_of_predict_proba():
    X, y = small_data()
    net = make_net(
        "classifier",
        criterion=nn.MultiMarginLoss,
        predict_nonlinearity=lambda logits: (3 * logits).softmax(dim=1),
        max_epochs=1,
    )
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, y)
    np.testing.assert_array_equal(pruner.predict_log_proba(X), np.log(pruner.predict_proba(X)))
    pruner.set_params(estimator__predict_nonlinearity="auto").fit(X, y)
    for method in (pruner.predict_proba, pruner.predict_log_proba):
        with pytest.raises(ValueError, match="MultiMarginLoss does not imply"):
            method(X)


def test_labels_have_probabilities_of_their_own():
    X, y = multilabel_data()
    net = multilabel_net(max_epochs=1, predict_nonlinearity=lambda logits: (2 * logits).sigmoid())
    pruner = SNIPPruner(net, sparsity=0.5, random_state=0).fit(X, y)
    np.testing.assert_allclose(pruner.predict_proba(X), expit(2 * pruner.decision_function(X)))
    pruner.set_params(estimator__predict_nonlinearity=None).fit(X, y)
    with pytest.raises(ValueError, match="set predict_nonlinearity"):
        pruner.predict_proba(X)


def test_regressors_have_no_decisions():
    pruner = SNIPPruner(make_net("regressor"))
    for method in ("decision_function", "predict_proba", "predict_log_proba"):
        assert not hasattr(pruner, method)
