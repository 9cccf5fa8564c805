"""Scores of pruners at several sparsities: of fits, and in the results of searches."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing

from sklearn_tickets._cv_results import score_columns, sparsity_parameter
from sklearn_tickets._estimators import find_pruner, pruner_of
from sklearn_tickets.masks import LayerCollapseWarning


def folds_of(
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike | None,
    y_test: ArrayLike | None,
    cv: Any,
    *,
    classifier: bool,
) -> list[tuple[Any, ...]]:
    """List the data to train and to test on, which are given or folds.

    Parameters
    ----------
    X, y : array-like
        The training data, or all data.
    X_test, y_test : array-like or None
        The test data.
    cv : int, splitter, iterable or None
        The folds, as in scikit-learn's searches; None uses five.
    classifier : bool
        Whether folds are stratified by class.

    Returns
    -------
    folds : list of tuple
        ``X_train, y_train, X_test, y_test`` of each fold; of given test data, a single one.

    Raises
    ------
    ValueError
        If test data are given in part, or beside `cv`.
    """
    options = {"X_test": X_test, "y_test": y_test, "cv": cv}
    given = [option for option, value in options.items() if value is not None]
    if given not in ([], ["cv"], ["X_test", "y_test"]):
        raise ValueError(
            "Pass X_test and y_test, or cv, or none of them for five folds; got "
            f"{' and '.join(given)}."
        )
    if X_test is not None:
        return [(X, y, X_test, y_test)]
    return [
        tuple(_safe_indexing(data, rows) for rows in split for data in (X, y))
        for split in check_cv(cv, y, classifier=classifier).split(X, y)
    ]


def fit_and_score(
    estimator: BaseEstimator,
    sparsity: float,
    labels: dict[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    scorer: Callable[..., float],
) -> dict[str, Any]:
    """Fit a pruner of one sparsity, and score it.

    Parameters
    ----------
    estimator : pruner, Pipeline or TransformedTargetRegressor
        What to fit.
    sparsity : float
        The pruner's `sparsity`.
    labels : dict
        What else to write into the row, among it the pruner's ``random_state``.
    X, y, X_test, y_test : array-like
        The data.
    scorer : callable ``(estimator, X, y) -> float``
        The score.

    Returns
    -------
    row : dict
        A row of the display's table.
    """
    random_state = labels["random_state"]
    pruner_of(estimator).set_params(sparsity=sparsity, random_state=random_state)
    # The table has a column for collapsed networks.
    with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
        estimator.fit(X, y)
    pruner = find_pruner(estimator, "pruners").pruner
    return labels | {
        "density": pruner.mask_.density,
        "score": scorer(estimator, X_test, y_test),
        "collapsed": pruner.rounds_[-1]["collapsed"],
    }


def scores_of_search(cv_results: Mapping[str, Any], scoring: str, name: str) -> pd.DataFrame:
    """Tabulate the scores in the results of a search.

    Parameters
    ----------
    cv_results : mapping of str to array
        The ``cv_results_`` of a search.
    scoring : str
        The name of the score.
    name : str
        The label of candidates without parameters other than the sparsity.

    Returns
    -------
    table : DataFrame
        Columns ``pruner, density, score``, with a row for each candidate and fold.

    Raises
    ------
    ValueError
        If the results lack the score, or a candidate has not one sparsity.
    """
    folds = score_columns(cv_results, r"split\d+", scoring, "scoring")
    rows = []
    alike: dict[str, list[list[Any]]] = defaultdict(list)
    for i, params in enumerate(cv_results["params"]):
        path = sparsity_parameter(params, i)
        others = {key: value for key, value in params.items() if key != path}
        # Estimators among the candidates have long representations.
        named = [
            f"{key}={type(value).__name__ if hasattr(value, 'get_params') else value}"
            for key, value in others.items()
        ]
        label, density = ", ".join(named) or name, 1 - params[path]
        # Different objects may look the same, and are then numbered from 2.
        values = [value if np.isscalar(value) else id(value) for value in others.values()]
        if values not in alike[label]:
            alike[label].append(values)
        if number := alike[label].index(values):
            label += f" {number + 1}"
        rows += [(label, density, cv_results[fold][i]) for fold in folds]
    return pd.DataFrame(rows, columns=["pruner", "density", "score"])
