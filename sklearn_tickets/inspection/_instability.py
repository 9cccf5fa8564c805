"""Instability analysis: from which epoch on does the noise of training not matter anymore?"""

import copy
from collections.abc import Generator, Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.utils import check_consistent_length, check_scalar
from skorch import NeuralNet

from sklearn_tickets._network import plain_module
from sklearn_tickets._random import independent_rng, seeded
from sklearn_tickets.inspection._labeled import labeled
from sklearn_tickets.inspection._line import error_function, errors_on_line, find_network
from sklearn_tickets.inspection._style import INK, Display, add_legend, styles, tidy
from sklearn_tickets.model_selection import train_together
from sklearn_tickets.pruners import GivenMaskPruner
from sklearn_tickets.pruners.base import BasePruner, Rounds, encode_targets
from sklearn_tickets.training import Training, TrainingState, one_cycle

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def instability_analysis(
    estimator: BaseEstimator,
    X: ArrayLike,
    y: ArrayLike,
    *,
    start_epochs: Sequence[int] = (0, 1, 2, 5),
    n_pairs: int = 3,
    X_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    n_points: int = 30,
    random_state: int | RandomState | None = None,
) -> pd.DataFrame:
    """Measure the error barrier between copies of a network that separate at some epoch.

    Two copies share the first k epochs of training. Then each copy continues with its own
    order of batches. If there is no barrier between them, training is stable: up to linear
    connectivity, its outcome does not depend on its noise. In experiments, the sparse networks
    of iterative magnitude pruning match the dense accuracy exactly when they are stable [1]_.

    Parameters
    ----------
    estimator : unfitted skorch net, or fitted pruner, Pipeline or search
        The network to train. Each pair of copies of a net has its own initial weights. For
        a pruner, the ticket is trained, always from `initial_state_`, with the settings of
        its net and its ``schedule``, on the data as its pipeline transforms them.
    X : array-like of shape (n_samples, n_features) or (n_samples, ...)
        The training inputs.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Class labels, or regression targets.
    start_epochs : sequence of int, default=(0, 1, 2, 5)
        Numbers k of shared epochs, from 0 to the net's ``max_epochs``, which is the length
        of all trainings. Copies share weights, buffers, optimizer state and schedule.
    n_pairs : int, default=3
        Number of pairs for each k.
    X_test : array-like of shape (n_test_samples, ...), default=None
        The inputs to measure errors on. If None, the training data.
    y_test : array-like of shape (n_test_samples,) or (n_test_samples, n_outputs), default=None
        Their labels or targets.
    n_points : int, default=30
        Number of points on each line.
    random_state : int, RandomState instance or None, default=None
        Seeds initial weights and batches. A row of the table does not depend on the other
        `start_epochs`.

    Returns
    -------
    table : DataFrame
        One row for each k and pair, with columns ``start_epoch, pair, error_a, error_b,
        barrier``, as in `linear_mode_connectivity`. Statistics of batch normalization are
        estimated on the training data.

    Raises
    ------
    TypeError
        If `estimator` is neither a net nor a meta-estimator with one pruner.
    NotFittedError
        If `estimator` is neither a net nor fitted.
    ValueError
        If `start_epochs`, `n_pairs` or `n_points` is out of range, only one of `X_test` and
        `y_test` is given, or the data do not fit the network.

    See Also
    --------
    InstabilityDisplay : Plot the table.
    linear_mode_connectivity : The barrier between two given networks.

    Notes
    -----
    The networks of all pairs are trained side by side, as one network where
    `BatchedGridSearchCV` could stack them, so that more pairs cost little more. As many
    networks are in memory.

    References
    ----------
    .. [1] Frankle, Dziugaite, Roy and Carbin, "Linear mode connectivity and the lottery
       ticket hypothesis", ICML 2020.

    Examples
    --------
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.inspection import instability_analysis
    >>> planted = PlantedTicketGenerator(width=30, random_state=0).generate(500)
    >>> net = planted.make_net(max_epochs=2)
    >>> table = instability_analysis(
    ...     net, planted.X, planted.y, start_epochs=(0, 2), n_pairs=1, random_state=0
    ... )
    >>> table[["start_epoch", "pair"]].values.tolist()
    [[0, 0], [2, 0]]
    >>> table["barrier"].tolist()[1]
    0.0
    """
    found = find_network(estimator, "estimator")
    estimator = found.pruner
    net = estimator if isinstance(estimator, NeuralNet) else estimator.estimator
    if not all(isinstance(k, int | np.integer) and 0 <= k <= net.max_epochs for k in start_epochs):
        raise ValueError(
            "start_epochs must be integers from 0 to the net's max_epochs="
            f"{net.max_epochs}; got {start_epochs}."
        )
    check_scalar(n_pairs, "n_pairs", Integral, min_val=1)
    check_scalar(n_points, "n_points", Integral, min_val=2)
    if (X_test is None) != (y_test is None):
        given, missing = ("y_test", "X_test") if X_test is None else ("X_test", "y_test")
        raise ValueError(f"{given} is given without {missing}; pass both or neither.")
    if X_test is None or y_test is None:
        X_test, y_test = X, y
    check_consistent_length(X_test, y_test)
    X, y, X_test, y_test = (
        found.inputs(X),
        found.targets(y),
        found.inputs(X_test),
        found.targets(y_test),
    )

    rng = independent_rng(random_state)
    seeds = [rng.randint(np.iinfo(np.int32).max, size=4).tolist() for _ in range(n_pairs)]
    networks = [_at_start(estimator, X, y, init_seed) for init_seed, *_ in seeds]
    X_train, targets = _training_data(networks[0], X, y)
    inputs, evaluate = networks[0]._check_inputs(X_test), error_function(networks[0], y_test)
    nets = [network.estimator_ for network in networks]
    shared: list[dict[int, TrainingState]] = [{} for _ in nets]
    train_together(
        _shared_epochs(net, X_train, targets, start_epochs, seed, states)
        for net, (_, seed, *_), states in zip(nets, seeds, shared, strict=True)
    )
    rows = []
    for k in sorted(set(start_epochs)):
        copies = [(copy.deepcopy(net), copy.deepcopy(net)) for net in nets]
        train_together(
            _own_epochs(net, X_train, targets, states[k], seed)
            for pair, (*_, a, b), states in zip(copies, seeds, shared, strict=True)
            for net, seed in zip(pair, (a, b), strict=True)
        )
        for i, (net, pair) in enumerate(zip(nets, copies, strict=True)):
            a, b = (TrainingState.of(end).module for end in pair)
            line = errors_on_line(
                net.module_, a, b, inputs, evaluate, n_points=n_points, X_train=X_train
            )
            rows.append((k, i, line.errors[0], line.errors[-1], line.barrier))
    return pd.DataFrame(rows, columns=["start_epoch", "pair", "error_a", "error_b", "barrier"])


def _at_start(
    estimator: NeuralNet | BasePruner, X: ArrayLike, y: ArrayLike, seed: int
) -> GivenMaskPruner:
    """Return a pruner with the network before its first epoch."""
    if not isinstance(estimator, BasePruner):
        # Without a mask, everything is kept.
        return GivenMaskPruner(estimator, train_ticket=False, random_state=seed).fit(X, y)
    network = GivenMaskPruner(
        estimator.estimator, estimator.mask_, train_ticket=False, random_state=seed
    ).fit(X, y)
    net = network.estimator_
    plain_module(net.module_).load_state_dict(estimator.mask_.apply(estimator.initial_state_))
    if Rounds.of(estimator).schedule == "one-cycle":
        schedule = one_cycle(net, *_training_data(network, X, y), net.max_epochs)
        net.callbacks_.append(("sklearn_tickets.one_cycle", schedule.initialize()))
    return network


def _training_data(
    network: GivenMaskPruner, X: ArrayLike, y: ArrayLike
) -> tuple[NDArray[np.float32], NDArray]:
    """Return the inputs, and the targets as the net's loss takes them."""
    inputs, y, classes = network._check_data(X, y)
    return inputs, encode_targets(network.estimator_, inputs, y, classes)


def _shared_epochs(
    net: NeuralNet,
    X: NDArray,
    y: NDArray,
    start_epochs: Sequence[int],
    seed: int,
    states: dict[int, TrainingState],
) -> Generator[Training, None, None]:
    """Train for the epochs that copies share, and note the states at which they separate."""
    with seeded(seed, net.device):
        for k in sorted(set(start_epochs)):
            shared = Training(net, X, y, until=k, snapshot=k)
            yield shared
            state = shared.passed if k else TrainingState.of(net)
            if state is None:
                raise ValueError(
                    f"start_epochs={start_epochs} contains {k}, but a callback of the net stopped "
                    f"the training after {len(net.history)} epochs. Remove the callback or {k}."
                )
            states[k] = state
            state.restore(net)


def _own_epochs(
    net: NeuralNet, X: NDArray, y: NDArray, start: TrainingState, seed: int
) -> Generator[Training, None, None]:
    """Train a copy from the state at which it separates to the end."""
    start.restore(net)
    with seeded(seed, net.device):
        yield Training(net, X, y, until=net.max_epochs)


class InstabilityDisplay(Display):
    """Error barriers between copies of networks against the epoch at which they separate.

    Parameters
    ----------
    tables : DataFrame, or list or mapping of str to DataFrame
        Results of `instability_analysis`. The keys of a mapping are their labels.

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
    >>> import pandas as pd
    >>> from sklearn_tickets.inspection import InstabilityDisplay
    >>> table = pd.DataFrame({"start_epoch": [0, 0, 1, 1], "barrier": [0.3, 0.2, 0.01, 0]})
    >>> InstabilityDisplay({"dense": table}).plot().ax_.get_ylabel()
    'error barrier'
    """

    def __init__(
        self, tables: pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, pd.DataFrame]
    ) -> None:
        self.tables = labeled(tables, pd.DataFrame, "tables", label="network")

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        y: ArrayLike,
        *,
        name: str = "network",
        ax: "Axes | None" = None,
        **options: Any,
    ) -> Self:
        """Call `instability_analysis`, and plot the result.

        Parameters
        ----------
        estimator : unfitted skorch net, or fitted pruner, Pipeline or search
            The network to train.
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            The training inputs.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Class labels, or regression targets.
        name : str, default="network"
            The label of the network.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.
        **options : dict
            Keyword arguments of `instability_analysis`.

        Returns
        -------
        display : InstabilityDisplay
            The plotted table.
        """
        table = instability_analysis(estimator, X, y, **options)
        return cls({name: table}).plot(ax, threshold=0.02 if is_classifier(estimator) else None)

    def plot(self, ax: "Axes | None" = None, *, threshold: float | None = 0.02) -> Self:
        """Draw the plot.

        Points are medians and bars the range over pairs.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.
        threshold : float or None, default=0.02
            The barrier below which a network counts as stable, which is drawn as a line. The
            default is for classification errors. If None, no line is drawn.

        Returns
        -------
        display : InstabilityDisplay
            This display.
        """
        from matplotlib.ticker import MaxNLocator

        ax = self._set_axes(ax, (7, 4))
        span = max(table["start_epoch"].max() for table in self.tables.values())
        legend: list[Any] = []
        for i, (name, (color, marker, line)) in enumerate(styles(self.tables).items()):
            table = self.tables[name]
            barriers = table.groupby("start_epoch")["barrier"].agg(["median", "min", "max"])
            # Networks are drawn side by side, so that equal points do not hide each other.
            bars = ax.errorbar(
                barriers.index + 0.01 * span * (i - (len(self.tables) - 1) / 2),
                barriers["median"],
                [barriers["median"] - barriers["min"], barriers["max"] - barriers["median"]],
                color=color,
                marker=marker,
                linestyle=line,
                linewidth=1.5,
                elinewidth=1,
                capsize=3,
                label=name,
            )
            legend.append(bars)
        if threshold is not None:
            label = f"stable below {threshold:g}"
            legend.append(ax.axhline(threshold, color=INK, linestyle="--", lw=1, label=label))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        tidy(ax)
        ax.set_xlabel("shared epochs of training")
        ax.set_ylabel("error barrier")
        add_legend(ax, legend, place="top")
        return self
