"""Tables of a report: rows and statistics as text."""

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd

from sklearn_tickets.benchmark._report_rows import NUMBERS, TICKET_LEVEL

MISSING = "-"
_COUNT, _QUALITY = "{:,.0f}", {"accuracy": "{:.3f}", "mse": "{:.2e}"}
_QUALITIES = ("strong", "strong_raw", "weak", "weak_low", "weak_high")
_FORMATS = {
    "depth": "{:.0f}",
    "width": "{:.0f}",
    "seed": "{:.0f}",
    "density": "{:.3g}",
    "overlap": "{:.3f}",
    "chance": "{:.3f}",
    "effective_density": "{:.3g}",
    "seconds": "{:.2f}",
    "rank": "{:.2f}",
    "low": "{:.2f}",
    "high": "{:.2f}",
}


class Column(NamedTuple):
    """The head of a column, and whether it holds numbers."""

    name: str
    is_number: bool = True


class Segment(NamedTuple):
    """A part of a bar that is drawn in a row: its kind, start and length, both in percent."""

    kind: str
    start: float
    length: float


class Table(NamedTuple):
    """A table of text.

    Parameters
    ----------
    caption : str
        What it shows.
    columns : list of Column
        The columns. The first names the rows.
    rows : list of tuple of str
        The cells.
    bars : list of list of Segment
        What is drawn in each row; empty if nothing is.
    bar_name : str
        The head of the column of bars.
    """

    caption: str
    columns: list[Column]
    rows: list[tuple[str, ...]]
    bars: Sequence[Sequence[Segment]] = ()
    bar_name: str = ""

    def encode(self) -> list[dict[str, Any]]:
        """Return every column as its different texts and, for each row, the number of its text."""
        encoded = []
        for i, column in enumerate(self.columns):
            codes, texts = pd.factorize(pd.Series([row[i] for row in self.rows], dtype=object))
            values = {"texts": list(texts), "codes": codes.tolist()}
            encoded.append(column._asdict() | values)
        return encoded


def problem_table(rows: pd.DataFrame) -> Table:
    """List the problems, and how often which was run."""
    cells: list[tuple[str, ...]] = []
    for problem, own in rows.groupby("problem", sort=False):
        metric = next(iter(own["metric"].dropna()), MISSING)
        found = own[~own["is_reference"]]
        levels = found.groupby("level")["density"].median().sort_values(ascending=False)
        densities = ", ".join(_level_text(*level) for level in levels.items())
        seeds = _ranges(own["seed"].dropna().astype(int))
        numbers = (str(found["method"].nunique()), *_outcomes(own))
        cells.append((str(problem), str(metric), seeds, densities or MISSING, *numbers))
    columns = [Column(name, False) for name in ("Problem", "Measure", "Seeds", "Densities")]
    columns += [Column(name) for name in ("Methods", "Runs", "Failed", "Collapsed")]
    return Table("Problems", columns, cells)


def method_table(rows: pd.DataFrame) -> Table:
    """List the methods and references, and how often which was run."""
    cells: list[tuple[str, ...]] = []
    for method, own in rows.groupby("method", sort=False):
        kind = "reference" if own["is_reference"].iloc[0] else "method"
        start = ", ".join(own["trained_from"].dropna().astype(str).unique()) or MISSING
        seconds = f"{own['seconds'].sum():,.1f}"
        cells.append(
            (str(method), kind, start, str(own["problem"].nunique()), *_outcomes(own), seconds)
        )
    columns = [Column(name, False) for name in ("Method", "Kind", "Trained from")]
    columns += [Column(name) for name in ("Problems", "Runs", "Failed", "Collapsed", "Seconds")]
    return Table("Methods and references, with the seconds of all fits", columns, cells)


def closest_table(summary: pd.DataFrame) -> Table:
    """Tell which method is best at the size of the planted ticket."""
    cells = []
    for (problem, metric), own in summary.groupby(["problem", "metric"], sort=False):
        constant = own[own["is_reference"] & (own["pruner"] == "constant")]
        own = own[own["level"] == TICKET_LEVEL]
        references = own[own["is_reference"]].set_index("method")
        found = own[~own["is_reference"] & own["weak"].notna()].sort_values("score")
        is_random = found["pruner"] == "random"
        best, random = found[~is_random].tail(1), found[is_random].tail(1)
        if best.empty:
            continue
        qualities = [
            *best["weak"],
            references["strong"].get("planted"),
            references["weak"].get("planted"),
            references["weak"].get("scaled"),
            next(iter(random["weak"]), None),
            references["weak"].get("shuffled"),
            next(iter(constant["weak"]), None),
        ]
        texts = (quality_text(str(metric), value) for value in qualities)
        cells.append((str(problem), *best["method"], *texts))
    names = [Column("Problem", False), Column("Best method", False)]
    tickets = ["Planted, untrained", "Planted, trained", "Planted, scaled"]
    numbers = ["Its quality", *tickets, "Random", "Shuffled", "Constant"]
    caption = "The best method at the size of the planted ticket, by median quality after training"
    return Table(caption, [*names, *map(Column, numbers)], cells)


def rank_table(ranks: pd.DataFrame) -> Table:
    """Lay out the result of `mean_ranks`, with a bar from the lower to the upper limit."""
    bars = []
    share = 100 / max(len(ranks) - 1, 1)
    row: Any
    for row in ranks[["rank", "low", "high"]].sub(1).mul(share).itertuples():
        spread = [] if pd.isna(row.low) else [Segment("range", row.low, row.high - row.low)]
        bars.append([*spread, Segment("point", row.rank, 0)])
    heads = {"method": "Method", "rank": "Mean rank", "low": "Low", "high": "High"}
    caption = "Mean rank of quality after training, with its 95 % interval; 1 is best"
    table = _make(caption, ranks, heads | {"n_seeds": "Seeds"})
    return table._replace(bars=bars, bar_name=f"From 1 to {len(ranks)}")


def comparison_table(counts: pd.DataFrame) -> Table:
    """Lay out the result of `comparisons`, with a bar of the shares."""
    bars = []
    row: Any
    for row in counts.itertuples():
        win, tie, loss = (100 * n / row.n for n in (row.win, row.tie, row.loss))
        parts = [Segment("win", 0, win), Segment("tie", win, tie), Segment("loss", win + tie, loss)]
        bars.append(parts)
    heads = {"method": "Method", "control": "Control", "win": "Wins", "tie": "Ties"}
    heads |= {"loss": "Losses", "n": "Runs", "n_seeds": "Seeds"}
    table = _make("Wins, ties and losses against each control", counts, heads)
    return table._replace(bars=bars, bar_name="Wins, ties, losses")


def curve_table(summary: pd.DataFrame) -> Table:
    """Lay out the quality of one problem's methods against density."""
    order = summary.sort_values(["is_reference", "density"], ascending=[False, False])
    found = order[~order["is_reference"]]
    densities = found.groupby("level", sort=False)["density"].median().sort_values(ascending=False)
    place = order["level"].where(order["level"].isin(densities.index), "own")
    texts = order.assign(place=place, text=[_spread(row) for row in order.itertuples()])
    grid = texts.groupby(["method", "place"])["text"].agg("; ".join).unstack()
    grid = grid.reindex(index=summary["method"].unique(), columns=[*densities.index, "own"])
    grid = grid.dropna(axis=1, how="all")
    heads = {level: _level_text(level, density) for level, density in densities.items()}
    columns = [Column("Method", False)]
    columns += [Column(heads.get(level, "its own density")) for level in grid]
    cells = [tuple(row) for row in grid.fillna(MISSING).reset_index().itertuples(index=False)]
    caption = "Quality after training by density: median (lowest to highest seed)"
    return Table(caption, columns, cells)


def cost_table(costs: pd.DataFrame) -> Table:
    """Lay out the result of `costs`."""
    best = costs["is_best"].map({True: "yes", False: ""})
    heads = {"method": "Method", "seconds": "Seconds", "weak": "Quality", "best": "Front"}
    return _make("Cost against quality", costs.assign(best=best), heads)


def median_table(summary: pd.DataFrame) -> Table:
    """Lay out the result of `medians`."""
    is_ticket = (summary["level"] == TICKET_LEVEL).map({True: "yes", False: ""})
    heads = {
        "problem": "Problem",
        "method": "Method",
        "density": "Density",
        "is_ticket": "Planted size",
        "n_kept": "Kept",
        "weak": "Weak",
        "weak_low": "Lowest",
        "weak_high": "Highest",
        "strong": "Strong",
        "strong_raw": "Raw",
        "overlap": "Overlap",
        "chance": "Chance",
        "effective_density": "Effective",
        "seconds": "Seconds",
        "n_seeds": "Seeds",
        "n_failed": "Failed",
        "n_collapsed": "Collapsed",
    }
    return _make("Medians over seeds", summary.assign(is_ticket=is_ticket), heads)


def run_table(frame: pd.DataFrame, rows: pd.DataFrame) -> Table:
    """Lay out all rows and columns. Only the last line of a traceback is shown."""
    numbers = {name: rows[name].array for name in NUMBERS}
    texts = frame.assign(**numbers, collapsed=rows["collapsed"].map({1: "yes", 0: "no"}).array)
    if "error" in frame:
        texts["error"] = frame["error"].map(last_line)
    return _make("Every run", texts, {name: str(name) for name in frame})


def last_line(error: object) -> str | None:
    """Return the last line of a traceback, which has the message."""
    lines = error.strip().splitlines() if isinstance(error, str) else []
    return lines[-1] if lines else None


def quality_text(metric: str, value: float) -> str:
    """Format a quality."""
    return _text(_QUALITY[metric], value)


def _make(caption: str, frame: pd.DataFrame, heads: Mapping[Any, str]) -> Table:
    """Make a table of the columns that are named in `heads`, under these heads."""
    texts = []
    for name in heads:
        values = frame[name]
        if name in _QUALITIES:
            forms: Iterable[str] = frame["metric"].map(_QUALITY)
        else:
            default = _COUNT if str(name).startswith("n_") else "{:.10g}"
            forms = [_FORMATS.get(name, default)] * len(frame)
        texts.append([_text(form, value) for form, value in zip(forms, values, strict=True)])
    columns = [
        Column(head, pd.api.types.is_numeric_dtype(frame[name])) for name, head in heads.items()
    ]
    return Table(caption, columns, list(zip(*texts, strict=True)))


def _text(form: str, value: Any) -> str:
    """Format a number; other values are text already."""
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return MISSING
    return form.format(value) if isinstance(value, Real) else str(value)


def _level_text(level: object, density: float) -> str:
    """Name a level by its density."""
    text = _FORMATS["density"].format(density)
    return f"{text} ({level})" if level == TICKET_LEVEL else text


def _spread(row: Any) -> str:
    """Format the median of a row of `medians`, with its range and what went wrong."""
    median, low, high = (
        quality_text(row.metric, value) for value in (row.weak, row.weak_low, row.weak_high)
    )
    text = f"{median} ({low} to {high})" if row.n_seeds > 1 else median
    wrong = {"failed": row.n_failed, "collapsed": row.n_collapsed}
    return ", ".join([text, *(f"{n:.0f} {what}" for what, n in wrong.items() if n)])


def _outcomes(rows: pd.DataFrame) -> tuple[str, str, str]:
    """Count the runs, those that failed and those that collapsed."""
    counts = (len(rows), rows["failed"].sum(), rows["collapsed"].sum())
    runs, failed, collapsed = (_COUNT.format(n) for n in counts)
    return runs, failed, collapsed


def _ranges(numbers: Iterable[int]) -> str:
    """Shorten sorted integers: "0 to 4, 7"."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1][1:] = [number]
        else:
            parts.append([number])
    return ", ".join(" to ".join(map(str, part)) for part in parts)
