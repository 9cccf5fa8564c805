"""`BatchedSearch`: a scikit-learn search that fits its candidates side by side.

scikit-learn's searches run one fit after the other. Here, all fits run ahead, side by side. The
estimators that scikit-learn then clones, fits and scores are fitted already.
"""

import copy
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from numbers import Integral
from typing import Any, Self

import numpy as np
import torch
from joblib import effective_n_jobs, parallel_config
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval

from sklearn_tickets._estimators import pruner_of
from sklearn_tickets.model_selection._together import Outcome, Task, fit_together, make_parallel
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
        given, stand_in = self.estimator, clone(self.estimator)
        self._jobs = make_parallel(self.n_jobs), effective_n_jobs(self.n_jobs)
        self._fit_params: dict[str, Any] = {}
        # scikit-learn clones the estimator, then fits and scores clones of that clone.
        stand_in.__sklearn_clone__ = lambda: stand_in
        self.estimator = stand_in
        try:
            # The fitted estimators are in this process.
            with parallel_config(backend="sequential"):
                return super().fit(X, y, **params)
        finally:
            self.estimator = given
            del self._jobs, self._fit_params

    def _obstacle(self) -> str | None:
        """Say why scikit-learn's own search has to run; None if it does not."""
        pruner = pruner_of(self.estimator)
        if not isinstance(pruner, BasePruner):
            return "the estimator is neither a pruner nor a pipeline ending in one"
        owners = (self, self.estimator, pruner)
        if any(getattr(owner, "_skl_callbacks", None) for owner in owners):
            return "there are callbacks of scikit-learn"
        return None

    def _get_routed_params_for_fit(self, params: Mapping[str, Any]) -> Any:
        """Note the parameters that scikit-learn hands to each fit, where fits run ahead."""
        routed = super()._get_routed_params_for_fit(params)
        if hasattr(self, "_fit_params"):
            self._fit_params |= routed.estimator.fit
        return routed

    def _run_search(
        self, evaluate_candidates: Callable[..., dict[str, Any]], *, callback_ctx: Any = None
    ) -> None:
        """Let the fits run ahead of scikit-learn's evaluation of the candidates."""
        stand_in = self.estimator
        if "__sklearn_clone__" not in vars(stand_in):
            super()._run_search(evaluate_candidates, callback_ctx=callback_ctx)
            return
        template = copy.copy(stand_in)
        del template.__sklearn_clone__

        def evaluate(candidates: Any, **context: Any) -> dict[str, Any]:
            candidates = list(candidates)
            seconds: list[float] = []

            def split(X: Any, y: Any = None, **kwargs: Any) -> list[tuple[Any, Any]]:
                """Split as usual. All fits are known now, so they can run ahead."""
                splits = list(self._checked_cv_orig.split(X, y, **kwargs))
                tasks = [
                    Task(template, parameters, X, y, rows, self._fit_params)
                    for parameters, (rows, _) in product(candidates, splits)
                ]
                stand_in.__sklearn_clone__ = self._fit_ahead(tasks, seconds).__next__
                return splits

            cv = types.SimpleNamespace(split=split)
            results = evaluate_candidates(candidates, cv=cv, **context)
            times = np.reshape(seconds, (len(candidates), -1))
            results |= {"mean_fit_time": times.mean(axis=1), "std_fit_time": times.std(axis=1)}
            return results

        super()._run_search(evaluate, callback_ctx=callback_ctx)
        # The estimator that is refitted to all data is an ordinary one.
        del stand_in.__sklearn_clone__

    def _fit_ahead(self, tasks: Sequence[Task], seconds: list[float]) -> Iterator[BaseEstimator]:
        """Yield fitted estimators in order, and append their fit times to `seconds`."""
        for outcome in fit_together(tasks, *self._jobs, self.max_batch_bytes):
            seconds.append(outcome.seconds)
            yield _fitted(outcome)


def _fitted(outcome: Outcome) -> BaseEstimator:
    """Return a fitted estimator whose next ``set_params`` and ``fit`` have no effect."""
    estimator: Any = outcome.estimator

    def fit(X: Any, y: Any = None, **params: Any) -> BaseEstimator:
        del estimator.set_params, estimator.fit
        if outcome.error is not None:
            raise outcome.error
        return estimator

    estimator.set_params, estimator.fit = lambda **parameters: estimator, fit
    return estimator
