"""Scorers: values on networks worked by hand, errors, and scikit-learn's searches."""

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    KFold,
    ValidationCurveDisplay,
    cross_validate,
    validation_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets import metrics
from sklearn_tickets.masks import TicketMask
from sklearn_tickets.metrics import (
    effective_sparsity,
    make_strong_scorer,
    make_ticket_scorer,
    planted_ticket,
    sparse_accuracy,
    sparse_neg_mean_squared_error,
    sparse_r2,
    strong_accuracy,
    strong_neg_mean_squared_error,
    strong_r2,
    ticket_f1,
    ticket_matched_overlap_score,
    ticket_overlap,
    ticket_precision,
    ticket_recall,
    ticket_recall_score,
)
from sklearn_tickets.model_selection import BatchedGridSearchCV
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import GivenMaskPruner, MagnitudePruner

PUBLIC = [getattr(metrics, name) for name in metrics.__all__]
SCORERS = [member for member in PUBLIC if isinstance(member, type(ticket_overlap))]
TRUTH = TicketMask({"weight": [[1, 1], [0, 0]]})
FOUND = TicketMask({"weight": [[0, 1], [1, 1]]})


class Linear(nn.Linear):
    """Outputs 2 x0 + 2 x1 and x0 - 4 x1 (or the first alone), with a planted ticket."""

    def __init__(self, n_features, n_outputs, planted=True):
        super().__init__(n_features, n_outputs, bias=False)
        with torch.no_grad():
            self.weight.copy_(torch.tensor([[2.0, 2.0], [1.0, -4.0]])[:n_outputs])
        if planted:
            self.ticket = TRUTH


def make_net(net_class=NeuralNetClassifier, criterion=nn.CrossEntropyLoss, **params):
    defaults = {"module": Linear, "max_epochs": 2, "train_split": None, "verbose": 0}
    return net_class(**defaults | {"criterion": criterion} | params)


X = np.array([[1, 0], [0, 1], [2, 1], [-1, 0], [0, -1], [-1, -2], [9, 1]], dtype=np.float32)
LABELS = np.array(["b", "a", "a", "b", "b", "b", "b"])


@pytest.fixture
def classifier():
    """Keeps x1 -> class "a" and everything into class "b", untrained."""
    return GivenMaskPruner(make_net(), FOUND, train_ticket=False).fit(X, LABELS)


@pytest.fixture
def regressor():
    """Keeps 2 x0 of the only output, untrained; the targets are 3 x0."""
    net = make_net(NeuralNetRegressor, nn.MSELoss)
    mask = TicketMask({"weight": [[1, 0]]})
    return GivenMaskPruner(net, mask, train_ticket=False).fit(X, 3 * X[:, 0])


# Values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scorer", "expected"),
    [
        (ticket_overlap, 1 / 4),
        (ticket_precision, 1 / 3),
        (ticket_recall, 1 / 2),
        (ticket_f1, 2 / 5),
        (make_ticket_scorer(FOUND), 1),
        (make_ticket_scorer(~FOUND, ticket_recall_score), 0),
        (make_ticket_scorer(metric=ticket_matched_overlap_score), 1 / 4),
    ],
)
def test_ticket_scorers(classifier, scorer, expected):
    score = scorer(classifier, X)
    assert score == pytest.approx(expected)
    assert isinstance(score, float)


@pytest.mark.parametrize("search_class", [GridSearchCV, BatchedGridSearchCV])
def test_searches_weigh_scores(search_class):
    """The scores of two folds by hand; those of masks have no weights."""
    pruner = GivenMaskPruner(make_net(), random_state=0)
    rows, labels = np.tile(X, (4, 1)), np.tile(LABELS, 4)
    weights = np.arange(1.0, 29) ** 2
    scoring = {"one": "accuracy", "same": sparse_accuracy, "strong": strong_accuracy}
    search = search_class(
        pruner,
        {"mask": [FOUND, TRUTH, ~FOUND]},
        scoring=scoring | {"overlap": ticket_overlap, "effective": effective_sparsity},
        refit="same",
        cv=KFold(2),
        error_score="raise",
    ).fit(rows, labels, sample_weight=weights)
    results = search.cv_results_
    for fold, (train, test) in enumerate(KFold(2).split(rows)):
        assert_allclose(results[f"split{fold}_test_one"], results[f"split{fold}_test_same"])
        fitted = pruner.set_params(mask=FOUND).fit(
            rows[train], labels[train], sample_weight=weights[train]
        )
        is_right = fitted.strong_predict(rows[test]) == labels[test]
        expected = np.average(is_right, weights=weights[test])
        assert results[f"split{fold}_test_strong"][0] == pytest.approx(expected)
        assert expected != is_right.mean()
    assert results["mean_test_overlap"].tolist() == [1 / 4, 1, 1 / 2]


def test_metadata_routing_weighs_scores_on_request():
    weights = np.arange(1.0, 29) ** 2
    data = np.tile(X, (4, 1)), np.tile(LABELS, 4)
    with config_context(enable_metadata_routing=True):
        pruner = GivenMaskPruner(make_net(), FOUND, random_state=0)
        pruner.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        validate = partial(
            cross_validate, pruner, *data, cv=KFold(2), params={"sample_weight": weights}
        )
        expected = validate()["test_score"]
        for scoring in (sparse_accuracy, {"score": sparse_accuracy, "overlap": ticket_overlap}):
            with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
                validate(scoring=scoring)
        requests = {
            "score": sparse_accuracy.set_score_request(sample_weight=True),
            "overlap": ticket_overlap.set_score_request(sample_weight=True),
        }
        assert_allclose(validate(scoring=requests)["test_score"], expected)
        assert_allclose(validate(scoring=requests["score"])["test_score"], expected)


def test_a_scorer_without_weights_has_none_inside_another(classifier):
    def plain(estimator, X, y):
        return accuracy_score(y, estimator.predict(X))

    assert not make_strong_scorer(plain)._accept_sample_weight()
    assert make_strong_scorer(sparse_accuracy)._accept_sample_weight()
    weights = np.arange(1, 8)
    found = make_strong_scorer(sparse_accuracy)(classifier, X, LABELS, sample_weight=weights)
    assert found == strong_accuracy(classifier, X, LABELS, sample_weight=weights)
    assert found == pytest.approx(classifier.score(X, LABELS, sample_weight=weights))


def test_sparse_scorers(classifier, regressor):
    # The logits are 2 x1 ("a") and x0 - 4 x1 ("b").
    assert classifier.predict(X).tolist() == ["b", "a", "a", "a", "b", "b", "b"]
    assert sparse_accuracy(classifier, X, LABELS) == pytest.approx(6 / 7)
    # Outputs 2 x0 times a factor of 3 / 2. For targets 4 x0, the squared errors are x0 ** 2,
    # 88 / 7 on average.
    y = 4 * X[:, 0]
    assert sparse_neg_mean_squared_error(regressor, X, y) == pytest.approx(-88 / 7)
    assert sparse_r2(regressor, X, y) == pytest.approx(1 - 88 / 7 / np.var(y))


def test_strong_scorers_read_through_the_output_scale(classifier, regressor, monkeypatch):
    y = 3 * X[:, 0]
    np.testing.assert_allclose(regressor.output_scale_, [1.5])
    assert strong_r2(regressor, X, y) == pytest.approx(1)
    assert strong_neg_mean_squared_error(regressor, X, y) == pytest.approx(0, abs=1e-12)
    raw = make_strong_scorer("neg_mean_squared_error", rescale=False)
    assert raw(regressor, X, y) == pytest.approx(-88 / 7)

    # The logits of the last row are 2 and 5, so a large factor makes it an "a".
    monkeypatch.setattr(type(classifier), "output_scale_", np.array([1e6, 1]))
    assert strong_accuracy(classifier, X, LABELS) == pytest.approx(5 / 7)
    assert make_strong_scorer("accuracy", rescale=False)(classifier, X, LABELS) == 6 / 7
    balanced = make_strong_scorer("balanced_accuracy")
    assert balanced(classifier, X, LABELS) == pytest.approx((2 / 2 + 3 / 5) / 2)


def test_strong_scorers_see_initial_weights_only():
    y = np.where(LABELS == "a", "b", "a")
    trained = GivenMaskPruner(make_net(max_epochs=20, lr=1.0), FOUND, random_state=0).fit(X, y)
    untrained = clone(trained).set_params(train_ticket=False).fit(X, y)
    assert sparse_accuracy(trained, X, y) > sparse_accuracy(untrained, X, y)
    assert strong_accuracy(trained, X, y) == strong_accuracy(untrained, X, y)


def test_strong_scorers_of_probabilities():
    trained = GivenMaskPruner(make_net(max_epochs=5, lr=1.0), FOUND, random_state=0).fit(X, LABELS)
    untrained = clone(trained).set_params(train_ticket=False).fit(X, LABELS)
    before = trained.predict_proba(X)
    expected = -log_loss(LABELS, untrained.predict_proba(X))
    assert make_strong_scorer("neg_log_loss")(trained, X, LABELS) == pytest.approx(expected)
    # The logits of the initial weights are 2 x1 ("a") and x0 - 4 x1 ("b").
    b = 1 / (1 + np.exp(6 * X[:, 1] - X[:, 0]))
    raw = make_strong_scorer("neg_log_loss", rescale=False)
    assert raw(trained, X, LABELS) == pytest.approx(-log_loss(LABELS, np.stack([1 - b, b], 1)))
    np.testing.assert_array_equal(trained.predict_proba(X), before)


def test_strong_accuracy_of_one_logit():
    net = make_net(NeuralNetBinaryClassifier, nn.BCEWithLogitsLoss, module__n_outputs=1)
    mask = TicketMask({"weight": [[1, 0]]})
    pruner = GivenMaskPruner(net, mask, train_ticket=False).fit(X, LABELS)
    # The logit of "b" is 2 x0, positive in two of its rows and in one of class "a".
    assert strong_accuracy(pruner, X, LABELS) == pytest.approx(3 / 7)


def test_strong_r2_of_two_outputs():
    net = make_net(NeuralNetRegressor, nn.MSELoss)
    y = X * [3, -1]
    mask = TicketMask({"weight": [[1, 0], [0, 1]]})
    pruner = GivenMaskPruner(net, mask, train_ticket=False).fit(X, y)
    np.testing.assert_allclose(pruner.output_scale_, [1.5, 0.25])
    assert strong_r2(pruner, X, y) == pytest.approx(1)


def test_effective_sparsity_counts_dead_ends():
    mask = TicketMask({"layers.0.weight": [[1, 0], [0, 1]], "layers.1.weight": [[1, 0]]})
    net = make_net(NeuralNetRegressor, nn.MSELoss, module=MLP, module__hidden=(2,))
    pruner = GivenMaskPruner(net, mask, train_ticket=False, random_state=0).fit(X, X[:, 0])
    assert mask.sparsity == 1 / 2
    assert effective_sparsity(pruner, X) == pytest.approx(4 / 6)
    assert effective_sparsity(pruner, pd.DataFrame(X)) == pytest.approx(4 / 6)


# The way to the pruner ----------------------------------------------------------------


@pytest.mark.parametrize("scorer", [ticket_overlap, sparse_accuracy, strong_accuracy])
def test_scorers_see_through_pipelines_and_searches(classifier, scorer):
    expected = scorer(classifier, X, LABELS)
    pruner = clone(classifier)
    flip = FunctionTransformer(np.negative)
    pipeline = make_pipeline(flip, "passthrough", make_pipeline(None, pruner))
    search = GridSearchCV(pipeline, {}, cv=2)
    assert scorer(pipeline.fit(-X, LABELS), -X, LABELS) == expected
    assert scorer(search.fit(-X, LABELS), -X, LABELS) == expected


def nested(regressor):
    """The same in a pipeline and a search, whose inputs are the opposite."""
    flip = FunctionTransformer(np.negative)
    pipeline = make_pipeline(flip, regressor)
    return GridSearchCV(pipeline, {}, scoring="neg_mean_squared_error", cv=2)


@pytest.mark.parametrize("around", [0, 1, 2])
@pytest.mark.parametrize(
    ("scorer", "error"),
    [
        (sparse_neg_mean_squared_error, 1),
        (strong_neg_mean_squared_error, 1),
        (make_strong_scorer("neg_mean_squared_error", rescale=False), 3),
        (sparse_r2, 1),
        (strong_r2, 1),
        (make_strong_scorer("r2", rescale=False), 3),
        (effective_sparsity, None),
    ],
    ids=lambda each: repr(each),
)
def test_scorers_see_targets_as_they_were(scorer, error, around):
    net = make_net(NeuralNetRegressor, nn.MSELoss)
    pruner = GivenMaskPruner(net, TicketMask({"weight": [[1, 0]]}), train_ticket=False)
    regressor = nested(pruner) if around == 2 else pruner
    # The outputs 2 x0 are rescaled to 3 x0, half of the targets.
    regressor = TransformedTargetRegressor(regressor, func=halved, inverse_func=doubled)
    regressor = nested(regressor) if around else regressor
    # Negated once or twice.
    inputs = -X if around == 1 else X
    regressor.fit(inputs, 6 * X[:, 0])
    score = scorer(regressor, inputs, 7 * X[:, 0])
    if error is None:
        assert score == 1 / 2
    elif "r2" in scorer.__name__:
        assert score == pytest.approx(1 - error**2 * 88 / 7 / np.var(7 * X[:, 0]))
    else:
        assert score == pytest.approx(-(error**2) * 88 / 7)


def halved(y):
    return y / 2


def doubled(y):
    return 2 * y


def test_scorers_of_several_scaled_targets():
    y = X * [30, -1] + [1, 5]
    net = make_net(NeuralNetRegressor, nn.MSELoss, lr=0.05, max_epochs=5)
    pruner = GivenMaskPruner(net, TicketMask({"weight": [[1, 0], [1, 1]]}), random_state=0)
    regressor = TransformedTargetRegressor(pruner, transformer=StandardScaler()).fit(X, y)
    inner, scaler = regressor.regressor_, regressor.transformer_
    outputs = scaler.inverse_transform(inner.predict(X))
    assert sparse_r2(regressor, X, y) == pytest.approx(r2_score(y, outputs))
    strong = scaler.inverse_transform(inner.strong_predict(X))
    assert strong_r2(regressor, X, y) == pytest.approx(r2_score(y, strong))
    assert abs(strong_r2(regressor, X, y) - sparse_r2(regressor, X, y)) > 1e-3
    with torch.no_grad():
        inner.estimator_.module_.weight[0, 1] = -1e-30
    with pytest.raises(ValueError, match="1 pruned entries of 'weight' are not exactly 0"):
        sparse_r2(regressor, X, y)


def test_scorers_see_thresholds(classifier):
    fixed = FixedThresholdClassifier(classifier, threshold=1.1, pos_label="b").fit(X, LABELS)
    # Everything is an "a".
    for scorer in (sparse_accuracy, strong_accuracy):
        assert scorer(fixed, X, LABELS) == 2 / 7
    assert ticket_overlap(fixed, X) == 1 / 4


@pytest.mark.parametrize("scorer", SCORERS)
def test_unfitted_and_foreign_estimators(scorer):
    unfitted = MagnitudePruner(make_net())
    for estimator in (unfitted, make_pipeline(unfitted), GridSearchCV(unfitted, {})):
        with pytest.raises(NotFittedError):
            scorer(estimator, X, LABELS)
    logistic = LogisticRegression().fit(X, LABELS)
    not_refitted = GridSearchCV(logistic, {}, cv=2, refit=False).fit(X, LABELS)
    for estimator in (logistic, not_refitted, FrozenEstimator(logistic)):
        with pytest.raises(TypeError, match="must be a fitted pruner, a Pipeline that ends in one"):
            scorer(estimator, X, LABELS)


def test_planted_ticket(classifier):
    assert planted_ticket(classifier) is TRUTH
    with pytest.raises(NotFittedError):
        planted_ticket(clone(classifier))


def test_no_planted_ticket():
    pruner = GivenMaskPruner(make_net(module__planted=False), FOUND, train_ticket=False)
    assert planted_ticket(pruner.fit(X, LABELS)) is None
    with pytest.raises(ValueError, match=r"Linear carries no planted ticket.*make_ticket_scorer"):
        ticket_overlap(pruner, X)


def test_sparse_scorers_refuse_a_net_that_is_not_sparse(classifier):
    with torch.no_grad():
        classifier.estimator_.module_.weight[0, 0] = 1e-30
    with pytest.raises(ValueError, match="1 pruned entries of 'weight' are not exactly 0"):
        sparse_accuracy(classifier, X, LABELS)


def test_strong_scorer_of_a_metric():
    with pytest.raises(ValueError, match="metric function rather than a scorer"):
        make_strong_scorer(accuracy_score)


# In scikit-learn ----------------------------------------------------------------------


@pytest.mark.parametrize("scorer", SCORERS)
def test_names_and_copies(scorer):
    assert getattr(metrics, scorer.__name__) is scorer
    assert repr(scorer) == scorer.__name__
    for copy in (pickle.loads(pickle.dumps(scorer)), clone(scorer, safe=False)):
        assert repr(copy) == repr(scorer)
        assert copy.__doc__ == scorer.__doc__


def test_copies_score_the_same(classifier):
    scorers = [ticket_recall, sparse_accuracy, strong_accuracy, effective_sparsity]
    scorers += [make_ticket_scorer(FOUND), make_strong_scorer("f1_macro", rescale=False)]
    for scorer in scorers:
        copy = pickle.loads(pickle.dumps(scorer))
        assert copy(classifier, X, LABELS) == scorer(classifier, X, LABELS)


def test_names_of_scorers_made():
    assert repr(make_ticket_scorer(FOUND, ticket_recall_score)) == "ticket_recall"
    assert repr(make_strong_scorer(sparse_accuracy, rescale=False)) == "raw_strong_sparse_accuracy"


@pytest.fixture
def search_data():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(40, 3))
    return X, (X[:, 0] > 0).astype(int)


def test_multimetric_search_in_workers(search_data):
    pruner = MagnitudePruner(make_net(module=MLP, module__hidden=(4,)), random_state=0)
    truth = TicketMask({"layers.0.weight": np.eye(4, 3)})
    scoring = {
        "overlap": make_ticket_scorer(truth),
        "sparse": sparse_accuracy,
        "strong": strong_accuracy,
        "raw": make_strong_scorer("accuracy", rescale=False),
        "sparsity": effective_sparsity,
    }
    grid = {"sparsity": [0.25, 0.5]}
    results = [
        GridSearchCV(
            pruner, grid, scoring=scoring, refit="sparse", cv=2, n_jobs=n_jobs, error_score="raise"
        )
        .fit(*search_data)
        .cv_results_
        for n_jobs in (1, 2)
    ]
    for name in scoring:
        scores = results[0][f"mean_test_{name}"]
        np.testing.assert_array_equal(scores, results[1][f"mean_test_{name}"])
        assert np.isfinite(scores).all()
    assert (results[0]["mean_test_sparsity"] >= [0.25, 0.5]).all()


def test_single_metric_search_and_validation_curve():
    pruner = MagnitudePruner(make_net(), train_ticket=False, random_state=0)
    grid = {"sparsity": [0.25, 0.5]}
    # The magnitudes are 2, 2, 1 and 4; the ticket is the first two.
    search = GridSearchCV(pruner, grid, scoring=ticket_precision, cv=2, error_score="raise")
    search.fit(X, LABELS)
    assert search.cv_results_["mean_test_score"].tolist() == [2 / 3, 1 / 2]
    assert search.score(X, LABELS) == 2 / 3
    curve = {"param_name": "sparsity", "param_range": [0.25, 0.75], "cv": 2}
    _, scores = validation_curve(pruner, X, LABELS, scoring=ticket_overlap, **curve)
    assert scores.tolist() == [[2 / 3] * 2, [0] * 2]
    display = ValidationCurveDisplay.from_estimator(
        pruner, X, LABELS, scoring=ticket_overlap, **curve
    )
    assert "icket overlap" in display.ax_.get_ylabel().replace("_", " ")
