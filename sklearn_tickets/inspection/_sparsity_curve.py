"""`SparsityCurveDisplay`: the scores of pruners at several densities."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing

from sklearn_tickets._estimators import find_pruner, pruner_of, sparsity_parameter
from sklearn_tickets.inspection._labeled import labeled
from sklearn_tickets.inspection._style import INK, Display, add_legend, draw_ticket, styles, tidy
from sklearn_tickets.masks import LayerCollapseWarning

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


class SparsityCurveDisplay(Display):
    """Score against density, with a line for each pruner.

    Parameters
    ----------
    table : DataFrame
        One row for each fit, with columns ``pruner``, ``density`` (in (0, 1]), ``score`` and
        optionally ``collapsed`` (bool). Rows of one pruner and density are repetitions.
    ticket : tuple of (float, float), default=None
        Density and score of the planted ticket, which is drawn as a star.
    score_name : str, default="score"
        The label of the scores.
    average : {"median", "mean"}, default="median"
        What is drawn of repetitions: their median, with their range as a band, or their mean,
        with a standard deviation to both sides, as in scikit-learn's displays.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes of the last plot.
    figure_ : matplotlib Figure
        The figure that contains them.

    See Also
    --------
    LayerDensityDisplay : The density of each layer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner, RandomPruner
    >>> from sklearn_tickets.inspection import SparsityCurveDisplay
    >>> planted = PlantedTicketGenerator("relu", width=20, random_state=0).generate(300)
    >>> X_test, y_test = planted.sample(300, random_state=0)
    >>> net = planted.make_net(max_epochs=1)
    >>> display = SparsityCurveDisplay.from_estimator(
    ...     {"magnitude": MagnitudePruner(net), "random": RandomPruner(net)},
    ...     planted.X,
    ...     planted.y,
    ...     sparsities=[0.5, 0.9],
    ...     X_test=X_test,
    ...     y_test=y_test,
    ... )
    >>> display.table[["pruner", "density"]].round(2)
          pruner  density
    0  magnitude      0.5
    1  magnitude      0.1
    2     random      0.5
    3     random      0.1
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        ticket: tuple[float, float] | None = None,
        score_name: str = "score",
        average: Literal["median", "mean"] = "median",
    ) -> None:
        self.table = table
        self.ticket = ticket
        self.score_name = score_name
        self.average = average

    @classmethod
    def from_estimator(
        cls,
        pruners: BaseEstimator | Sequence[BaseEstimator] | Mapping[str, BaseEstimator],
        X: ArrayLike,
        y: ArrayLike,
        *,
        sparsities: Iterable[float],
        X_test: ArrayLike | None = None,
        y_test: ArrayLike | None = None,
        cv: Any = None,
        random_states: Iterable[int] = (0,),
        scoring: str | Callable[..., float] | None = None,
        ticket: tuple[float, float] | None = None,
        n_jobs: int | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Fit pruners at several sparsities, score them on test data or folds, and plot it.

        Parameters
        ----------
        pruners : pruner or Pipeline, or list or mapping of str to these
            Unfitted pruners, or pipelines that end in one, also in a
            ``TransformedTargetRegressor``. The keys of a mapping are their labels. Clones of
            them are fitted.
        X, y : array-like
            The training data, or all data for cross-validation.
        sparsities : iterable of float
            The values of the pruners' `sparsity`.
        X_test, y_test : array-like, default=None
            The data to score on. If None, the pruners are cross-validated.
        cv : int, splitter or iterable, default=None
            The folds of `X` and `y`, as in scikit-learn's searches; None uses five. All pruners
            have the same.
        random_states : iterable of int, default=(0,)
            The values of the pruners' `random_state`, with one fit for each.
        scoring : str or callable, default=None
            The score, as in scikit-learn's searches. If None, the pruner's ``score`` method.
        ticket : tuple of (float, float), default=None
            Density and score of the planted ticket, which is drawn as a star.
        n_jobs : int, default=None
            Number of parallel jobs of joblib; None means 1.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : SparsityCurveDisplay
            The plotted curves, averaged by ``"mean"`` if there are folds. The table has
            additional columns ``random_state`` and ``fold``, which is 0 for test data.

        Raises
        ------
        ValueError
            If a pruner has no parameter `sparsity`, there is nothing to fit, `X_test` and
            `y_test` are not given together, or test data are given as well as `cv`.
        """
        named = labeled(pruners, BaseEstimator, "pruners")
        is_classification = all(map(is_classifier, named.values()))
        options = {"X_test": X_test, "y_test": y_test, "cv": cv}
        given = [option for option, value in options.items() if value is not None]
        if given not in ([], ["cv"], ["X_test", "y_test"]):
            raise ValueError(
                "Pass X_test and y_test, or cv, or none of them for five folds; got "
                f"{' and '.join(given)}."
            )
        if X_test is not None:
            folds = [(X, y, X_test, y_test)]
        else:
            splits = check_cv(cv, y, classifier=is_classification).split(X, y)
            folds = [
                tuple(_safe_indexing(data, rows) for rows in split for data in (X, y))
                for split in splits
            ]
        cases = product(named.items(), sparsities, random_states, enumerate(folds))
        rows = Parallel(n_jobs=n_jobs)(
            delayed(_measure)(
                clone(pruner),
                sparsity,
                {"pruner": name, "random_state": random_state, "fold": fold},
                *data,
                scorer=check_scoring(pruner, scoring=scoring),
            )
            for (name, pruner), sparsity, random_state, (fold, data) in cases
        )
        if not rows:
            raise ValueError(
                "pruners, sparsities and random_states must not be empty; got "
                f"{len(named)} pruners, sparsities={sparsities!r} and "
                f"random_states={random_states!r}."
            )
        if scoring is None:
            score_name = "accuracy" if is_classification else "R2"
        else:
            score_name = str(getattr(scoring, "__name__", scoring))
        return cls(
            pd.DataFrame(rows),
            ticket=ticket,
            score_name=score_name,
            average="mean" if X_test is None else "median",
        ).plot(ax)

    @classmethod
    def from_cv_results(
        cls,
        cv_results: Mapping[str, Any],
        *,
        scoring: str = "score",
        name: str = "pruner",
        ticket: tuple[float, float] | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Plot the results of a search over `sparsity`, with folds as repetitions.

        Parameters
        ----------
        cv_results : dict
            The ``cv_results_`` of a fitted search such as ``GridSearchCV``. There is a line
            for each combination of the other parameters searched; those that look the same are
            numbered from 2.
        scoring : str, default="score"
            The name of the score, if the search has several.
        name : str, default="pruner"
            The label of the line if only the sparsity was searched.
        ticket : tuple of (float, float), default=None
            Density and score of the planted ticket, which is drawn as a star.
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : SparsityCurveDisplay
            The plotted curves, averaged by ``"mean"``. Densities are ``1 - sparsity``.

        Raises
        ------
        ValueError
            If the results are not of a search over one `sparsity`, or lack the score.

        Examples
        --------
        >>> from sklearn_tickets.inspection import SparsityCurveDisplay
        >>> cv_results = {
        ...     "params": [{"pruner__sparsity": 0.5}, {"pruner__sparsity": 0.75}],
        ...     "split0_test_score": [0.9, 0.8],
        ...     "split1_test_score": [1.0, 0.8],
        ... }
        >>> SparsityCurveDisplay.from_cv_results(cv_results).table
           pruner  density  score
        0  pruner     0.50    0.9
        1  pruner     0.50    1.0
        2  pruner     0.25    0.8
        3  pruner     0.25    0.8
        """
        folds = [key for key in cv_results if key.endswith(f"_test_{scoring}") and "split" in key]
        if not folds:
            known = [key[12:] for key in cv_results if key.startswith("split0_test_")]
            raise ValueError(
                f"cv_results has no scores named scoring={scoring!r}; choose from "
                f"{', '.join(known)}."
            )
        rows = []
        alike: dict[str, list[list[Any]]] = defaultdict(list)
        for i, params in enumerate(cv_results["params"]):
            path = sparsity_parameter(params, i)
            others = {key: value for key, value in params.items() if key != path}
            # Estimators among the candidates have long representations.
            named = [
                f"{key}={type(value).__name__ if hasattr(value, 'get_params') else value}"
                for key, value in others.items()
            ]
            label, density = ", ".join(named) or name, 1 - params[path]
            # Different objects may look the same, and are then numbered from 2.
            values = [value if np.isscalar(value) else id(value) for value in others.values()]
            if values not in alike[label]:
                alike[label].append(values)
            if number := alike[label].index(values):
                label += f" {number + 1}"
            rows += [(label, density, cv_results[fold][i]) for fold in folds]
        table = pd.DataFrame(rows, columns=["pruner", "density", "score"])
        return cls(table, ticket=ticket, score_name=scoring, average="mean").plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        Lines are averages and bands the spread over repetitions. Points are hollow if most
        networks collapsed. The star is the planted ticket.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            The axes to draw on. If None, a new figure is created.

        Returns
        -------
        display : SparsityCurveDisplay
            This display.

        Raises
        ------
        ValueError
            If the table lacks a column, a density is not in (0, 1], or `average` is unknown.
        """
        from matplotlib.lines import Line2D
        from matplotlib.ticker import FuncFormatter, LogLocator

        if self.average not in ("median", "mean"):
            raise ValueError(f"average must be 'median' or 'mean'; got {self.average!r}.")
        if missing := {"pruner", "density", "score"} - {*self.table}:
            raise ValueError(
                f"table must have columns pruner, density and score; it lacks {sorted(missing)}."
            )
        outside = self.table["density"][~self.table["density"].between(0, 1, inclusive="right")]
        if len(outside):
            raise ValueError(f"table has the density {outside.iloc[0]}; it must be in (0, 1].")
        ax = self._set_axes(ax, (8, max(4.5, 1 + 0.19 * self.table["pruner"].nunique())))
        table = self.table.assign(
            collapsed=self.table.get("collapsed", pd.Series(False, self.table.index)).astype(float)
        )
        legend: list[Artist] = []
        for name, (color, marker, line) in styles(table["pruner"]).items():
            by_density = table[table["pruner"] == name].groupby("density")
            scores = by_density["score"]
            if self.average == "median":
                center, low, high = scores.median(), scores.min(), scores.max()
            else:
                center, deviation = scores.mean(), scores.std(ddof=0)
                low, high = center - deviation, center + deviation
            hollow = center[by_density["collapsed"].median() > 0.5]
            style: dict[str, Any] = {"color": color, "marker": marker}
            ax.fill_between(center.index, low, high, color=color, alpha=0.15, linewidth=0)
            legend += ax.plot(center.index, center, linestyle=line, label=str(name), **style)
            ax.plot(hollow.index, hollow, linestyle="", markerfacecolor="white", **style)
        if table["collapsed"].any():
            legend.append(
                Line2D([], [], color=INK, marker="o", mfc="white", linestyle="", label="collapsed")
            )
        if self.ticket is not None:
            legend.append(draw_ticket(ax, *self.ticket))
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1, 3)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{density:g}"))
        ax.minorticks_off()
        tidy(ax)
        ax.set_xlabel("density (fraction of parameters kept)")
        ax.set_ylabel(self.score_name)
        add_legend(ax, legend)
        return self


def _measure(
    estimator: BaseEstimator,
    sparsity: float,
    labels: dict[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    scorer: Callable[..., float],
) -> dict[str, Any]:
    """Fit a pruner of this sparsity, and return its row of the table."""
    random_state = labels["random_state"]
    pruner_of(estimator).set_params(sparsity=sparsity, random_state=random_state)
    # The table has a column for collapsed networks.
    with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
        estimator.fit(X, y)
    pruner = find_pruner(estimator, "pruners").pruner
    return labels | {
        "density": pruner.mask_.density,
        "score": scorer(estimator, X_test, y_test),
        "collapsed": pruner.rounds_[-1]["collapsed"],
    }
