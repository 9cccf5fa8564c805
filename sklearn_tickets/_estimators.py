"""`find_pruner`: the fitted pruner inside a pipeline or a search, and the inputs that reach it."""

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted


def find_pruner(estimator: Any, X: Any, name: str) -> tuple[Any, Any]:
    """Return the fitted pruner inside an estimator, and `X` as transformed for it.

    Parameters
    ----------
    estimator : estimator
        A pruner, a ``Pipeline`` that ends in one, or a search over one of these.
    X : array-like or None
        Inputs of `estimator`.
    name : str
        What to call the estimator in error messages, such as the name of the argument.

    Returns
    -------
    pruner : estimator
        The pruner.
    X : array-like or None
        Its inputs, after the other steps of the pipeline.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If there is no fitted pruner inside.
    """
    check_is_fitted(estimator)
    if hasattr(estimator, "best_estimator_"):
        return find_pruner(estimator.best_estimator_, X, name)
    if isinstance(estimator, Pipeline):
        for _, transformer in estimator.steps[:-1]:
            if X is not None and transformer not in (None, "passthrough"):
                X = transformer.transform(X)
        return find_pruner(estimator[-1], X, name)
    if not (hasattr(estimator, "mask_") and hasattr(estimator, "estimator_")):
        raise TypeError(
            f"{name} must be a fitted pruner, a Pipeline that ends in one, or a search over one "
            f"with refit=True; got {estimator!r}, which has no mask_."
        )
    return estimator, X
