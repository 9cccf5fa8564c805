"""`BatchedSearch`: a scikit-learn search that fits its candidates side by side."""

import warnings
from numbers import Integral
from typing import Any, Self

import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval

from sklearn_tickets._estimators import pruner_of
from sklearn_tickets.model_selection._search_backend import SearchBackend
from sklearn_tickets.pruners.base import BasePruner

BATCH_CONSTRAINTS = {"max_batch_bytes": [Interval(Integral, 1, None, closed="left")]}


class BatchedSearch(BaseSearchCV):
    """The part that both batched searches share."""

    estimator: BaseEstimator
    max_batch_bytes: int

    @torch.inference_mode(False)  # As in a pruner's fit.
    def fit(self, X: ArrayLike, y: ArrayLike | None = None, **params: Any) -> Self:
        """Run the search.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or regression targets.
        **params : dict
            Parameters of the estimator's ``fit``, such as ``sample_weight`` of a pruner or
            ``pruner__sample_weight`` of a pipeline, of the splitter (``groups``) and of the
            scorer, as in scikit-learn.

        Returns
        -------
        self : object
            The fitted search.

        Warns
        -----
        UserWarning
            If no networks are trained together; names the cause.
        """
        if obstacle := self._obstacle():
            warnings.warn(
                f"{type(self).__name__} stacks no networks, so the fits run one after the other: "
                f"{obstacle}.",
                stacklevel=2,
            )
            return super().fit(X, y, **params)
        with SearchBackend(self.n_jobs, self.max_batch_bytes).context:
            return super().fit(X, y, **params)

    def _obstacle(self) -> str | None:
        """Say why scikit-learn's own search has to run; None if it does not."""
        pruner = pruner_of(self.estimator)
        if not isinstance(pruner, BasePruner):
            return "the estimator is neither a pruner nor a pipeline ending in one"
        owners = (self, self.estimator, pruner)
        if any(getattr(owner, "_skl_callbacks", None) for owner in owners):
            return "there are callbacks of scikit-learn"
        return None
