"""scikit-learn's own checks, on every pruner around a classifier and a regressor."""

import pytest
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import (
    check_classifiers_multilabel_output_format_decision_function,
    check_classifiers_multilabel_output_format_predict,
    check_classifiers_multilabel_output_format_predict_proba,
    check_classifiers_multilabel_representation_invariance,
    check_dataframe_column_names_consistency,
    check_get_feature_names_out_error,
    check_global_output_transform_pandas,
    check_param_validation,
    check_set_output_transform,
    check_set_output_transform_pandas,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    check_valid_tag_types,
    parametrize_with_checks,
)
from torch import nn

from tests.instances import instances

EVERY_PRUNER = [*instances("classifier"), *instances("regressor")]

# Tiny networks on tiny data collapse; the checks are about the interface.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn_tickets.masks.LayerCollapseWarning")


@parametrize_with_checks(EVERY_PRUNER)
def test_estimator_checks(estimator, check):
    check(estimator)


MULTILABEL = [
    pruner.set_params(estimator__criterion=nn.BCEWithLogitsLoss)
    for pruner in instances("classifier")
]


@pytest.mark.parametrize("pruner", MULTILABEL, ids=lambda pruner: type(pruner).__name__)
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
