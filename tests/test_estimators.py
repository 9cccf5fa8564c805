"""Pruners inside meta-estimators, and what reaches them."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RANSACRegressor
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from sklearn_tickets._estimators import find_pruner, pruner_of
from sklearn_tickets.export import compact
from sklearn_tickets.inspection import (
    critical_compression,
    gradient_flow,
    instability_analysis,
    linear_mode_connectivity,
    round_connectivity,
    ticket_report,
)
from sklearn_tickets.models import MLP
from sklearn_tickets.pruners import MagnitudePruner

X = np.random.RandomState(0).randn(40, 3).astype("float32")
LABELS = np.where(X[:, 0] > 0, 1, 0)
TARGETS = np.exp(X[:, 0].astype(float))
SETTINGS = {"module__hidden": (8,), "max_epochs": 2, "train_split": None, "verbose": 0}
REGRESSOR = MagnitudePruner(NeuralNetRegressor(MLP, **SETTINGS), sparsity=0.5, random_state=0)
CLASSIFIER = MagnitudePruner(
    NeuralNetClassifier(MLP, criterion=nn.CrossEntropyLoss, lr=0.1, **SETTINGS),
    sparsity=0.5,
    random_state=0,
)


def negated(estimator):
    return make_pipeline(FunctionTransformer(np.negative), estimator)


HOLDERS = {
    "pruner": CLASSIFIER,
    "frozen": FrozenEstimator(CLASSIFIER.fit(X, LABELS)),
    "frozen pipeline": FrozenEstimator(negated(CLASSIFIER).fit(X, LABELS)),
    "fixed threshold": negated(FixedThresholdClassifier(CLASSIFIER, threshold=0.9)),
    "fixed threshold of a frozen pruner": FixedThresholdClassifier(
        FrozenEstimator(CLASSIFIER), threshold=0.9
    ),
    "tuned threshold": TunedThresholdClassifierCV(negated(CLASSIFIER), cv=2),
    "self-training": SelfTrainingClassifier(CLASSIFIER),
    "search": GridSearchCV(negated(CLASSIFIER), {}, cv=2),
    "search in pipelines": make_pipeline(
        None, "passthrough", negated(GridSearchCV(CLASSIFIER, {}, cv=2))
    ),
}


@pytest.mark.filterwarnings("ignore:y contains no unlabeled samples")
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_the_pruner_its_inputs_and_another_in_its_place(holder):
    holder.fit(X, LABELS)
    found = find_pruner(holder, "holder")
    assert type(found.pruner) is MagnitudePruner
    expected = found.pruner.predict_proba(found.inputs(X))
    np.testing.assert_array_equal(holder.predict_proba(X), expected)
    np.testing.assert_array_equal(found.targets(LABELS), LABELS)

    before = holder.predict(X)
    opposite = clone(CLASSIFIER).fit(X, 1 - LABELS)
    other = found.replaced(opposite)
    assert type(other) is type(holder)
    np.testing.assert_array_equal(other.predict_proba(X), opposite.predict_proba(found.inputs(X)))
    assert find_pruner(other, "other").pruner is opposite
    assert find_pruner(holder, "holder").pruner is found.pruner
    np.testing.assert_array_equal(holder.predict(X), before)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (-1, 2)])
def test_inputs_and_targets_of_transformed_regression(shape):
    targets = TARGETS.reshape(shape)
    X = np.random.RandomState(1).randn(len(targets), 3).astype("float32")
    regressor = TransformedTargetRegressor(
        negated(TransformedTargetRegressor(REGRESSOR, transformer=StandardScaler())),
        func=np.log,
        inverse_func=np.exp,
    ).fit(X, targets)
    found = find_pruner(regressor, "regressor")
    np.testing.assert_array_equal(found.inputs(X), -X)
    logarithms = np.log(targets)
    scaled = (logarithms - logarithms.mean(axis=0)) / logarithms.std(axis=0)
    np.testing.assert_allclose(found.targets(targets), scaled, rtol=1e-6)
    assert found.targets(targets).shape == targets.shape
    inner = regressor.regressor_[-1].regressor_
    assert found.pruner is inner
    np.testing.assert_array_equal(regressor.predict(X), found.replaced(inner).predict(X))


def test_other_holders():
    ransac = RANSACRegressor(REGRESSOR, max_trials=1)
    ransac.set_params(min_samples=20, residual_threshold=1e3, random_state=0).fit(X, TARGETS)
    assert find_pruner(ransac, "ransac").pruner is ransac.estimator_
    selected = RFE(CLASSIFIER, n_features_to_select=2, importance_getter=importances)
    found = find_pruner(selected.fit(X, LABELS), "selected")
    np.testing.assert_array_equal(found.inputs(X), X[:, selected.support_])


def importances(pruner):
    return pruner.estimator_.module_.layers[0].weight.detach().abs().sum(dim=0).numpy()


@pytest.mark.parametrize(
    ("holder", "place"),
    [
        (BaggingClassifier(CLASSIFIER, n_estimators=2), "estimators_"),
        (VotingClassifier([("only", CLASSIFIER)]), "estimators_"),
        (MultiOutputClassifier(CLASSIFIER), "estimators_"),
        (CalibratedClassifierCV(CLASSIFIER, cv=2), "calibrated_classifiers_"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_holders_of_several_estimators_are_refused_by_name(holder, place):
    y = LABELS[:, None] if isinstance(holder, MultiOutputClassifier) else LABELS
    message = f"(?s)^it must hold one .* but {type(holder).__name__}.* pass one of its {place}"
    with pytest.raises(TypeError, match=message):
        find_pruner(make_pipeline(holder).fit(X, y), "it")


def test_holders_must_be_fitted_and_hold_a_pruner():
    with pytest.raises(NotFittedError):
        find_pruner(TransformedTargetRegressor(REGRESSOR), "it")
    linear = TransformedTargetRegressor().fit(X, TARGETS)
    with pytest.raises(TypeError, match=r"it must be a fitted pruner, .* got LinearRegression"):
        find_pruner(linear, "it")


def test_unfitted_pruners():
    nested = negated(TransformedTargetRegressor(negated(REGRESSOR)))
    assert pruner_of(nested) is REGRESSOR
    assert pruner_of(REGRESSOR) is REGRESSOR
    assert pruner_of(TransformedTargetRegressor()) is None


ANALYSES = {
    "ticket_report": lambda estimator, X, y: ticket_report(
        estimator, X, y, X_test=X[:20], y_test=y[:20], n_controls=1, random_state=0
    ),
    "gradient_flow": gradient_flow,
    "critical_compression": critical_compression,
    "linear_mode_connectivity": lambda estimator, X, y: (
        linear_mode_connectivity(estimator, estimator, X, y, n_points=2, X_train=X[:20]).errors
    ),
    "instability_analysis": lambda estimator, X, y: instability_analysis(
        estimator, X, y, n_pairs=1, start_epochs=[0], n_points=3, random_state=0
    ),
    "round_connectivity": lambda estimator, X, y: (
        round_connectivity(estimator, X, y, n_points=3, X_train=X[:20]).weights
    ),
}


@pytest.mark.parametrize("analyze", ANALYSES.values(), ids=ANALYSES)
@pytest.mark.parametrize(
    ("pruner", "y"), [(CLASSIFIER, LABELS), (REGRESSOR, TARGETS)], ids=["labels", "targets"]
)
def test_analyses_are_of_the_pruner_on_its_own_data(analyze, pruner, y):
    estimator = make_pipeline(StandardScaler(), clone(pruner).set_params(store_rounds=True))
    if pruner is REGRESSOR:
        estimator = TransformedTargetRegressor(estimator, transformer=StandardScaler())
    inputs = X * [1, 2, 3] + 1
    found = find_pruner(estimator.fit(inputs, y), "estimator")
    expected = analyze(found.pruner, found.inputs(inputs), found.targets(y))
    np.testing.assert_array_equal(analyze(estimator, inputs, y), expected)


def test_exports_are_of_networks_whose_predictions_nothing_changes():
    regressor = TransformedTargetRegressor(REGRESSOR, transformer=StandardScaler())
    for holder in (regressor.fit(X, TARGETS), make_pipeline(regressor.fit(X, TARGETS))):
        message = "must not be inside a TransformedTargetRegressor.* Pass the fitted pruner itself"
        with pytest.raises(TypeError, match=message):
            compact(holder)
