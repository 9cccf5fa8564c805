"""`SparsityCurveDisplay`: the scores of pruners at several densities."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.pipeline import Pipeline

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
    ) -> None:
        self.table = table
        self.ticket = ticket
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        pruners: BaseEstimator | Sequence[BaseEstimator] | Mapping[str, BaseEstimator],
        X: ArrayLike,
        y: ArrayLike,
        *,
        sparsities: Iterable[float],
        X_test: ArrayLike,
        y_test: ArrayLike,
        random_states: Iterable[int] = (0,),
        scoring: str | Callable[..., float] | None = None,
        ticket: tuple[float, float] | None = None,
        n_jobs: int | None = None,
        ax: "Axes | None" = None,
    ) -> Self:
        """Fit pruners at several sparsities, score them on test data, and plot the scores.

        Parameters
        ----------
        pruners : pruner or Pipeline, or list or mapping of str to these
            Unfitted pruners, or pipelines that end in one. The keys of a mapping are their
            labels. Clones of them are fitted.
        X, y : array-like
            The training data.
        sparsities : iterable of float
            The values of the pruners' `sparsity`.
        X_test, y_test : array-like
            The data to score on.
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
            The plotted curves. Its table has an additional column ``random_state``.

        Raises
        ------
        ValueError
            If a pruner has no parameter `sparsity`, or there is nothing to fit.
        """
        named = labeled(pruners, BaseEstimator, "pruners")
        rows = Parallel(n_jobs=n_jobs)(
            delayed(_measure)(
                clone(pruner),
                {"sparsity": sparsity, "random_state": random_state},
                X,
                y,
                X_test,
                y_test,
                scorer=check_scoring(pruner, scoring=scoring),
                name=name,
            )
            for name, pruner in named.items()
            for sparsity in sparsities
            for random_state in random_states
        )
        if not rows:
            raise ValueError(
                "pruners, sparsities and random_states must not be empty; got "
                f"{len(named)} pruners, sparsities={sparsities!r} and "
                f"random_states={random_states!r}."
            )
        if scoring is None:
            score_name = "accuracy" if all(map(is_classifier, named.values())) else "R2"
        else:
            score_name = str(getattr(scoring, "__name__", scoring))
        return cls(pd.DataFrame(rows), ticket=ticket, score_name=score_name).plot(ax)

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
            for each combination of the other parameters searched.
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
            The plotted curves. Densities are ``1 - sparsity``.

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
        for i, params in enumerate(cv_results["params"]):
            paths = [key for key in params if key.rpartition("__")[2] == "sparsity"]
            if len(paths) != 1 or params[paths[0]] is None:
                raise ValueError(
                    "cv_results must come from a search over one sparsity, such as "
                    f"{{'pruner__sparsity': [0.5, 0.9]}}; candidate {i} is {params}."
                )
            # Estimators among the candidates have long representations.
            others = [
                f"{key}={type(value).__name__ if hasattr(value, 'get_params') else value}"
                for key, value in params.items()
                if key not in paths
            ]
            label, density = ", ".join(others) or name, 1 - params[paths[0]]
            rows += [(label, density, cv_results[fold][i]) for fold in folds]
        table = pd.DataFrame(rows, columns=["pruner", "density", "score"])
        return cls(table, ticket=ticket, score_name=scoring).plot(ax)

    def plot(self, ax: "Axes | None" = None) -> Self:
        """Draw the plot.

        Lines are medians and bands the range over repetitions. Points are hollow if most
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
            If the table lacks a column, or a density is not in (0, 1].
        """
        from matplotlib.lines import Line2D
        from matplotlib.ticker import FuncFormatter, LogLocator

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
            scores = by_density["score"].agg(["min", "median", "max"])
            hollow = scores["median"][by_density["collapsed"].median() > 0.5]
            x = scores.index
            style: dict[str, Any] = {"color": color, "marker": marker}
            ax.fill_between(x, scores["min"], scores["max"], color=color, alpha=0.15, linewidth=0)
            legend += ax.plot(x, scores["median"], linestyle=line, label=str(name), **style)
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
    parameters: dict[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    *,
    scorer: Callable[..., float],
    name: str,
) -> dict[str, Any]:
    """Fit a pruner with these parameters, and return its row of the table."""
    pruner = estimator
    while isinstance(pruner, Pipeline):
        pruner = pruner[-1]
    pruner.set_params(**parameters)
    # The table has a column for collapsed networks.
    with warnings.catch_warnings(action="ignore", category=LayerCollapseWarning):
        estimator.fit(X, y)
    return {
        "pruner": name,
        "random_state": pruner.random_state,
        "density": pruner.mask_.density,
        "score": scorer(estimator, X_test, y_test),
        "collapsed": pruner.rounds_[-1]["collapsed"],
    }
