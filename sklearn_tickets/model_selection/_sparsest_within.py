"""`sparsest_within`: a rule that selects the sparsest candidate of a search that is good enough."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import sem

from sklearn_tickets._cv_results import score_columns, sparsity_parameter

Kind = Literal["absolute", "relative", "standard-error"]


@dataclass(frozen=True)
class sparsest_within:  # noqa: N801, like scikit-learn's make_column_selector
    r"""Select the sparsest candidate whose mean score is within a tolerance of the best.

    Pass it as ``refit`` to a search of scikit-learn or of this library. As with every callable
    there, the search has ``best_estimator_``, ``best_params_`` and ``best_index_``, but no
    ``best_score_`` and, with several scores, no ``score``.

    Parameters
    ----------
    tolerance : float, default=0.0
        How much may be lost, at least 0.
    kind : {"absolute", "relative", "standard-error"}, default="absolute"
        What the tolerance is a multiple of: 1 in units of the score, the magnitude of the best
        score, or the standard error of the best score over the folds.
    metric : str, default="score"
        The name of the score, if the search has several.
    sparsity : str or None, default=None
        The column of ``cv_results_`` to maximize, such as ``"mean_test_effective"`` for a scorer
        `effective_sparsity` named ``"effective"``. If None, the parameter ``sparsity`` of the
        candidates, also if it is part of another estimator (``pruner__sparsity``).

    Raises
    ------
    ValueError
        If `tolerance` is not a finite number of at least 0, or `kind` is unknown. When it
        selects: if the search lacks the metric or the column, has no candidate with a finite
        score, or was not over one sparsity; for standard errors, if there is only one fold.

    See Also
    --------
    sklearn_tickets.inspection.SparsityCurveDisplay.from_cv_results : Plot what it selects from.

    Notes
    -----
    With mean scores :math:`s_i` and :math:`b = \arg\max_i s_i`, the sparsest is taken of all
    candidates with :math:`s_i \ge s_b - \text{tolerance} \cdot u`, where :math:`u` is 1,
    :math:`|s_b|` or, for n folds,

    .. math:: \frac{1}{\sqrt n} \sqrt{\frac{1}{n - 1} \sum_{k=1}^n (s_{bk} - s_b)^2}.

    So ``sparsest_within(1, kind="standard-error")`` is the one-standard-error rule [1]_. Among
    equally sparse candidates, the best is selected, and the first of equals. A score that misses
    the bound by rounding only is within it.

    Candidates without a finite mean score are left out, and so are those of earlier iterations
    of a halving search. Note that scikit-learn's halving searches accept a callable ``refit``,
    but do not call it: call the rule on their ``cv_results_``.

    References
    ----------
    .. [1] L. Breiman, J. Friedman, R. Olshen and C. Stone, "Classification and regression
       trees", 1984, section 3.4.3.

    Examples
    --------
    >>> from sklearn_tickets.model_selection import sparsest_within
    >>> cv_results = {
    ...     "params": [{"sparsity": 0.5}, {"sparsity": 0.9}, {"sparsity": 0.99}],
    ...     "mean_test_score": [0.97, 0.96, 0.7],
    ... }
    >>> sparsest_within(0.01)(cv_results)
    1
    >>> sparsest_within(0.5, kind="relative")
    sparsest_within(tolerance=0.5, kind='relative', metric='score', sparsity=None)
    """

    tolerance: float = 0.0
    _: KW_ONLY
    kind: Kind = "absolute"
    metric: str = "score"
    sparsity: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}; got {self.kind!r}.")
        if not isinstance(self.tolerance, Real) or not 0 <= self.tolerance < np.inf:
            raise ValueError(
                f"tolerance must be a finite number of at least 0; got {self.tolerance!r}. For the "
                "one-standard-error rule, pass tolerance=1 and kind='standard-error'."
            )

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Return the index of the selected candidate.

        Parameters
        ----------
        cv_results : dict
            The ``cv_results_`` of a search.

        Returns
        -------
        best_index : int
            The index.
        """
        scores, sparsities = self._scores(cv_results), self._sparsities(cv_results)
        iterations = np.asarray(cv_results.get("iter", np.zeros(len(scores))))
        is_last = iterations == iterations.max()
        candidates = np.flatnonzero(is_last & np.isfinite(scores) & np.isfinite(sparsities))
        if not len(candidates):
            raise ValueError(
                f"No candidate has a finite mean score (metric={self.metric!r}) and sparsity. Look "
                "for failed fits with error_score='raise'."
            )
        best = candidates[scores[candidates].argmax()]
        bound = scores[best] - self.tolerance * self._unit(cv_results, scores, best)
        rounding = 1e-12 * max(1, abs(scores[best]))
        good = candidates[scores[candidates] >= bound - rounding]
        return int(min(good, key=lambda i: (-sparsities[i], -scores[i], i)))

    def _scores(self, cv_results: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the mean score of each candidate."""
        (column,) = score_columns(cv_results, "mean", self.metric, "metric")
        return np.asarray(cv_results[column], dtype=np.float64)

    def _sparsities(self, cv_results: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return the sparsity of each candidate; NaN if it is unknown."""
        if self.sparsity is None:
            params = cv_results["params"]
            values = [each[sparsity_parameter(each, i)] for i, each in enumerate(params)]
            return np.array(values, dtype=np.float64)
        if self.sparsity not in cv_results:
            known = [key for key in cv_results if key.startswith(("param_", "mean_test_"))]
            raise ValueError(
                f"cv_results has no column sparsity={self.sparsity!r}; choose from "
                f"{', '.join(known)}."
            )
        column: np.ma.MaskedArray = np.ma.asarray(cv_results[self.sparsity], dtype=object)
        return column.filled(np.nan).astype(np.float64)

    def _unit(self, cv_results: Mapping[str, Any], scores: NDArray[np.float64], best: int) -> float:
        """Return what the tolerance is a multiple of."""
        if self.kind != "standard-error":
            return abs(scores[best]) if self.kind == "relative" else 1.0
        columns = score_columns(cv_results, r"split\d+", self.metric, "metric")
        folds = [cv_results[column][best] for column in columns]
        if len(folds) < 2:
            raise ValueError(
                f"kind='standard-error' needs the scores of at least two folds; got {len(folds)}."
            )
        return sem(folds)
