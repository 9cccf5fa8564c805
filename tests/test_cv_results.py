"""What the results of searches say."""

import pytest

from sklearn_tickets._cv_results import score_columns, sparsity_parameter

RESULTS = {
    "mean_test_score": [0.5],
    "split0_test_score": [0.4],
    "split10_test_score": [0.6],
    "split0_test_my_test_score": [0.1],
    "split0_train_score": [1.0],
    "std_test_score": [0.1],
}


def test_columns_of_scores():
    assert score_columns(RESULTS, "mean", "score", "metric") == ["mean_test_score"]
    folds = score_columns(RESULTS, r"split\d+", "score", "metric")
    assert folds == ["split0_test_score", "split10_test_score"]
    own = score_columns(RESULTS, r"split\d+", "my_test_score", "metric")
    assert own == ["split0_test_my_test_score"]
    message = r"no scores named scoring='f1'; choose from score, my_test_score\."
    with pytest.raises(ValueError, match=message):
        score_columns(RESULTS, r"split\d+", "f1", "scoring")


def test_the_sparsity_of_a_candidate():
    assert sparsity_parameter({"lr": 1, "a__sparsity": 0.5, "sparsity_": 2}, 0) == "a__sparsity"
    with pytest.raises(ValueError, match=r"one sparsity.*; candidate 3 is {'lr': 1}"):
        sparsity_parameter({"lr": 1}, 3)
