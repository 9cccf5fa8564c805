"""`find_pruner`: the fitted pruner inside a meta-estimator, and the data that reach it.

Meta-estimators that hold one fitted estimator are seen through, however they are nested:
pipelines, searches, ``TransformedTargetRegressor``, ``FixedThresholdClassifier`` and the like.
"""

import copy
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse
from sklearn.compose import TransformedTargetRegressor
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

# Where meta-estimators keep their only fitted estimator, and where others keep several.
_ONE = ("best_estimator_", "regressor_", "estimator_")
_SEVERAL = ("estimators_", "calibrated_classifiers_")


class Found(NamedTuple):
    """A fitted pruner, and what is around it.

    Parameters
    ----------
    around : tuple of estimators
        The meta-estimators around the pruner, the outermost first.
    pruner : estimator
        The pruner.
    """

    around: tuple[Any, ...]
    pruner: Any

    def inputs(self, X: Any) -> Any:
        """Return inputs as the other steps of pipelines transform them for the pruner."""
        for each in self.around:
            if isinstance(each, Pipeline):
                for _, transformer in each.steps[:-1]:
                    if transformer not in (None, "passthrough"):
                        X = transformer.transform(X)
            elif isinstance(each, RFE):
                X = each.transform(X)
        return X

    def targets(self, y: Any) -> Any:
        """Return dense targets, as each ``TransformedTargetRegressor`` transforms them."""
        y = y.toarray() if issparse(y) else y
        for each in self.around:
            if isinstance(each, TransformedTargetRegressor):
                values = np.asarray(y)
                columns = values[:, None] if values.ndim == 1 else values
                y = np.reshape(each.transformer_.transform(columns), (len(values), -1))
                y = y[:, 0] if values.ndim == 1 and y.shape[1] == 1 else y
        return y

    def replaced(self, pruner: Any) -> Any:
        """Return copies of the meta-estimators with another pruner inside."""
        inner = pruner
        for each in reversed(self.around):
            outer = copy.copy(each)
            if isinstance(each, Pipeline):
                outer.steps = [*each.steps[:-1], (each.steps[-1][0], inner)]
            else:
                setattr(outer, str(_place(each)), inner)
            inner = outer
        return inner


def find_pruner(estimator: Any, name: str) -> Found:
    """Find the fitted pruner inside an estimator.

    Parameters
    ----------
    estimator : estimator
        A pruner, or a meta-estimator with one fitted pruner inside.
    name : str
        What to call the estimator in error messages, such as the name of the argument.

    Returns
    -------
    found : Found
        The pruner, and what is around it.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no fitted pruner inside, or there are several estimators.
    """
    check_is_fitted(estimator)
    place = _place(estimator)
    if place == "mask_":
        return Found((), estimator)
    if place in _SEVERAL:
        raise TypeError(
            f"{name} must hold one fitted pruner, but {estimator!r} holds several estimators; pass "
            f"one of its {place}."
        )
    if place is None:
        raise TypeError(
            f"{name} must be a fitted pruner, a Pipeline that ends in one, or a search over one "
            f"with refit=True; got {estimator!r}, which has no mask_."
        )
    inner = estimator[-1] if place == "steps" else getattr(estimator, place)
    around, pruner = find_pruner(inner, name)
    return Found((estimator, *around), pruner)


def pruner_of(estimator: Any) -> Any:
    """Return the unfitted estimator at the end of pipelines and target transformations."""
    while isinstance(estimator, Pipeline | TransformedTargetRegressor):
        is_pipeline = isinstance(estimator, Pipeline)
        estimator = estimator.steps[-1][1] if is_pipeline else estimator.regressor
    return estimator


def _place(estimator: Any) -> str | None:
    """Return the attribute that tells what an estimator holds, None if it has none of them."""
    if isinstance(estimator, FrozenEstimator):  # It has all attributes of the one inside.
        return "estimator"
    if isinstance(estimator, Pipeline):
        return "steps"
    places = ("mask_", *_SEVERAL, *_ONE)
    return next((place for place in places if hasattr(estimator, place)), None)
