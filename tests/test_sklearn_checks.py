"""scikit-learn's own checks, on every pruner around a classifier and a regressor."""

from functools import partial

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils._testing import assert_allclose_dense_sparse
from sklearn.utils.estimator_checks import (
    check_classifiers_multilabel_output_format_decision_function,
    check_classifiers_multilabel_output_format_predict,
    check_classifiers_multilabel_output_format_predict_proba,
    check_classifiers_multilabel_representation_invariance,
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_param_validation,
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    check_valid_tag_types,
    estimator_checks_generator,
)
from torch import nn

from sklearn_tickets.pruners import FORCEPruner, MagnitudePruner, SNIPPruner
from tests.instances import GENERAL, instances

EVERY_PRUNER = [*instances("classifier"), *instances("regressor")]
EVERY_PRUNER += [
    clone(pruner).set_params(granularity="unit")
    for pruner in instances("classifier")
    if type(pruner) in (MagnitudePruner, SNIPPruner, FORCEPruner)
]

# Tiny networks on tiny data collapse; the checks are about the interface.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")


# A mask of frozen weights may be the same nevertheless, so this is not strict.
WEIGHT_CHECKS = [
    check_sample_weight_equivalence_on_dense_data,
    check_sample_weight_equivalence_on_sparse_data,
]
EXPECTED_FAILURES = {
    check.__name__: "Batches of a few repeated rows are others than batches of rows with weights."
    for check in WEIGHT_CHECKS
}
CHECKS = [
    pair
    for pruner in EVERY_PRUNER
    for pair in estimator_checks_generator(
        pruner, expected_failed_checks=EXPECTED_FAILURES, mark="xfail", xfail_strict=False
    )
]


def name_of(value):
    """The same in every process, unlike a net's representation."""
    if isinstance(value, partial):
        return value.func.__name__
    return f"{type(value).__name__}-{type(value.estimator).__name__}"


@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=name_of)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("pruner", EVERY_PRUNER, ids=name_of)
@pytest.mark.parametrize("check", WEIGHT_CHECKS)
def test_weights_are_repeated_rows_in_full_batches(pruner, check, monkeypatch):
    # The check is strict enough for float64, but networks are trained in float32.
    compare = partial(assert_allclose_dense_sparse, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", compare)
    full = {"estimator__batch_size": -1, "estimator__iterator_train__shuffle": False}
    in_full_batches = clone(pruner).set_params(**full)
    check(type(pruner).__name__, in_full_batches)


MULTILABEL = [
    pruner.set_params(estimator__criterion=nn.BCEWithLogitsLoss)
    for pruner in instances("classifier")
    if type(pruner) in GENERAL
]


@pytest.mark.parametrize("pruner", MULTILABEL, ids=name_of)
@pytest.mark.parametrize(
    "check",
    [
        check_classifiers_multilabel_representation_invariance,
        check_classifiers_multilabel_output_format_predict,
        check_classifiers_multilabel_output_format_predict_proba,
        check_classifiers_multilabel_output_format_decision_function,
        check_valid_tag_types,
    ],
)
def test_checks_of_multilabel_classifiers(pruner, check):
    assert get_tags(pruner).classifier_tags.multi_label
    check(type(pruner).__name__, pruner)


# These checks hand frames and bare arrays to the same estimator.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize("pruner", EVERY_PRUNER, ids=name_of)
@pytest.mark.parametrize(
    "check",
    [
        check_param_validation,
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_get_feature_names_out_error,
        check_set_output_transform,
        check_set_output_transform_pandas,
        check_global_output_transform_pandas,
        check_dataframe_column_names_consistency,
    ],
)
def test_checks_scikit_learn_runs_on_itself(pruner, check):
    check(type(pruner).__name__, pruner)
