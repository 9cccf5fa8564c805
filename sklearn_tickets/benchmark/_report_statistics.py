"""Statistics of a report: medians, ranks, comparisons with controls, and cost."""

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from sklearn_tickets.benchmark._quality import TIE
from sklearn_tickets.benchmark._report_rows import TICKET_LEVEL

# What methods are compared with: its name as a pruner or reference, and in words.
CONTROLS = {
    "random": "random pruner",
    "shuffled": "shuffled ticket",
    "planted": "trained planted ticket",
}
N_RESAMPLES = 2000
_BLOCK = ["problem", "level", "seed"]


def medians(runs: pd.DataFrame) -> pd.DataFrame:
    """Summarize the seeds of every method at every density.

    Parameters
    ----------
    runs : DataFrame
        The result of `merge_repeats`.

    Returns
    -------
    summary : DataFrame
        One row per problem, method and level, with the medians of all numbers over seeds;
        ``weak_low`` and ``weak_high``, the lowest and the highest quality after training; and
        the numbers ``n_seeds`` of seeds with a quality, ``n_failed`` and ``n_collapsed``.
    """
    groups = runs.groupby(["problem", "metric", "method", "level"], sort=False)
    numbers = ["density", "n_kept", "strong", "strong_raw", "weak", "overlap", "chance"]
    numbers += ["effective_density", "seconds", "score", "best_score"]
    summary = groups[numbers].median()
    summary["weak_low"], summary["weak_high"] = groups["weak"].min(), groups["weak"].max()
    summary["n_seeds"] = groups["weak"].count()
    summary["n_failed"] = groups["failed"].sum()
    summary["n_collapsed"] = groups["collapsed"].sum()
    kinds = ["pruner", "name", "mode", "is_reference", "is_planted"]
    summary[kinds] = groups[kinds].first()
    return summary.reset_index()


def mean_ranks(runs: pd.DataFrame, *, random_state: int = 0) -> pd.DataFrame:
    """Rank the methods by their quality after training.

    A block is a problem at a density with a seed. The best method of a block has rank 1; equal
    ones share the mean of their ranks, and failed ones come last. A method's mean rank is the
    mean over seeds of its means over the blocks of a seed.

    Parameters
    ----------
    runs : DataFrame
        The result of `merge_repeats`, or some of its rows.
    random_state : int, default=0
        The seed of the bootstrap.

    Returns
    -------
    ranks : DataFrame
        One row per method, best first: ``method``, ``rank``, the limits ``low`` and ``high`` of
        the 95 % percentile interval of 2,000 bootstrap samples of the seeds (missing if there
        is one seed), and ``n_seeds``. Its ``attrs`` have the numbers ``n_blocks`` of all blocks
        and ``n_complete`` of those in which every method was run. Only these count; there are
        no rows without them, or with fewer than two methods.
    """
    found = runs[~runs["is_reference"]]
    scores = found["score"].fillna(-np.inf)
    blocks = found.assign(score=scores).pivot(index=_BLOCK, columns="method", values="score")
    complete = blocks.dropna()
    by_seed = complete.rank(axis=1, ascending=False).groupby("seed").mean()
    ranks = pd.DataFrame({"rank": by_seed.mean(), "low": np.nan, "high": np.nan})
    if len(by_seed) > 1:
        interval = bootstrap(
            (by_seed.to_numpy(),),
            np.mean,
            n_resamples=N_RESAMPLES,
            method="percentile",
            random_state=np.random.default_rng(random_state),
        ).confidence_interval
        ranks["low"], ranks["high"] = interval.low, interval.high
    ranks["n_seeds"] = len(by_seed)
    is_ranked = len(by_seed) > 0 and len(ranks) > 1
    ranks = ranks.sort_values("rank", kind="stable").reset_index()[: len(ranks) * is_ranked]
    ranks.attrs = {"n_blocks": len(blocks), "n_complete": len(complete)}
    return ranks


def comparisons(runs: pd.DataFrame) -> pd.DataFrame:
    """Count in how many runs each method beats each control.

    A run is compared with the control's run of the same problem, density and seed: with the
    best mode of the random pruner, and, at the size of the planted ticket, with the ticket
    and with the shuffled one. A failed run loses. Where the control failed or was not run,
    there is no comparison.

    Parameters
    ----------
    runs : DataFrame
        The result of `merge_repeats`, or some of its rows.

    Returns
    -------
    counts : DataFrame
        One row per control and method, with the numbers ``win``, ``tie`` and ``loss``, their
        sum ``n``, and the number ``n_seeds`` of seeds. For every control, the method with the
        largest share of wins less losses comes first.
    """
    found = runs[~runs["is_reference"]]
    parts = []
    for name, control in CONTROLS.items():
        is_control = (runs["pruner"] == name) & (runs["is_reference"] == (name != "random"))
        best = runs[is_control].groupby(_BLOCK)["score"].max().rename("best").dropna()
        pairs = found[found["pruner"] != name].join(best, on=_BLOCK, how="inner")
        ahead = pairs["score"].fillna(-np.inf) - pairs["best"]
        win, loss = ahead > TIE, ahead < -TIE
        outcomes = pairs[["method", "seed"]].assign(win=win, tie=~(win | loss), loss=loss, n=1)
        groups = outcomes.groupby("method", sort=False)
        counts = groups[["win", "tie", "loss", "n"]].sum().assign(n_seeds=groups["seed"].nunique())
        order = ((counts["loss"] - counts["win"]) / counts["n"]).sort_values(kind="stable").index
        parts.append(counts.loc[order].reset_index().assign(control=control))
    return pd.concat(parts, ignore_index=True)


def costs(summary: pd.DataFrame) -> pd.DataFrame:
    """Compare the seconds that methods take on one problem with the quality they reach.

    Parameters
    ----------
    summary : DataFrame
        The rows of one problem of the result of `medians`.

    Returns
    -------
    costs : DataFrame
        The rows of the methods with a result at the size of the planted ticket or, if there is
        none, at the lowest density that has results; the fastest first. A column more,
        ``is_best``, tells whether no faster method is as good.
    """
    found = summary[~summary["is_reference"]].dropna(subset=["weak", "seconds"])
    at_ticket = found[found["level"] == TICKET_LEVEL]
    lowest = found[found["density"] == found["density"].min()]
    chosen = lowest if at_ticket.empty else at_ticket
    chosen = chosen.sort_values(["seconds", "score"], ascending=[True, False])
    best_before = chosen["score"].cummax().shift(fill_value=-np.inf)
    return chosen.assign(is_best=chosen["score"] > best_before)
