"""`BatchedGridSearchCV` and `BatchedRandomizedSearchCV`: searches that train candidates together.

scikit-learn's searches ask for one fit after the other. Here, fits run ahead of it: each goes
as far as its ticket's training, the trainings of many are done as one, and what scikit-learn
then sets up, fits and scores is fitted already.
"""

import copy
import logging
import time
import types
from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs, parallel_config
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import Interval
from sklearn.utils.metaestimators import _safe_split

from sklearn_tickets.model_selection._fit import Fit, pruner_of
from sklearn_tickets.model_selection._stack import Stack, Trained

_LOGGER = logging.getLogger("sklearn_tickets")
# Smaller stacks are slower than skorch.
_SMALLEST = 3
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
        pruner = pruner_of(self.estimator)
        obstacles = {
            "the estimator is neither a pruner nor a pipeline ending in one": pruner is None,
            "there are callbacks of scikit-learn": any(
                getattr(owner, "_skl_callbacks", None) for owner in (self, self.estimator, pruner)
            ),
            "there are parameters of fit": bool(params.keys() - {"groups"}),
        }
        for obstacle, is_there in obstacles.items():
            if is_there:
                _LOGGER.info("%s stacks no fits: %s.", type(self).__name__, obstacle)
                return super().fit(X, y, **params)
        given, stand_in = self.estimator, clone(self.estimator)
        # scikit-learn clones the estimator, and clones of the clone are what it fits and scores.
        stand_in.__sklearn_clone__ = lambda: stand_in
        self.estimator = stand_in
        try:
            # One after the other: fits that ran ahead are here, not in other processes.
            with parallel_config(backend="sequential"):
                return super().fit(X, y, **params)
        finally:
            self.estimator = given

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
                tasks = [*product(candidates, splits)]
                fits = self._fit_ahead(template, tasks, X, y, seconds)
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

    def _fit_ahead(
        self,
        template: BaseEstimator,
        tasks: list[tuple[dict[str, Any], tuple]],
        X: Any,
        y: Any,
        seconds: list[float],
    ) -> Iterator[BaseEstimator]:
        """Yield fitted estimators, in order; as many at a time are fitted as memory allows."""
        obstacles: dict[bytes, str | None] = {}
        told: set[str | None] = {None}
        waiting: list[Fit] = []
        n_bytes = 0
        for i, (parameters, (train, _)) in enumerate(tasks, 1):
            fit = Fit(clone(template).set_params(**clone(parameters, safe=False)), obstacles)
            fit.run(*_safe_split(fit.estimator, X, y, train))
            if fit.obstacle not in told:
                told.add(fit.obstacle)
                _LOGGER.info("%s does not stack fits: %s.", type(self).__name__, fit.obstacle)
            waiting.append(fit)
            n_bytes += fit.training.n_bytes if fit.training else 0
            if not 0 < n_bytes < self.max_batch_bytes or i == len(tasks):
                self._train(waiting)
                for fit in waiting:
                    seconds.append(fit.seconds)
                    yield fit.hand_out()
                waiting, n_bytes = [], 0

    def _train(self, fits: list[Fit]) -> None:
        """Train what has been put off, in stacks side by side."""
        waiting = [(fit.training, fit) for fit in fits if fit.training]
        groups = defaultdict(list)
        for training, fit in sorted(waiting, key=lambda pair: repr(pair[0].settings)):
            groups[training.key].append(fit)
        with parallel_config("threading"):
            n_jobs = effective_n_jobs(self.n_jobs)
            stacks = []
            for group in groups.values():
                n_stacks = max(1, min(n_jobs, len(group) // _SMALLEST))
                stacks += [group[i::n_stacks] for i in range(n_stacks)]
            Parallel(n_jobs=n_jobs)(delayed(_train_stack)(stack) for stack in stacks)


def _train_stack(fits: list[Fit]) -> None:
    """Train as one network, or one by one if they are few or something goes wrong."""
    began = time.perf_counter()
    trained: list[Trained | None] = [None] * len(fits)
    if len(fits) >= _SMALLEST:
        try:
            trained = [*Stack([fit.training for fit in fits if fit.training]).train()]
            _LOGGER.debug("Trained %d fits as one network.", len(fits))
        except Exception as error:
            _LOGGER.info("%d fits are trained one by one: %s", len(fits), error)
    for fit in fits:
        fit.seconds += (time.perf_counter() - began) / len(fits)
    for fit, outcome in zip(fits, trained, strict=True):
        fit.finish(outcome)


class BatchedGridSearchCV(_BatchedSearch, GridSearchCV):
    r"""Grid search that trains candidates and folds together, as one network.

    It finds what scikit-learn's ``GridSearchCV`` finds, with the same parameters and
    attributes. Small networks keep no processor busy; stacked, as in [1]_, many of them take
    little longer than a few. For every fit, the pruner looks for its ticket as ever;
    then the tickets of all fits are trained at once, each from its own weights, under its own
    mask, on its own fold, in its own order of batches and with its own learning rate.

    Parameters
    ----------
    estimator : pruner or Pipeline
        A pruner, or a pipeline that ends in one.
    param_grid : dict or list of dict
        Values to try, by name of parameter, as in scikit-learn.
    scoring : str, callable, list, tuple or dict, default=None
        What is measured; None takes the estimator's ``score``.
    n_jobs : int or None, default=None
        Number of stacks trained side by side, in threads.
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
        optimiser state and data. More fits than go into it are stacked in several batches.

    Attributes
    ----------
    cv_results_ : dict
        As in scikit-learn. The time of a fit is that of its search for the ticket, and its
        share of the stack's.
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

    and optimisers work weight by weight. So scores are scikit-learn's but for rounding, and on
    the CPU, of networks of linear layers, mostly the same to the last bit.

    Fits are stacked if their networks, numbers of samples and epochs, batch sizes, losses and
    kinds of optimiser are the same, if there are three of them at least, and if a stack is
    known to compute the same:

    - skorch's plain classifier or regressor, without callbacks or ``train_split``, and with
      its default iterator, on the CPU or a GPU;
    - cross-entropy or squared error, and SGD, Adam or AdamW;
    - no batch normalisation, nothing random in the module, and no hooks;
    - one set of weights to start from, not a state of the optimiser: not ``rewind_epoch=k``.

    All other fits are ordinary ones; why is logged once at level INFO, by the logger
    ``"sklearn_tickets"``. The training in rounds is an ordinary one, too. Such fits run one
    after the other: where nothing is stacked, ``GridSearchCV`` with `n_jobs` is faster.

    References
    ----------
    .. [1] S. Wang, P. Yang, Y. Zheng, X. Li and G. Pekhimenko, "Horizontally Fused Training
       Array: An Effective Hardware Utilization Squeezer for Training Novel Deep Learning
       Models", MLSys 2021. arXiv:2102.02344.

    Examples
    --------
    >>> from sklearn_tickets import MagnitudePruner, PlantedTicketGenerator
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
    """Randomised search that trains candidates and folds together, as one network.

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
        Number of stacks trained side by side, in threads.
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
        optimiser state and data. More fits than go into it are stacked in several batches.

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
    >>> from sklearn_tickets import MagnitudePruner, PlantedTicketGenerator
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
