"""Pruners inside pipelines, searches and other meta-estimators, and what reaches them.

Meta-estimators that hold one fitted estimator are seen through, however they are nested:
pipelines, searches, ``TransformedTargetRegressor``, ``FixedThresholdClassifier`` and the like.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# Where meta-estimators keep their only fitted estimator, and where others keep several.
_ONE = ("best_estimator_", "regressor_", "estimator_")
_SEVERAL = ("estimators_", "calibrated_classifiers_")


def pruner_of(estimator: Any) -> Any:
    """Return the unfitted estimator at the end of pipelines and target transformations."""
    while isinstance(estimator, Pipeline | TransformedTargetRegressor):
        is_pipeline = isinstance(estimator, Pipeline)
        estimator = estimator.steps[-1][1] if is_pipeline else estimator.regressor
    return estimator


def find_pruner(estimator: Any, X: Any, name: str) -> tuple[Any, Any]:
    """Return the fitted pruner inside an estimator, and `X` as transformed for it.

    Parameters
    ----------
    estimator : estimator
        A pruner, or a meta-estimator with one fitted pruner inside.
    X : array-like or None
        Inputs of `estimator`.
    name : str
        What to call the estimator in error messages, such as the name of the argument.

    Returns
    -------
    pruner : estimator
        The pruner.
    X : array-like or None
        Its inputs, after the other steps of pipelines.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no fitted pruner inside, or more than one.
    """
    *outer, pruner = _nested(estimator, name)
    for each in outer if X is not None else ():
        if isinstance(each, Pipeline):
            for _, transformer in each.steps[:-1]:
                if transformer not in (None, "passthrough"):
                    X = transformer.transform(X)
        elif isinstance(each, RFE):
            X = each.transform(X)
    return pruner, X


def targets_of_pruner(estimator: Any, y: ArrayLike, name: str) -> Any:
    """Return targets as the pruner inside an estimator knows them.

    Parameters
    ----------
    estimator : estimator
        A pruner, or a meta-estimator with one fitted pruner inside.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Labels or targets of `estimator`.
    name : str
        What to call the estimator in error messages.

    Returns
    -------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The targets, transformed by each ``TransformedTargetRegressor`` on the way.
    """
    for each in _nested(estimator, name):
        if isinstance(each, TransformedTargetRegressor):
            values = np.asarray(y)
            columns = values[:, None] if values.ndim == 1 else values
            y = np.reshape(each.transformer_.transform(columns), (len(values), -1))
            y = y[:, 0] if values.ndim == 1 and y.shape[1] == 1 else y
    return y


def with_pruner(estimator: Any, change: Callable[[Any], Any], name: str) -> Any:
    """Return a fitted estimator with another pruner inside.

    Parameters
    ----------
    estimator : estimator
        A pruner, or a meta-estimator with one fitted pruner inside. It is not changed.
    change : callable ``(pruner) -> pruner``
        Returns the other pruner.
    name : str
        What to call the estimator in error messages.

    Returns
    -------
    estimator : estimator
        A shallow copy of it, with shallow copies of all that is around the pruner.
    """
    *outer, pruner = _nested(estimator, name)
    inner = change(pruner)
    for each in reversed(outer):
        around = copy.copy(each)
        if isinstance(each, Pipeline):
            around.steps = [*each.steps[:-1], (each.steps[-1][0], inner)]
        else:
            setattr(around, _place(each), inner)
        inner = around
    return inner


def sparsity_parameter(params: Mapping[str, Any], candidate: int) -> str:
    """Return the name of the sparsity among the parameters of a candidate.

    Parameters
    ----------
    params : mapping of str to object
        The parameters of a candidate of a search, as in ``cv_results_["params"]``.
    candidate : int
        Its number, for error messages.

    Returns
    -------
    name : str
        The name, which is or ends in ``sparsity``, such as ``pruner__sparsity``.

    Raises
    ------
    ValueError
        If there is not exactly one, or it is None.
    """
    names = [key for key in params if key.rpartition("__")[2] == "sparsity"]
    if len(names) != 1 or params[names[0]] is None:
        raise ValueError(
            "cv_results must come from a search over one sparsity, such as "
            f"{{'pruner__sparsity': [0.5, 0.9]}}; candidate {candidate} is {dict(params)}."
        )
    return names[0]


def _nested(estimator: Any, name: str) -> list[Any]:
    """Return a fitted estimator and those inside it, down to the pruner."""
    check_is_fitted(estimator)
    if isinstance(estimator, Pipeline):
        return [estimator, *_nested(estimator[-1], name)]
    place = _place(estimator)
    if place == "mask_":
        return [estimator]
    if place in _SEVERAL:
        raise TypeError(
            f"{name} must hold one fitted pruner; {estimator!r} holds several estimators. Take one "
            f"of its {place}."
        )
    if place is None:
        raise TypeError(
            f"{name} must be a fitted pruner, a Pipeline that ends in one, or a search over one "
            f"with refit=True; got {estimator!r}, which has no mask_."
        )
    return [estimator, *_nested(getattr(estimator, place), name)]


def _place(estimator: Any) -> str | None:
    """Return the attribute that tells what an estimator holds, None if it is none of these."""
    if isinstance(estimator, FrozenEstimator):  # It has all attributes of the one inside.
        return "estimator"
    places = ("mask_", *_SEVERAL, *_ONE)
    return next((place for place in places if hasattr(estimator, place)), None)
