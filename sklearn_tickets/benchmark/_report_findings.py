"""The findings of a report: who finds the ticket, which methods are best, and how good they are."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from sklearn_tickets.benchmark._quality import TICKETS, TIE
from sklearn_tickets.benchmark._report_rows import TICKET_LEVEL
from sklearn_tickets.benchmark._report_words import count, name_few


def overlaps(runs: pd.DataFrame) -> Iterator[str]:
    """Say whether the masks contain more of the planted ticket than chance gives."""
    is_found = ~runs["is_reference"] & (runs["level"] == TICKET_LEVEL)
    found = runs[is_found & runs["overlap"].notna()]
    if not found.empty:
        most = found.iloc[found["overlap"].argmax()]
        n_above = (found["overlap"] > 2 * found["chance"]).sum()
        yield (
            "Overlap with the planted ticket, at its size: more than twice the chance level in "
            f"{n_above:,} of {count(len(found), 'mask')}; at most {most['overlap']:.3f} "
            f"({most['method']} on {most['problem']}, chance {most['chance']:.3f})."
        )


def best_ranks(ranks: pd.DataFrame) -> Iterator[str]:
    """Say which methods rank best, and whether others may be as good."""
    if ranks.empty:
        return
    best = ranks.iloc[0]
    is_best = np.isclose(ranks["rank"], best["rank"])
    place = f"{best['rank']:.1f} of {len(ranks)} on average"
    if is_best.sum() > 1:
        names = name_few(ranks.loc[is_best, "method"])
        yield f"{is_best.sum()} methods share the best rank, {place}: {names}."
    elif best["n_seeds"] < 3:
        yield f"{best['method']} ranks best, {place}."
    else:
        n_near = (ranks["low"].iloc[1:] <= best["high"]).sum()
        yield (
            f"{best['method']} ranks best, {place} (95 % interval {best['low']:.1f} to "
            f"{best['high']:.1f}, which overlaps with that of {n_near or 'none'} of "
            f"{count(len(ranks) - 1, 'other method')})."
        )


def findings(summary: pd.DataFrame) -> Iterator[str]:
    """Say how near the methods come to the planted ticket, and whether they beat a constant."""
    at_ticket = summary[summary["level"] == TICKET_LEVEL]
    tickets = at_ticket[at_ticket["is_reference"] & at_ticket["pruner"].isin(TICKETS)]
    ticket = tickets.groupby("problem")["best_score"].max()
    found = summary[~summary["is_reference"]]
    best_found = found[found["level"] == TICKET_LEVEL].groupby("problem")["best_score"].max()
    gap = (ticket - best_found).dropna()
    if not gap.empty:
        yield (
            "With as few parameters as the planted ticket, the best method is as good as the "
            f"ticket, or better, on {(gap <= TIE).sum()} of {count(len(gap), 'problem')}. Of each, "
            "the better one of its trained and untrained quality counts, and of the ticket also "
            "that with its output scale; accuracies within a percentage point and errors within "
            "10 % count as equal."
        )
    trained = tickets[tickets["pruner"] == "planted"].set_index("problem")["score"]
    loss = (ticket - trained).dropna()
    if (loss > TIE).any():
        yield (
            f"Training makes the planted ticket itself worse on {(loss > TIE).sum()} of "
            f"{count(len(loss), 'problem')}."
        )
    constant = summary[summary["is_reference"] & (summary["pruner"] == "constant")]
    best_trained = found.groupby("problem")["score"].max()
    lead = (best_trained - constant.set_index("problem")["score"]).dropna()
    if (lead <= TIE).any():
        yield (
            "After training, no method is better than the constant network, at any density, on "
            f"{(lead <= TIE).sum()} of {count(len(lead), 'problem')}."
        )
