"""Linear mode connectivity: the error on the straight line between two networks."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_consistent_length
from torch import nn

from sklearn_tickets._network import plain_module
from sklearn_tickets.inspection._labeled import labeled
from sklearn_tickets.inspection._line import (
    ModeConnectivity,
    error_function,
    errors_on_line,
    find_network,
)
from sklearn_tickets.inspection._style import Display, add_legend, styles, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def linear_mode_connectivity(
    a: BaseEstimator,
    b: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_points: int = 30,
    metric: Callable[[NDArray, NDArray], float] | None = None,
    X_train: ArrayLike | None = None,
) -> ModeConnectivity:
    r"""Measure the error on the straight line between the weights of two networks.

    Two networks without an error barrier between them lie in one linearly connected valley
    of the loss. All parameters are interpolated, with pruned ones as 0.

    Parameters
    ----------
    a, b : fitted pruner, Pipeline, search or skorch net
        The ends of the line, of the same architecture. `a` defines the predictions, and its
        pipeline transforms the data.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The inputs to measure the error on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The labels or targets of a pruner, or the class indices of a skorch classifier.
    n_points : int, default=30
        Number of evenly spaced points on the line, at least 2, both ends included.
    metric : callable ``(y_true, y_pred) -> float``, default=None
        The error; lower is better. If None, 1 - accuracy for classifiers and the mean squared
        error for regressors.
    X_train : array-like of shape (n_train_samples, ...), default=None
        The inputs to estimate the statistics of batch normalization on, again at every point
        and both ends. Pass the training data if there are such layers. If None, `X`.

    Returns
    -------
    connectivity : ModeConnectivity
        The errors and their barrier.

    Raises
    ------
    NotFittedError
        If `a` or `b` is not fitted.
    TypeError
        If `a` or `b` is neither a net nor a meta-estimator with one pruner.
    ValueError
        If the architectures or the pruners' classes differ, or `n_points` is less than 2.

    See Also
    --------
    ConnectivityDisplay : Plot the errors.
    instability_analysis : Barriers between copies that are trained differently.

    Notes
    -----
    With :math:`E(\alpha)` the error at :math:`(1 - \alpha) \theta_a + \alpha \theta_b`, the
    barrier [1]_ is :math:`\max_\alpha E(\alpha) - \tfrac{1}{2} (E(0) + E(1))`.

    References
    ----------
    .. [1] Frankle, Dziugaite, Roy and Carbin, "Linear mode connectivity and the lottery
       ticket hypothesis", ICML 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner
    >>> from sklearn_tickets.inspection import linear_mode_connectivity
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(500)
    >>> net = planted.make_net(max_epochs=2)
    >>> a, b = (
    ...     MagnitudePruner(net, sparsity=0.5, random_state=seed).fit(planted.X, planted.y)
    ...     for seed in (0, 1)
    ... )
    >>> linear_mode_connectivity(a, b, planted.X, planted.y).is_stable()
    True
    """
    found, b = find_network(a, "a"), find_network(b, "b").pruner
    a = found.pruner
    module = _fitted_module(a, "a")
    state_a, state_b = module.state_dict(), _fitted_module(b, "b").state_dict()
    for name in state_a | state_b:
        in_a, in_b = (
            tuple(state[name].shape) if name in state else "missing" for state in (state_a, state_b)
        )
        if in_a != in_b:
            raise ValueError(
                f"a and b must have the same architecture; {name!r} is {in_a} in a and {in_b} in b."
            )
    labels = [list(p.classes_) for p in (a, b) if hasattr(p, "mask_") and is_classifier(p)]
    if len(labels) == 2 and labels[0] != labels[1]:
        raise ValueError(
            f"a and b must have the same classes; a has {labels[0]} and b has {labels[1]}."
        )
    check_consistent_length(X, y)
    X = _check_inputs(a, found.inputs(X))
    X_train = X if X_train is None else _check_inputs(a, found.inputs(X_train))
    evaluate = error_function(a, found.targets(y), metric)
    return errors_on_line(module, state_a, state_b, X, evaluate, n_points=n_points, X_train=X_train)


def _fitted_module(estimator: BaseEstimator, name: str) -> nn.Module:
    """Return the trained module of a pruner or net, the argument `name`."""
    net = getattr(estimator, "estimator_", estimator)
    if not net.initialized_:
        raise NotFittedError(
            f"{name} must be a fitted pruner or skorch net; got an unfitted {type(net).__name__}. "
            "Call its fit method first."
        )
    return plain_module(net.module_)


def _check_inputs(estimator: BaseEstimator, X: ArrayLike) -> NDArray[np.float32]:
    """Return the inputs as float32, checked by the estimator if it is a pruner."""
    if hasattr(estimator, "mask_"):
        return estimator._check_inputs(X)
    return check_array(X, dtype=np.float32, allow_nd=True)


class ConnectivityDisplay(Display):
    """Errors on the straight lines between pairs of networks.

    Parameters
    ----------
    connectivities : ModeConnectivity, or list or mapping of str to ModeConnectivity
        Results of `linear_mode_connectivity`. The keys of a mapping are their labels.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.inspection import ConnectivityDisplay, ModeConnectivity
    >>> line = ModeConnectivity([0, 0.5, 1], [0.1, 0.5, 0.3])
    >>> display = ConnectivityDisplay({"from scratch": line}).plot()
    >>> display.ax_.get_legend().get_texts()[0].get_text()
    'from scratch: barrier 0.3'
    """

    def __init__(
        self,
        connectivities: ModeConnectivity
        | Sequence[ModeConnectivity]
        | Mapping[str, ModeConnectivity],
    ) -> None:
        self.connectivities = labeled(
            connectivities, ModeConnectivity, "connectivities", label="a to b"
        )

    @classmethod
    def from_estimator(
        cls,
        a: BaseEstimator,
        b: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike,
        *,
        name: str = "a to b",
        ax: "Axes | None" = None,
        **options: Any,
    ) -> Self:
        """Call `linear_mode_connectivity`, and plot the result.

        Parameters
        ----------
        a, b : fitted pruner, Pipeline, search or skorch net
            The ends of the line.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs to measure the error on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The labels or targets of a pruner, or the class indices of a skorch classifier.
        name : str, default="a to b"
            The label of the line.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.
        **options : dict
            Keyword arguments of `linear_mode_connectivity`.

        Returns
        -------
        display : ConnectivityDisplay
            The plotted line.
        """
        return cls({name: linear_mode_connectivity(a, b, X, y, **options)}).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        There is a curve for each pair of networks. The vertical line at its highest point is
        the barrier, which starts at the mean error of the two ends.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : ConnectivityDisplay
            This display.
        """
        ax = self._set_axes(ax, (7, 4))
        for name, (color, marker, style) in styles(self.connectivities).items():
            line = self.connectivities[name]
            label = f"{name}: barrier {line.barrier:.3g}"
            ax.plot(line.alphas, line.errors, style, color=color, linewidth=1.5, label=label)
            top, highest = line.alphas[line.errors.argmax()], line.errors.max()
            ax.vlines(top, highest - line.barrier, highest, color=color, linewidth=0.8)
            ax.plot(top, highest, marker, color=color, markersize=5)
        ax.set_xlim(-0.01, 1.01)
        tidy(ax)
        ax.set_xlabel("position between the two networks")
        ax.set_ylabel("error")
        add_legend(ax, place="top")
        return self
