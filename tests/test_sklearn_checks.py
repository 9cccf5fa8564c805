"""scikit-learn's own checks, on every pruner around a classifier and a regressor."""

import pytest
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_param_validation,
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


@parametrize_with_checks(EVERY_PRUNER)
def test_estimator_checks(estimator, check):
    check(estimator)


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
