"""Linear mode connectivity: the error of networks on the straight line between two others."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array, check_consistent_length
from skorch import NeuralNet

from sklearn_tickets._network import plain_module
from sklearn_tickets.inspection._line import error_function, errors_on_line
from sklearn_tickets.inspection._style import add_legend_above, styles, tidy


@dataclass(frozen=True, eq=False, repr=False)
class ModeConnectivity:
    """The errors of the networks on a line between two.

    Parameters
    ----------
    alphas : array-like of shape (n_points,)
        Where on the line, from 0 at one end to 1 at the other.
    errors : array-like of shape (n_points,)
        The errors there; lower is better.

    See Also
    --------
    linear_mode_connectivity : Computes it.

    Examples
    --------
    >>> from sklearn_tickets.inspection import ModeConnectivity
    >>> line = ModeConnectivity([0, 0.5, 1], [0.1, 0.5, 0.3])
    >>> line
    ModeConnectivity(barrier 0.3 on 3 points)
    >>> line.is_stable()
    False
    """

    alphas: NDArray[np.float64]
    errors: NDArray[np.float64]

    def __post_init__(self) -> None:
        for field in fields(self):
            values = np.array(getattr(self, field.name), dtype=np.float64)
            values.flags.writeable = False
            object.__setattr__(self, field.name, values)

    @property
    def barrier(self) -> float:
        """The largest error on the line less the mean error of its two ends.

        The ends are on the line: it is never negative, and where the error only rises from
        one end to the other it is half their difference.
        """
        return float(self.errors.max() - (self.errors[0] + self.errors[-1]) / 2)

    def is_stable(self, threshold: float = 0.02) -> bool:
        """Tell whether the barrier is so low that it may be noise.

        Parameters
        ----------
        threshold : float, default=0.02
            In the units of the error; the default is two points of classification error.

        Returns
        -------
        is_stable : bool
            Whether the barrier is below the threshold.
        """
        return self.barrier < threshold

    def __repr__(self) -> str:
        return f"ModeConnectivity(barrier {self.barrier:.3g} on {len(self.alphas)} points)"


def linear_mode_connectivity(
    a, b, X, y, *, n_points=30, metric=None, X_train=None
) -> ModeConnectivity:
    r"""Measure the error along the straight line between the weights of two networks.

    Two networks without a barrier between them lie in one linearly connected valley of the
    loss. All parameters are interpolated; pruned ones are 0 at their end of the line.

    Parameters
    ----------
    a, b : fitted pruner or skorch net
        The ends of the line, of the same architecture. `a` tells how outputs are read.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The inputs to measure the error on.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        The truth: labels or targets for a pruner; for a skorch classifier class numbers.
    n_points : int, default=30
        Number of evenly spaced points on the line, at least 2, both ends included.
    metric : callable ``(y_true, y_pred) -> float``, default=None
        The error, lower is better. None is 1 - accuracy for classifiers and the mean squared
        error for regressors.
    X_train : array-like of shape (n_train_samples, ...), default=None
        The inputs that the statistics of batch normalization are estimated on anew at every
        point, the ends included. Give the training data where there are such layers: None
        takes `X`.

    Returns
    -------
    connectivity : ModeConnectivity
        The errors, and their barrier.

    Raises
    ------
    NotFittedError
        If `a` or `b` is not a fitted pruner or net.
    ValueError
        If the architectures or the pruners' classes differ, or `n_points` is less than 2.

    See Also
    --------
    ConnectivityDisplay : The errors as a plot.
    instability_analysis : Barriers between copies that part at some epoch.

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
    module = _fitted_module(a, "a")
    state_a, state_b = module.state_dict(), _fitted_module(b, "b").state_dict()
    for name in state_a | state_b:
        in_a, in_b = (
            tuple(state[name].shape) if name in state else "missing" for state in (state_a, state_b)
        )
        if in_a != in_b:
            raise ValueError(
                f"a and b must have the same architecture: {name!r} is {in_a} in a and {in_b} in b."
            )
    labels = [list(p.classes_) for p in (a, b) if hasattr(p, "mask_") and is_classifier(p)]
    if len(labels) == 2 and labels[0] != labels[1]:
        raise ValueError(
            f"a and b must know the same classes; a knows {labels[0]} and b {labels[1]}."
        )
    check_consistent_length(X, y)
    X = _check_inputs(a, X)
    X_train = X if X_train is None else _check_inputs(a, X_train)
    evaluate = error_function(a, y, metric)
    return ModeConnectivity(
        *errors_on_line(module, state_a, state_b, X, evaluate, n_points=n_points, X_train=X_train)
    )


def _fitted_module(estimator, name):
    """The trained module of a pruner or net that is called `name`."""
    net = getattr(estimator, "estimator_", estimator)
    if not isinstance(net, NeuralNet) or not net.initialized_:
        raise NotFittedError(
            f"{name} must be a fitted pruner or skorch net; got a {type(estimator).__name__} that "
            "is not. Call its fit first."
        )
    return plain_module(net.module_)


def _check_inputs(estimator, X):
    """Inputs as float32, checked as the estimator does if it is a pruner."""
    if hasattr(estimator, "mask_"):
        return estimator._check_inputs(X)
    return check_array(X, dtype=np.float32, allow_nd=True)


class ConnectivityDisplay:
    """The error on the lines between pairs of networks.

    Parameters
    ----------
    connectivities : mapping of str to ModeConnectivity
        What `linear_mode_connectivity` returns, by the names to show.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is plotted.
    figure_ : matplotlib Figure
        The figure of these axes.

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

    def __init__(self, connectivities: Mapping[str, ModeConnectivity]) -> None:
        self.connectivities = connectivities

    @classmethod
    def from_estimator(
        cls, a, b, X, y, *, n_points=30, metric=None, X_train=None, name="a to b", ax=None
    ) -> "ConnectivityDisplay":
        """Measure and plot one line.

        Parameters
        ----------
        a, b : fitted pruner or skorch net
            The ends, as for `linear_mode_connectivity`, like the parameters that follow.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The inputs to measure the error on.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The truth.
        n_points : int, default=30
            Number of points on the line.
        metric : callable ``(y_true, y_pred) -> float``, default=None
            The error.
        X_train : array-like of shape (n_train_samples, ...), default=None
            The inputs for the statistics of batch normalization.
        name : str, default="a to b"
            What the line is called in the legend.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : ConnectivityDisplay
            The plotted line.
        """
        line = linear_mode_connectivity(
            a, b, X, y, n_points=n_points, metric=metric, X_train=X_train
        )
        return cls({name: line}).plot(ax)

    def plot(self, ax=None):
        """Draw the plot.

        A curve for each pair of networks. The upright stroke at its highest point is the
        barrier: it stands on the mean error of the two ends.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : ConnectivityDisplay
            This object.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(7, 4), layout="constrained")
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
        add_legend_above(ax)
        self.ax_, self.figure_ = ax, ax.figure
        return self
