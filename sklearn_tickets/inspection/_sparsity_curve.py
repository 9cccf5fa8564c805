"""`SparsityCurveDisplay`: the scores of pruners at several densities."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal, Self

import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import check_scoring

from sklearn_tickets.inspection._labeled import labeled
from sklearn_tickets.inspection._sparsity_scores import fit_and_score, folds_of, scores_of_search
from sklearn_tickets.inspection._style import INK, Display, add_legend, draw_ticket, styles, tidy

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
        folds = folds_of(X, y, X_test, y_test, cv, classifier=is_classification)
        cases = product(named.items(), sparsities, random_states, enumerate(folds))
        rows = Parallel(n_jobs=n_jobs)(
            delayed(fit_and_score)(
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
        table = scores_of_search(cv_results, scoring, name)
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
