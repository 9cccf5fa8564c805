"""scikit-learn's own checks, on every pruner around a classifier and a regressor."""

from functools import partial

import pytest
from sklearn.base import clone
from sklearn.utils import estimator_checks
from sklearn.utils._testing import assert_allclose_dense_sparse
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_param_validation,
    check_sample_weight_equivalence_on_dense_data,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from tests.instances import instances

EVERY_PRUNER = [*instances("classifier"), *instances("regressor")]

# Tiny networks on tiny data collapse; the checks are about the interface.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")


def expected_failed_checks(pruner):
    reason = "Batches of a few repeated rows are others than batches of rows with weights."
    return {"check_sample_weight_equivalence_on_dense_data": reason}


# Not strict: a mask of frozen weights may be the same nevertheless.
@parametrize_with_checks(
    EVERY_PRUNER, expected_failed_checks=expected_failed_checks, xfail_strict=False
)
def test_estimator_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "pruner", EVERY_PRUNER, ids=lambda p: f"{type(p).__name__}-{type(p.estimator).__name__}"
)
def test_weights_are_repeated_rows_in_full_batches(pruner, monkeypatch):
    # The check is strict enough for float64, but networks are trained in float32.
    compare = partial(assert_allclose_dense_sparse, rtol=1e-4, atol=1e-6)
    monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", compare)
    full = {"estimator__batch_size": -1, "estimator__iterator_train__shuffle": False}
    in_full_batches = clone(pruner).set_params(**full)
    check_sample_weight_equivalence_on_dense_data(type(pruner).__name__, in_full_batches)


# These checks hand frames and bare arrays to the same estimator.
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:X has feature names")
@pytest.mark.parametrize(
    "pruner", EVERY_PRUNER, ids=lambda p: f"{type(p).__name__}-{type(p.estimator).__name__}"
)
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
