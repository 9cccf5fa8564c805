"""`BatchedGridSearchCV` and `BatchedRandomizedSearchCV`: searches that train candidates together.

scikit-learn's searches ask for one fit after the other. Here, fits run ahead of it, many side by
side, and what scikit-learn then sets up, fits and scores is fitted already.
"""

import copy
import types
from collections.abc import Iterator
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from joblib import effective_n_jobs, parallel_config
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval
from sklearn.utils.parallel import Parallel

from sklearn_tickets.model_selection._fit import pruner_of
from sklearn_tickets.model_selection._together import LOGGER, Outcome, Task, fit_together

_LIMIT = {"max_batch_bytes": [Interval(Integral, 1, None, closed="left")]}


class _BatchedSearch(BaseSearchCV):
    """What both searches do."""

    estimator: BaseEstimator
    max_batch_bytes: int

    def fit(self, X, y=None, **params):
        """Run the search.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or regression targets.
        **params : dict
            ``groups`` for the splitter; with anything else, fits are not stacked.

        Returns
        -------
        self : object
            The fitted search.
        """
        if obstacle := self._obstacle(params):
            LOGGER.info("%s stacks no fits: %s.", type(self).__name__, obstacle)
            return super().fit(X, y, **params)
        given, stand_in = self.estimator, clone(self.estimator)
        self._jobs = Parallel(self.n_jobs, return_as="generator"), effective_n_jobs(self.n_jobs)
        # scikit-learn clones the estimator, and clones of the clone are what it fits and scores.
        stand_in.__sklearn_clone__ = lambda: stand_in
        self.estimator = stand_in
        try:
            # Fits that ran ahead are here, not in other processes.
            with parallel_config(backend="sequential"):
                return super().fit(X, y, **params)
        finally:
            self.estimator = given
            del self._jobs

    def _obstacle(self, params):
        """What speaks for scikit-learn's own search, or None."""
        pruner = pruner_of(self.estimator)
        if pruner is None:
            return "the estimator is neither a pruner nor a pipeline ending in one"
        owners = (self, self.estimator, pruner)
        if any(getattr(owner, "_skl_callbacks", None) for owner in owners):
            return "there are callbacks of scikit-learn"
        if params.keys() - {"groups"}:
            return "there are parameters of fit"
        return None

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        stand_in = self.estimator
        if "__sklearn_clone__" not in vars(stand_in):
            super()._run_search(evaluate_candidates, callback_ctx=callback_ctx)
            return
        template = copy.copy(stand_in)
        del template.__sklearn_clone__

        def evaluate(candidates, **context):
            candidates = list(candidates)
            seconds: list[float] = []

            def split(X, y=None, **kwargs):
                """Split as ever; now that all fits are known, they can run ahead."""
                splits = list(self._checked_cv_orig.split(X, y, **kwargs))
                fits = self._fit_ahead(template, candidates, splits, X, y, seconds)
                stand_in.__sklearn_clone__ = fits.__next__
                return splits

            cv = types.SimpleNamespace(split=split)
            results = evaluate_candidates(candidates, cv=cv, **context)
            times = np.reshape(seconds, (len(candidates), -1))
            results |= {"mean_fit_time": times.mean(axis=1), "std_fit_time": times.std(axis=1)}
            return results

        super()._run_search(evaluate, callback_ctx=callback_ctx)
        # The estimator that is fitted to all data is an ordinary one.
        del stand_in.__sklearn_clone__

    def _fit_ahead(self, template, candidates, splits, X, y, seconds) -> Iterator[BaseEstimator]:
        """Yield fitted estimators, in order, and note how long they took."""
        tasks = [
            Task(template, parameters, X, y, rows)
            for parameters, (rows, _) in product(candidates, splits)
        ]
        for outcome in fit_together(tasks, *self._jobs, self.max_batch_bytes):
            seconds.append(outcome.seconds)
            yield _fitted_once(outcome)


def _fitted_once(outcome: Outcome) -> BaseEstimator:
    """An estimator that lets itself be set up and fitted once more, to no effect."""
    estimator: Any = outcome.estimator

    def fit(X, y=None):
        del estimator.set_params, estimator.fit
        if outcome.error is not None:
            raise outcome.error
        return estimator

    estimator.set_params, estimator.fit = lambda **parameters: estimator, fit
    return estimator


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
    r"""Grid search that trains candidates and folds together, as one network.

    It finds what scikit-learn's ``GridSearchCV`` finds, with the same parameters and
    attributes. Small networks keep no processor busy; stacked, as in [1]_, many of them take
    little longer than a few. All fits go from training to training side by side, and each is
    trained from its own weights, under its own mask, on its own fold, in its own order of
    batches and with its own learning rate and penalty.

    Parameters
    ----------
    estimator : pruner or Pipeline
        A pruner, or a pipeline that ends in one.
    param_grid : dict or list of dict
        Values to try, by name of parameter, as in scikit-learn.
    scoring : str, callable, list, tuple or dict, default=None
        What is measured; None takes the estimator's ``score``.
    n_jobs : int or None, default=None
        Number of processes, as in scikit-learn.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all data, and by which metric it is the best.
    cv : int, splitter or iterable, default=None
        The folds; None takes five.
    verbose : int, default=0
        How much scikit-learn prints.
    pre_dispatch : int or str, default="2*n_jobs"
        For scikit-learn's own search, which takes over if nothing can be stacked.
    error_score : "raise" or float, default=nan
        The score of a fit that fails, or to raise its error.
    return_train_score : bool, default=False
        Whether to score on the folds' training data, too.
    max_batch_bytes : int, default=2**30
        Limit of the memory for fits whose training waits or runs: weights, gradients,
        optimizer state and data, of all jobs together. More fits than go into it are trained
        in several batches.

    Attributes
    ----------
    cv_results_ : dict
        As in scikit-learn. The time of a fit is its own, and its share of the stacks'.
    best_estimator_ : estimator
        The best candidate, fitted to all data in the ordinary way.
    best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in scikit-learn.

    See Also
    --------
    BatchedRandomizedSearchCV : Draws candidates from distributions.

    Notes
    -----
    Networks do not meet in a stack: of the sum of their losses L, the gradient at the weights
    :math:`\theta_i` of network i is

    .. math:: \nabla_{\theta_i} \sum_j L_j(\theta_j) = \nabla L_i(\theta_i),

    and optimizers work weight by weight. So scores are scikit-learn's but for rounding, and on
    the CPU, of networks of linear layers, mostly the same to the last bit.

    Trainings of rounds and of tickets are stacked if their networks, numbers of samples and
    epochs, batch sizes, losses and kinds of optimizer are the same, if there are three of them
    at least, and if a stack is known to compute the same:

    - skorch's plain classifier or regressor, without callbacks or ``train_split``, and with
      its default iterator, on the CPU or a GPU;
    - cross-entropy or squared error, and SGD, Adam or AdamW;
    - no batch normalization, nothing random in the module, and no hooks;
    - trainings of the weights. Masks that are learned are learned one after the other.

    All else is trained in the ordinary way; why is logged once at level INFO, by the logger
    ``"sklearn_tickets"``. A stack that memory does not suffice for is split in two. With several
    jobs, each gets its share of the fits, and trains stacks of its own.

    References
    ----------
    .. [1] S. Wang, P. Yang, Y. Zheng, X. Li and G. Pekhimenko, "Horizontally Fused Training
       Array: An Effective Hardware Utilization Squeezer for Training Novel Deep Learning
       Models", MLSys 2021. arXiv:2102.02344.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> from sklearn_tickets.model_selection import BatchedGridSearchCV
    >>> planted = PlantedTicketGenerator(width=20, random_state=0).generate(300)
    >>> pruner = MagnitudePruner(planted.make_net(max_epochs=2), random_state=0)
    >>> search = BatchedGridSearchCV(
    ...     pruner, {"sparsity": [0.2, 0.5], "scope": ["global", "layer"]}, cv=3
    ... )
    >>> search.fit(planted.X, planted.y).cv_results_["mean_test_score"].shape
    (4,)
    """

    _parameter_constraints = GridSearchCV._parameter_constraints | _LIMIT

    def __init__(
        self,
        estimator,
        param_grid,
        *,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        error_score=np.nan,
        return_train_score=False,
        max_batch_bytes=2**30,
    ):
        super().__init__(
            estimator,
            param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_batch_bytes = max_batch_bytes


class BatchedRandomizedSearchCV(_BatchedSearch, RandomizedSearchCV):
    """Randomized search that trains candidates and folds together, as one network.

    As `BatchedGridSearchCV`, but candidates are drawn, the same as by scikit-learn's
    ``RandomizedSearchCV`` with the same `random_state`.

    Parameters
    ----------
    estimator : pruner or Pipeline
        A pruner, or a pipeline that ends in one.
    param_distributions : dict or list of dict
        Values or distributions to draw from, by name of parameter, as in scikit-learn.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        What is measured; None takes the estimator's ``score``.
    n_jobs : int or None, default=None
        Number of processes, as in scikit-learn.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all data, and by which metric it is the best.
    cv : int, splitter or iterable, default=None
        The folds; None takes five.
    verbose : int, default=0
        How much scikit-learn prints.
    pre_dispatch : int or str, default="2*n_jobs"
        For scikit-learn's own search, which takes over if nothing can be stacked.
    random_state : int, RandomState or None, default=None
        Draws the candidates.
    error_score : "raise" or float, default=nan
        The score of a fit that fails, or to raise its error.
    return_train_score : bool, default=False
        Whether to score on the folds' training data, too.
    max_batch_bytes : int, default=2**30
        Limit of the memory for fits whose training waits or runs: weights, gradients,
        optimizer state and data, of all jobs together. More fits than go into it are trained
        in several batches.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_
        As of `BatchedGridSearchCV`.

    See Also
    --------
    BatchedGridSearchCV : Tries all values; says what is stacked, and what is not.

    Examples
    --------
    >>> from scipy.stats import uniform
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> from sklearn_tickets.model_selection import BatchedRandomizedSearchCV
    >>> planted = PlantedTicketGenerator(width=20, random_state=0).generate(300)
    >>> pruner = MagnitudePruner(planted.make_net(max_epochs=2), random_state=0)
    >>> search = BatchedRandomizedSearchCV(
    ...     pruner, {"sparsity": uniform(0, 0.9)}, n_iter=3, cv=3, random_state=0
    ... )
    >>> len(search.fit(planted.X, planted.y).cv_results_["params"])
    3
    """

    _parameter_constraints = RandomizedSearchCV._parameter_constraints | _LIMIT

    def __init__(
        self,
        estimator,
        param_distributions,
        *,
        n_iter=10,
        scoring=None,
        n_jobs=None,
        refit=True,
        cv=None,
        verbose=0,
        pre_dispatch="2*n_jobs",
        random_state=None,
        error_score=np.nan,
        return_train_score=False,
        max_batch_bytes=2**30,
    ):
        super().__init__(
            estimator,
            param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.max_batch_bytes = max_batch_bytes
