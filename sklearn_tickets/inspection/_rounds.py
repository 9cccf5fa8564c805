"""Comparison of the networks that a pruner trains in its rounds.

If each round ends near the one before, except for the pruned weights, then tickets win
because they find the dense network's solution again.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from torch import Tensor

from sklearn_tickets._estimators import find_pruner
from sklearn_tickets._network import plain_module
from sklearn_tickets.inspection._line import error_at, error_function, errors_on_line
from sklearn_tickets.metrics import ticket_overlap_score


@dataclass(frozen=True, repr=False, eq=False)
class RoundConnectivity:
    """The result of `round_connectivity`.

    The first four tables are symmetric. Networks are labeled by their round, 1 to R, and
    the trained ticket by ``"final"``.

    Parameters
    ----------
    barrier : DataFrame of shape (n_networks, n_networks)
        Largest error on the straight line between two networks minus the mean of its ends.
    angular_distance : DataFrame of shape (n_networks, n_networks)
        Angle between the weights that both keep, in right angles; NaN if there are none.
    sign_agreement : DataFrame of shape (n_networks, n_networks)
        Share of equal signs among the weights that both keep; NaN if there are none.
    mask_overlap : DataFrame of shape (n_networks, n_networks)
        Intersection over union of the masks after both rounds.
    weights : DataFrame of shape (n_networks, 5)
        For each network, the ``density`` at which it was trained; the ``threshold``, the
        largest magnitude pruned afterwards (NaN if none was); ``mean_magnitude`` and
        ``median_magnitude`` of the trained parameters; and the ``error``.
    trained : mapping of int or "final" to ndarray of shape (n_trained,)
        Trained values of each network's prunable parameters that were not pruned before.

    See Also
    --------
    RoundsDisplay : Plot the tables.
    """

    barrier: pd.DataFrame
    angular_distance: pd.DataFrame
    sign_agreement: pd.DataFrame
    mask_overlap: pd.DataFrame
    weights: pd.DataFrame
    trained: Mapping[Hashable, NDArray]

    def histogram(self, bins: int | ArrayLike = 50) -> pd.DataFrame:
        """Count the trained values of each network's parameters.

        Parameters
        ----------
        bins : int or array-like, default=50
            Number of equal bins over the values of all networks, or the edges of the bins.
            Values outside are not counted.

        Returns
        -------
        histogram : DataFrame of shape (n_bins, n_networks)
            The counts, indexed by intervals.
        """
        edges = np.histogram_bin_edges(np.concatenate(list(self.trained.values())), bins)
        counts = {name: np.histogram(values, edges)[0] for name, values in self.trained.items()}
        intervals = pd.IntervalIndex.from_breaks(edges, closed="left", name="value")
        return pd.DataFrame(counts, intervals).rename_axis(columns="round")

    def __repr__(self) -> str:
        largest = self.barrier.to_numpy().max()
        return f"RoundConnectivity({len(self.weights)} networks, largest barrier {largest:.3g})"


def round_connectivity(
    pruner: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_points: int = 20,
    metric: Callable[[NDArray, NDArray], float] | None = None,
    X_train: ArrayLike | None = None,
) -> RoundConnectivity:
    r"""Compare the networks that a pruner trained in its rounds.

    Parameters
    ----------
    pruner : fitted pruner, Pipeline or search
        A pruner that was fitted with ``store_rounds=True``, or a meta-estimator with one.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The inputs to measure errors on, such as test data.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.
    n_points : int, default=20
        Number of points on the line between two networks, both ends included.
    metric : callable ``(y_true, y_pred) -> float``, default=None
        The error; lower is better. If None, 1 - accuracy for classifiers and the mean squared
        error for regressors.
    X_train : array-like of shape (n_train_samples, ...), default=None
        The inputs to estimate the statistics of batch normalization on, for every network and
        point of a line. Pass the training data if there are such layers. If None, `X`.

    Returns
    -------
    connectivity : RoundConnectivity
        Tables of barriers, distances, signs, masks and weights. The trained ticket is the
        last network, ``"final"``, unless the pruner has ``train_ticket=False``.

    Raises
    ------
    NotFittedError
        If the pruner is not fitted.
    ValueError
        If the pruner has not stored its rounds, `X` and `y` have different lengths, or
        `n_points` is less than 2.

    See Also
    --------
    RoundsDisplay : Plot the tables as heat maps.

    Notes
    -----
    Let :math:`\theta_i` be the weights after the training of round :math:`i`, with those
    pruned before as 0, and :math:`m_i` the mask after the round. With the error :math:`E` and
    :math:`m = m_i \odot m_j`, the error barrier [1]_ is

    .. math:: \max_\alpha E((1 - \alpha) \theta_i + \alpha \theta_j)
       - \tfrac12 (E(\theta_i) + E(\theta_j))

    and the angular distance [2]_ is

    .. math:: \frac2\pi \angle(m \odot \theta_i, m \odot \theta_j),

    0 for equal directions, 1 for orthogonal ones (random vectors almost are) and 2 for
    opposite ones. Rounds that start from the same weights and change them little have small
    angles for this reason alone. Iterative magnitude pruning succeeds as long as there is no
    barrier between successive rounds [3]_.

    References
    ----------
    .. [1] Frankle, Dziugaite, Roy and Carbin, "Linear mode connectivity and the lottery
       ticket hypothesis", ICML 2020.
    .. [2] Maene, Li and Moens, "Towards understanding iterative magnitude pruning: why
       lottery tickets win", arXiv:2106.06955, 2021.
    .. [3] Paul, Chen, Larsen, Frankle, Ganguli and Dziugaite, "Unmasking the lottery ticket
       hypothesis: what's encoded in a winning ticket's mask?", ICLR 2023.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import IterativeMagnitudePruner
    >>> from sklearn_tickets.inspection import round_connectivity
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(400)
    >>> pruner = IterativeMagnitudePruner(
    ...     planted.make_net(max_epochs=2), sparsity=0.75, n_rounds=2, store_rounds=True,
    ...     random_state=0,
    ... ).fit(planted.X, planted.y)
    >>> rounds = round_connectivity(pruner, planted.X, planted.y, n_points=5)
    >>> rounds.mask_overlap.round(2)
    round    1     2  final
    round
    1      1.0   0.5    0.5
    2      0.5   1.0    1.0
    final  0.5   1.0    1.0
    >>> bool(rounds.angular_distance.loc[1, 2] < 0.5)
    True
    """
    found = find_pruner(pruner, "pruner")
    pruner = found.pruner
    if "state" not in pruner.rounds_[0]:
        raise ValueError(
            f"The {type(pruner).__name__} has not stored the weights of its rounds; fit it with "
            "store_rounds=True."
        )
    check_consistent_length(X, y)
    inputs = pruner._check_inputs(found.inputs(X))
    train_inputs = inputs if X_train is None else pruner._check_inputs(found.inputs(X_train))
    module = pruner.estimator_.module_
    evaluate = error_function(pruner, found.targets(y), metric)

    def barrier(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
        line = errors_on_line(
            module, a, b, inputs, evaluate, n_points=n_points, X_train=train_inputs
        )
        return line.barrier

    states = {record["round"]: record["state"] for record in pruner.rounds_}
    masks = [pruner.mask_ | ~pruner.mask_, *(record["mask"] for record in pruner.rounds_)]
    if pruner.train_ticket:
        states["final"] = plain_module(module).state_dict()
        masks.append(pruner.mask_)
    labels = pd.Index(list(states), name="round")
    kept = [mask.to_vector() for mask in masks]
    # Each network was trained with the mask before its round, and then pruned.
    before, after = kept[:-1], kept[1:]
    values = [
        np.concatenate([state[name].cpu().numpy().ravel() for name in pruner.mask_])
        for state in states.values()
    ]

    tables = np.zeros((4, len(labels), len(labels)))
    for i, j in combinations_with_replacement(range(len(labels)), 2):
        both = after[i] & after[j]
        u, v = values[i][both], values[j][both]
        tables[:, i, j] = tables[:, j, i] = (
            0 if i == j else barrier(states[labels[i]], states[labels[j]]),
            _angular_distance(u, v),
            (np.sign(u) == np.sign(v)).mean() if both.any() else np.nan,
            ticket_overlap_score(masks[i + 1], masks[j + 1]),
        )
    barriers, distances, signs, overlaps = (pd.DataFrame(t, labels, labels) for t in tables)

    trained = {label: w[used] for label, w, used in zip(labels, values, before, strict=True)}
    pruned = [w[used & ~left] for w, used, left in zip(values, before, after, strict=True)]
    weights = pd.DataFrame(
        {
            "density": [used.mean() for used in before],
            "threshold": [np.abs(w).max() if w.size else np.nan for w in pruned],
            "mean_magnitude": [np.abs(w).mean() for w in trained.values()],
            "median_magnitude": [np.median(np.abs(w)) for w in trained.values()],
            "error": [
                error_at(module, state, inputs, evaluate, X_train=train_inputs)
                for state in states.values()
            ],
        },
        labels,
    )
    return RoundConnectivity(barriers, distances, signs, overlaps, weights, trained)


def _angular_distance(u: NDArray, v: NDArray) -> float:
    """Return the angle between two vectors in right angles; NaN if one of them is 0."""
    u, v = u.astype(np.float64), v.astype(np.float64)
    lengths = np.linalg.norm(u), np.linalg.norm(v)
    if 0 in lengths:
        return np.nan
    u, v = u / lengths[0], v / lengths[1]
    # Unlike the arc cosine, this is accurate for small angles.
    return 4 / np.pi * np.arctan2(np.linalg.norm(u - v), np.linalg.norm(u + v))
