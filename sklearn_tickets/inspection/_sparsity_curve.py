"""`SparsityCurveDisplay`: how quality falls as networks get sparser, pruner by pruner."""

import warnings
from collections.abc import Mapping

import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring

from sklearn_tickets.inspection._style import INK, add_legend, draw_ticket, styles
from sklearn_tickets.masks import LayerCollapseWarning


class SparsityCurveDisplay:
    """Quality against density, with a line for every pruner.

    Parameters
    ----------
    table : DataFrame
        One row for each fit, with columns ``pruner``, ``density`` (in (0, 1]), ``score`` and,
        if known, ``collapsed`` (bool). Rows of one pruner and density are repetitions.
    ticket : tuple of (float, float), default=None
        Density and score of the planted ticket, to be marked.
    score_name : str, default="score"
        What to call the scores.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it is plotted.
    figure_ : matplotlib Figure
        The figure of these axes.

    See Also
    --------
    LayerDensityDisplay : Where in the network the weights are kept.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn_tickets.datasets import PlantedTicketGenerator
    >>> from sklearn_tickets.pruners import MagnitudePruner, RandomPruner
    >>> from sklearn_tickets.inspection import SparsityCurveDisplay
    >>> generator = PlantedTicketGenerator("relu", width=20, random_state=0)
    >>> train, test = generator.generate(300), generator.generate(300)
    >>> net = train.make_net(max_epochs=1)
    >>> display = SparsityCurveDisplay.from_estimator(
    ...     {"magnitude": MagnitudePruner(net), "random": RandomPruner(net)},
    ...     *(train.X, train.y),
    ...     sparsities=[0.5, 0.9],
    ...     X_test=test.X,
    ...     y_test=test.y,
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
        pruners,
        X,
        y,
        *,
        sparsities,
        X_test,
        y_test,
        random_states=(0,),
        scoring=None,
        ticket=None,
        n_jobs=None,
        ax=None,
    ) -> "SparsityCurveDisplay":
        """Fit pruners at several sparsities, score them on test data, and plot.

        Parameters
        ----------
        pruners : BasePruner or mapping of str to BasePruner
            Unfitted pruners and what to call them. Copies are fitted.
        X, y : array-like
            The training data, all that a fit sees.
        sparsities : iterable of float
            Takes the place of the pruners' own `sparsity`.
        X_test, y_test : array-like
            The data to score on.
        random_states : iterable of int, default=(0,)
            Takes the place of the pruners' own `random_state`, one fit for each.
        scoring : str or callable, default=None
            As for scikit-learn's searches; None takes the pruner's ``score``.
        ticket : tuple of (float, float), default=None
            Density and score of the planted ticket, to be marked.
        n_jobs : int, default=None
            Number of processes, as joblib reads it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : SparsityCurveDisplay
            The plotted curves. Its table tells the `random_state` of each row, too.

        Raises
        ------
        ValueError
            If a pruner has no `sparsity`, or nothing is to be fitted.
        """
        if not isinstance(pruners, Mapping):
            pruners = {type(pruners).__name__: pruners}
        rows = Parallel(n_jobs=n_jobs)(
            delayed(_measure)(
                clone(pruner).set_params(sparsity=sparsity, random_state=random_state),
                *(X, y, X_test, y_test),
                scorer=check_scoring(pruner, scoring=scoring),
                row={"pruner": name, "random_state": random_state},
            )
            for name, pruner in pruners.items()
            for sparsity in sparsities
            for random_state in random_states
        )
        if not rows:
            raise ValueError(
                "pruners, sparsities and random_states must not be empty; got "
                f"{len(pruners)} pruners, sparsities={sparsities!r} and "
                f"random_states={random_states!r}."
            )
        if scoring is None:
            score_name = "accuracy" if all(map(is_classifier, pruners.values())) else "R2"
        else:
            score_name = str(getattr(scoring, "__name__", scoring))
        return cls(pd.DataFrame(rows), ticket=ticket, score_name=score_name).plot(ax)

    @classmethod
    def from_cv_results(
        cls, cv_results, *, scoring="score", name="pruner", ticket=None, ax=None
    ) -> "SparsityCurveDisplay":
        """Plot what a search over `sparsity` found; folds are repetitions.

        Parameters
        ----------
        cv_results : dict
            The ``cv_results_`` of a fitted search such as ``GridSearchCV``. What else it
            searched makes a line for each combination.
        scoring : str, default="score"
            Which of several scorers to show.
        name : str, default="pruner"
            What to call the pruner if nothing but its sparsity was searched.
        ticket : tuple of (float, float), default=None
            Density and score of the planted ticket, to be marked.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : SparsityCurveDisplay
            The plotted curves, at the densities asked for.

        Raises
        ------
        ValueError
            If the search did not go over one `sparsity`, or not by this scorer.

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
                f"cv_results has no scores called scoring={scoring!r}, only {', '.join(known)}."
            )
        rows = []
        for i, params in enumerate(cv_results["params"]):
            paths = [key for key in params if key.rpartition("__")[2] == "sparsity"]
            if len(paths) != 1 or params[paths[0]] is None:
                raise ValueError(
                    "cv_results must be those of a search over one sparsity, such as "
                    f"{{'pruner__sparsity': [0.5, 0.9]}}; candidate {i} is {params}."
                )
            # Estimators that were searched over have long representations.
            others = [
                f"{key}={type(value).__name__ if hasattr(value, 'get_params') else value}"
                for key, value in params.items()
                if key not in paths
            ]
            label, density = ", ".join(others) or name, 1 - params[paths[0]]
            rows += [(label, density, cv_results[fold][i]) for fold in folds]
        table = pd.DataFrame(rows, columns=["pruner", "density", "score"])
        return cls(table, ticket=ticket, score_name=scoring).plot(ax)

    def plot(self, ax=None):
        """Draw the plot.

        Lines go through medians, and bands span all repetitions. Hollow points are networks
        that mostly collapsed; the star is the planted ticket.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : SparsityCurveDisplay
            This object.

        Raises
        ------
        ValueError
            If the table lacks a column, or a density is not in (0, 1].
        """
        import matplotlib.pyplot as plt
        from matplotlib.lines import Line2D
        from matplotlib.ticker import FuncFormatter, LogLocator

        if missing := {"pruner", "density", "score"} - {*self.table}:
            raise ValueError(
                f"table must have columns pruner, density and score; it lacks {sorted(missing)}."
            )
        outside = self.table["density"][~self.table["density"].between(0, 1, inclusive="right")]
        if len(outside):
            raise ValueError(f"table has the density {outside.iloc[0]}; it must be in (0, 1].")
        if ax is None:
            height = max(4.5, 1 + 0.19 * self.table["pruner"].nunique())
            _, ax = plt.subplots(figsize=(8, height), layout="constrained")
        table = self.table.assign(
            collapsed=self.table.get("collapsed", pd.Series(False, self.table.index)).astype(float)
        )
        legend = []
        for name, (color, marker, line) in styles(table["pruner"]).items():
            by_density = table[table["pruner"] == name].groupby("density")
            scores = by_density["score"].agg(["min", "median", "max"])
            hollow = scores["median"][by_density["collapsed"].median() > 0.5]
            x, style = scores.index, {"color": color, "marker": marker}
            ax.fill_between(x, scores["min"], scores["max"], color=color, alpha=0.15, linewidth=0)
            legend += ax.plot(x, scores["median"], linestyle=line, label=str(name), **style)
            ax.plot(hollow.index, hollow, linestyle="", markerfacecolor="white", **style)
        if table["collapsed"].any():
            legend.append(
                Line2D([], [], color=INK, marker="o", mfc="white", linestyle="", label="collapsed")
            )
        if self.ticket is not None:
            density, score = self.ticket
            legend.append(draw_ticket(ax, [density], [score]))
        ax.set_xscale("log")
        low, high = ax.get_xlim()
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1, 3)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{density:g}"))
        ax.minorticks_off()
        ax.grid(axis="y", color="#dddddd", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_xlabel("density (fraction of parameters kept)")
        ax.set_ylabel(self.score_name)
        add_legend(ax, legend)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _measure(pruner, X, y, X_test, y_test, *, scorer, row):
    """Fit a pruner, and complete its row of the table."""
    with warnings.catch_warnings():
        # A collapsed network is a result here, with a column of its own.
        warnings.simplefilter("ignore", LayerCollapseWarning)
        pruner.fit(X, y)
    return row | {
        "density": pruner.mask_.density,
        "score": scorer(pruner, X_test, y_test),
        "collapsed": pruner.rounds_[-1]["collapsed"],
    }
