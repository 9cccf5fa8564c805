"""`BatchedGridSearchCV` and `BatchedRandomizedSearchCV`: searches that train networks as one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from sklearn_tickets.model_selection._base_search import BATCH_CONSTRAINTS, BatchedSearch


class BatchedGridSearchCV(BatchedSearch, GridSearchCV):
    r"""Grid search that trains candidates and folds together, as one network.

    The parameters, attributes and results are those of scikit-learn's ``GridSearchCV``. Small
    networks do not keep a processor busy; stacked, as in [1]_, many of them take little longer
    than a few. All fits advance from training to training side by side. Each network has its
    own weights, mask, fold, order of batches, learning rate and penalty. Pruners that learn their
    masks are stacked, too, so that one network can be searched from many initial scores, or with
    many penalties, side by side.

    Parameters
    ----------
    estimator : pruner or Pipeline
        A pruner, or a pipeline that ends in one, also in a ``TransformedTargetRegressor``.
    param_grid : dict or list of dict
        Values to try for each parameter, as in scikit-learn.
    scoring : str, callable, list, tuple or dict, default=None
        The metrics; None uses the estimator's ``score``.
    n_jobs : int or None, default=None
        Number of processes, as in scikit-learn.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all data, and which metric or rule decides, such as
        `sparsest_within`.
    cv : int, splitter or iterable, default=None
        The folds; None uses five.
    verbose : int, default=0
        How much scikit-learn prints.
    pre_dispatch : int or str, default="2*n_jobs"
        Used by scikit-learn's own search, which runs if nothing can be stacked.
    error_score : "raise" or float, default=nan
        The score of a fit that fails; "raise" raises its error.
    return_train_score : bool, default=False
        Whether to score on the training data of the folds as well.
    max_batch_bytes : int, default=2**30
        Memory limit for the fits in progress, over all jobs: their weights, gradients,
        optimizer states and data. If the fits need more, they are trained in several batches.

    Attributes
    ----------
    cv_results_ : dict
        As in scikit-learn. The time of a fit includes its share of the time of the stacks.
    best_estimator_ : estimator
        The best candidate, fitted to all data without a stack.
    best_score_, best_params_, best_index_, scorer_, n_splits_, refit_time_, multimetric_
        As in scikit-learn.

    See Also
    --------
    BatchedRandomizedSearchCV : Draws candidates from distributions.

    Notes
    -----
    The networks in a stack do not affect each other. The gradient of the sum of their losses L
    with respect to the weights :math:`\theta_i` of network i is

    .. math:: \nabla_{\theta_i} \sum_j L_j(\theta_j) = \nabla L_i(\theta_i),

    and optimizers treat each weight separately. So the scores equal scikit-learn's up to
    rounding; on the CPU, with networks of linear layers, most are equal to the last bit.

    At least three trainings of rounds or of tickets are stacked if their networks, numbers of
    batches and epochs, batch sizes, losses and kinds of optimizer are the same, and if a stack
    is known to compute the same:

    - skorch's own classifier or regressor with the default iterator, on the CPU or a GPU;
    - no callbacks but those that read an epoch's results (``PrintLog``, ``ProgressBar``,
      ``PassthroughScoring``, and ``EpochScoring`` with caching), which are called when the stack
      is done;
    - as ``train_split`` None, or a ``ValidSplit`` with a whole number of folds or with a
      ``random_state``; where epochs are scored, rows have no weights, and the weights, gates and
      scored outputs of each epoch are kept;
    - cross-entropy or squared error, and SGD, Adam or AdamW;
    - no randomness in the module, no hooks, and buffers that are changed in place, as by batch
      normalization;
    - weights, or masks that gates learn: each network has its own scores, noise, schedules, penalty
      and `mask_lr`, and learns the same mask as alone. Only kinds of gates are not mixed, nor
      numbers of samples while masks are learned; on a GPU, masks are learned one by one, as is that
      of `RigLPruner`.

    All other trainings run one by one. Equal trainings, such as the first rounds of candidates
    that differ in their sparsity only, run once, and so do the gradients that their first scores
    are computed from. On the CPU, stacks are as large as its cache. If none can be stacked, a
    warning names the reasons; otherwise they are logged once, at level INFO by the logger
    ``"sklearn_tickets"``. A stack that does not fit into memory is split in two. With several jobs,
    each gets its share of the fits, trains stacks of its own, and scores them.

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

    _parameter_constraints = GridSearchCV._parameter_constraints | BATCH_CONSTRAINTS

    def __init__(
        self,
        estimator: BaseEstimator,
        param_grid: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        max_batch_bytes: int = 2**30,
    ) -> None:
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


class BatchedRandomizedSearchCV(BatchedSearch, RandomizedSearchCV):
    """Randomized search that trains candidates and folds together, as one network.

    Like `BatchedGridSearchCV`, but candidates are drawn at random. They are the same as those of
    scikit-learn's ``RandomizedSearchCV`` with the same `random_state`.

    Parameters
    ----------
    estimator : pruner or Pipeline
        A pruner, or a pipeline that ends in one, also in a ``TransformedTargetRegressor``.
    param_distributions : dict or list of dict
        Values or distributions to draw each parameter from, as in scikit-learn.
    n_iter : int, default=10
        Number of candidates.
    scoring : str, callable, list, tuple or dict, default=None
        The metrics; None uses the estimator's ``score``.
    n_jobs : int or None, default=None
        Number of processes, as in scikit-learn.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate to all data, and which metric or rule decides, such as
        `sparsest_within`.
    cv : int, splitter or iterable, default=None
        The folds; None uses five.
    verbose : int, default=0
        How much scikit-learn prints.
    pre_dispatch : int or str, default="2*n_jobs"
        Used by scikit-learn's own search, which runs if nothing can be stacked.
    random_state : int, RandomState or None, default=None
        Seed for drawing the candidates.
    error_score : "raise" or float, default=nan
        The score of a fit that fails; "raise" raises its error.
    return_train_score : bool, default=False
        Whether to score on the training data of the folds as well.
    max_batch_bytes : int, default=2**30
        Memory limit for the fits in progress, over all jobs: their weights, gradients,
        optimizer states and data. If the fits need more, they are trained in several batches.

    Attributes
    ----------
    cv_results_, best_estimator_, best_score_, best_params_, best_index_
        As in `BatchedGridSearchCV`.

    See Also
    --------
    BatchedGridSearchCV : Tries all values, and describes what is stacked.

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

    _parameter_constraints = RandomizedSearchCV._parameter_constraints | BATCH_CONSTRAINTS

    def __init__(
        self,
        estimator: BaseEstimator,
        param_distributions: Mapping[str, Any] | Sequence[Mapping[str, Any]],
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool | str | Callable[..., int] = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: int | np.random.RandomState | None = None,
        error_score: float | Literal["raise"] = np.nan,
        return_train_score: bool = False,
        max_batch_bytes: int = 2**30,
    ) -> None:
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
