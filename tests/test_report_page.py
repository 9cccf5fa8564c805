"""The report: statistics by hand, and a page that is safe, complete and pleasant to use."""

import re
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from sklearn_tickets.benchmark import COLUMNS, seek, write_report
from sklearn_tickets.benchmark._report_findings import best_ranks, findings, overlaps
from sklearn_tickets.benchmark._report_rows import merge_repeats, prepare_rows
from sklearn_tickets.benchmark._report_statistics import comparisons, costs, mean_ranks, medians
from sklearn_tickets.benchmark._report_words import (
    describe_costs,
    describe_curves,
    facts,
    mishaps,
)
from tests.browser import CHROMIUM, Browser
from tests.test_seek import GENERATOR, TINY

TICKET = 0.01


def row(pruner, mode="single", weak=0.5, *, task="circle", density=TICKET, seed=0, **others):
    """One row of a table."""
    own = {"task": task, "depth": 5, "width": 100, "seed": seed, "pruner": pruner, "mode": mode}
    own |= {"density": density, "n_kept": round(20_000 * density), "metric": "accuracy"}
    own |= {"strong": 0.25, "strong_raw": 0.2, "weak": weak, "overlap": 0.02, "chance": 0.01}
    own |= {"effective_density": density / 2, "collapsed": False, "seconds": 1.0}
    own |= {"trained_from": "weak", "epochs": 10}
    return own | others


def references(**problem):
    """The planted ticket and the shuffled one."""
    return [row("planted", "given", 0.9, **problem), row("shuffled", "given", 0.4, **problem)]


FAILED = dict.fromkeys(COLUMNS[COLUMNS.index("strong") :])  # after what is known before a run


def runs_of(rows):
    return merge_repeats(prepare_rows(pd.DataFrame(rows)))


def many_rows(n_rows, *, n_seeds=5):
    """A large table: circle and relu, twenty methods, five densities."""
    rng = np.random.RandomState(0)
    rows = []
    for width in range(100, 10_000):
        for task, metric in [("circle", "accuracy"), ("relu", "mse")]:
            for seed in range(n_seeds):
                problem = {"task": task, "width": width, "seed": seed, "metric": metric}
                rows += references(**problem)
                rows += [
                    row(pruner, mode, rng.uniform(), density=density, **problem)
                    | {"seconds": rng.uniform(), "strong": rng.uniform(), "overlap": rng.uniform()}
                    for density in (0.5, 0.2, 0.1, 0.05, TICKET)
                    for pruner in ("random", "snip", *"abcdefgh")
                    for mode in ("single", "multi")
                ]
                if len(rows) >= n_rows:
                    return pd.DataFrame(rows[:n_rows])
    raise AssertionError


def write(rows, path):
    write_report(pd.DataFrame(rows), path)
    return path.read_text()


# Statistics.


def test_mean_ranks_by_hand():
    qualities = {"a": [0.9, 0.8], "b": [0.7, 0.8], "c": [0.1, None]}
    rows = [
        row(name, weak=weak, seed=seed)
        for name, weaks in qualities.items()
        for seed, weak in enumerate(weaks)
    ]
    ranks = mean_ranks(runs_of(rows))
    assert ranks["method"].tolist() == ["a (single)", "b (single)", "c (single)"]
    # Equal qualities share ranks 1 and 2; the failed run is last.
    assert ranks["rank"].tolist() == [1.25, 1.75, 3]
    # Two seeds make samples with means 1, 1.25 and 1.5.
    assert ranks[["low", "high"]].to_numpy().tolist() == [[1, 1.5], [1.5, 2], [3, 3]]
    assert ranks.attrs == {"n_blocks": 2, "n_complete": 2}


def test_errors_rank_the_other_way_round():
    rows = [row(name, weak=weak, metric="mse") for name, weak in [("a", 1.0), ("b", 0.1)]]
    ranks = mean_ranks(runs_of(rows))
    assert ranks["method"].tolist() == ["b (single)", "a (single)"]
    assert ranks[["low", "high"]].isna().all(axis=None), "one seed has no interval"


def test_blocks_in_which_a_method_is_missing_do_not_count():
    rows = [row(name, weak=0.5, seed=seed) for name in "ab" for seed in range(2)]
    ranks = mean_ranks(runs_of(rows[:-1]))
    assert ranks.attrs == {"n_blocks": 2, "n_complete": 1}
    assert ranks["n_seeds"].tolist() == [1, 1]
    assert mean_ranks(runs_of(rows[:1])).empty


def test_wins_ties_and_losses_by_hand():
    rows = [row("random", mode, weak) for mode, weak in [("single", 0.3), ("multi", 0.5)]]
    rows += [row("a", weak=0.52), row("b", weak=0.51), row("c", weak=0.4), row("d", weak=None)]
    rows += [row("a", weak=0.9, density=0.5), row("planted", "given", 0.9, task="other")]
    counts = comparisons(runs_of([*rows, row("shuffled", "given", 0.4)]))
    by_name = counts.set_index(["control", "method"])[["win", "tie", "loss", "n"]]
    against = by_name.loc["random pruner"]
    # Better than the best mode by two points, by one, worse, failed; other densities have no
    # control.
    assert against.index.tolist() == ["a (single)", "b (single)", "c (single)", "d (single)"]
    assert against.to_numpy().tolist() == [[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1]]
    assert by_name.loc[("shuffled ticket", "random (multi)")].tolist() == [1, 0, 0, 1]
    assert "trained planted ticket" not in by_name.index.get_level_values(0)


def test_errors_within_a_tenth_are_ties():
    rows = [row("random", weak=0.1, metric="mse")]
    rows += [row(name, weak=weak, metric="mse") for name, weak in [("a", 0.092), ("b", 0.09)]]
    counts = comparisons(runs_of(rows)).set_index("method")
    assert counts["tie"].to_dict() == {"a (single)": 1, "b (single)": 0}
    assert counts["win"].to_dict() == {"a (single)": 0, "b (single)": 1}


def test_costs_by_hand():
    rows = [*references(), row("far", density=0.5, seconds=0.01)]
    rows += [row("a", weak=0.5, seconds=1), row("b", weak=0.4, seconds=2)]
    rows += [row("c", weak=0.6, seconds=3), row("d", weak=0.6, seconds=3), row("e", weak=None)]
    cost = costs(medians(runs_of(rows)))
    assert cost["name"].tolist() == ["a", "b", "c", "d"]
    assert cost["is_best"].tolist() == [True, False, True, False]
    # Without the size of the ticket, the lowest density.
    assert (
        costs(medians(runs_of([row("a", density=d) for d in (0.5, 0.2)])))["density"].item() == 0.2
    )


def test_repeated_rows_count_once():
    rows = [row("a", weak=weak) for weak in (0.5, 0.7, None)]
    runs = runs_of([*rows, row("a", weak=0.1, seed=1)])
    assert runs["weak"].tolist() == [0.6, 0.1]
    assert not runs["failed"].any()


def test_tickets_of_different_sizes_are_one_level():
    rows = [
        row(name, mode, density=TICKET + seed / 1000, seed=seed)
        for name, mode in [("planted", "given"), ("a", "single")]
        for seed in range(2)
    ]
    summary = medians(runs_of([*rows, row("a", density=0.5)])).set_index(["method", "level"])
    assert summary["n_seeds"].to_dict() == {
        ("planted", "ticket"): 2,
        ("a (single)", "ticket"): 2,
        ("a (single)", "0.5"): 1,
    }


def test_budgets_tell_problems_and_methods_apart():
    rows = [row("planted", "given", final_epochs=epochs) for epochs in (1, 2)]
    rows += [row("a", "multi", n_rounds=n, round_epochs=5, final_epochs=1) for n in (1, 2)]
    rows += [row("a", final_epochs=1)]
    prepared = prepare_rows(pd.DataFrame(rows).astype({"n_rounds": "Int64"}))
    assert prepared["problem"].str.extract("epochs (.)")[0].tolist() == ["1", "2", "1", "1", "1"]
    names = ["planted", "planted", "a, n_rounds=1 (multi)", "a, n_rounds=2 (multi)", "a (single)"]
    assert prepared["method"].tolist() == names


def test_names_tell_what_differs():
    rows = [
        row("a", parameters='{"k": 1, "lr": 0.1, "sparsity": 0.9}'),
        row("a", parameters='{"k": 2, "lr": 0.1, "sparsity": 0.8}', noise=0.5),
        row("a", "multi", parameters="not JSON", metric="mse"),
        row("planted", "given"),
    ]
    prepared = prepare_rows(pd.DataFrame(rows))
    assert prepared["method"].tolist() == [
        "a, k=1 (single)",
        "a, k=2 (single)",
        "a (multi)",
        "planted",
    ]
    start = "circle, depth 5, width 100, noise"
    assert prepared["problem"].tolist() == [
        f"{start} nan, accuracy",
        f"{start} 0.5",
        f"{start} nan, mse",
        f"{start} nan, accuracy",
    ]


# The sentences.


def said(rows):
    return list(findings(medians(runs_of(rows))))


def test_methods_are_measured_by_the_best_of_the_ticket():
    ruined = [row("planted", "given", 0.5, strong=0.99), row("a", weak=0.56)]
    comparison, ruin = said(ruined)
    assert comparison.startswith(
        "With as few parameters as the planted ticket, the best method is as good as the ticket, "
        "or better, on 0 of 1 problem."
    )
    assert ruin == "Training makes the planted ticket itself worse on 1 of 1 problem."
    untrained = row("b", weak=0.1, strong=0.985)
    assert "on 1 of 1 problem" in said([*ruined, untrained])[0]
    kept = [row("planted", "given", 0.9), row("a", weak=0.9)]
    assert len(said(kept)) == 1
    scaled = row("scaled", "given", 0.95)
    assert "on 0 of 1 problem" in said([*kept, scaled])[0]


def test_it_is_said_if_nobody_beats_the_constant_network():
    constant = row("constant", "given", 0.48, density=1e-4)
    rows = [constant, row("a", weak=0.48), row("b", weak=0.49, density=0.5)]
    assert said(rows) == [
        "After training, no method is better than the constant network, at any density, on 1 of 1 "
        "problem."
    ]
    assert not said([*rows, row("c", weak=0.6, density=0.5)])


def test_equal_ranks_are_shared():
    def ranked(rows):
        return list(best_ranks(mean_ranks(runs_of(rows))))

    assert ranked([row(name, weak=0.5) for name in "abcde"] + [row("f", weak=0.1)]) == [
        "5 methods share the best rank, 3.0 of 6 on average: a (single); b (single); c (single) "
        "and 2 more."
    ]
    seeds = [row(*run, seed=seed) for seed in range(3) for run in [("a",), ("b", "single", 0.4)]]
    # Two seeds have intervals, but too short ones.
    assert ranked(seeds[:4]) == ["a (single) ranks best, 1.0 of 2 on average."]
    assert ranked(seeds) == [
        "a (single) ranks best, 1.0 of 2 on average (95 % interval 1.0 to 1.0, which overlaps with "
        "that of none of 1 other method)."
    ]
    assert ranked(seeds[:1]) == []


def test_overlap_is_compared_with_chance():
    found = [row("a", overlap=0.02), row("b", overlap=0.03), row("c", overlap=0.9, density=0.5)]
    assert list(overlaps(runs_of([*references(), *found, row("d") | FAILED]))) == [
        "Overlap with the planted ticket, at its size: more than twice the chance level in 1 of 2 "
        "masks; at most 0.030 (b (single) on circle, depth 5, width 100, chance 0.010)."
    ]
    assert list(overlaps(runs_of(found))) == []


def test_collapsed_references_are_counted_apart():
    collapsed = {"collapsed": True}
    rows = [row("a") | collapsed, row("b"), row("constant", "given") | collapsed]
    assert next(mishaps(prepare_rows(pd.DataFrame(rows)))).startswith(
        "1 of 2 pruned networks and 1 of 1 reference collapsed:"
    )


def test_the_front_and_the_best_of_the_lowest_density_are_named():
    summary = medians(runs_of([row("a"), row("b", seconds=2.0), row("c", weak=0.4)]))
    assert "At the lowest density, 0.01, a (single); b (single) are best with 0.500." in (
        describe_curves(summary)
    )
    assert describe_costs(costs(summary)).endswith(
        "Front of speed and quality (no faster method is as good): a (single) (1 s, 0.500)."
    )


def test_settings_of_planted_problems_are_told_as_such():
    frame = pd.DataFrame([row("a", noise=0.01), row("a", task="digits", depth=None, width=None)])
    assert facts(frame)["noise (planted problems)"] == "0.01"
    assert facts(frame[:1])["noise"] == "0.01"


# The page.

NASTY = "</script><script>alert('x')</script>$a_b|*{{ 7 * 7 }}"

FRAMES = {
    "one run": [row("a")],
    "one seed": [*references(), row("random"), row("a"), row("a", density=0.5)],
    "all failed": [*references(), row("random") | FAILED, row("a") | FAILED],
    "everything failed": [row("planted", "given") | FAILED, row("a") | FAILED],
    "no method": references(),
    "collapsed": [row("a", collapsed=True, effective_density=0), row("b", seed=1)],
    "infinite error": [row("a", weak=np.inf, metric="mse"), row("b", weak=0.0, metric="mse")],
    "one finite error": [row("a", weak=np.inf, metric="mse"), row("b", weak=0.1, metric="mse")],
    "extra columns": [
        row("a", note="x", error=None),
        row("b", note=[1], error="E\nBad: no") | FAILED,
    ],
    "failed at once": [row("a") | FAILED | {"density": None, "metric": None}],
    "some failed at once": [row("a"), row("b") | FAILED | {"density": None, "metric": None}],
    "nasty names": [
        *references(task=NASTY),
        row(NASTY, task=NASTY, parameters='{"<b>": "<i>"}'),
        row(NASTY, task=NASTY, parameters='{"<b>": "$"}', error=NASTY),
    ],
}


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """The page of each of these tables, by its name."""
    folder = tmp_path_factory.mktemp("pages")
    return cache(lambda name: write(FRAMES[name], folder / "report.html"))


class Outline(HTMLParser):
    """The elements of a page, which must be closed, and its text."""

    EMPTY = {"meta", "link", "br", "input"}

    def __init__(self, page):
        super().__init__()
        self.elements, self.texts, self._open = [], [], []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self._open[-1] if self._open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("name", FRAMES)
def test_every_page_is_well_formed_accessible_and_alone(name, page_of):
    page = page_of(name)
    outline = Outline(page)
    tags = [tag for tag, _ in outline.elements]
    # Nothing is loaded, not even the name of a namespace looks like an address.
    assert not re.search(r"https?:|www\.|@import|\burl\((?!#)", page)
    assert not {"img", "iframe", "object", "embed", "form"} & set(tags)
    for _, attributes in outline.elements:
        assert not {"src", "srcset", "action", "onclick", "onload"} & set(attributes)
        assert attributes.get("href", "#").startswith(("#", "data:,"))
    ids = [attributes["id"] for _, attributes in outline.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = re.findall(r'href="#([^"]+)|aria-labelledby="([^"]+)', page)
    assert {target for pair in references for target in pair if target} <= {*ids}
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert max(np.diff(levels)) <= 1
    assert tags.count("main") == tags.count("header") == tags.count("footer") == 1
    assert tags.count("caption") == tags.count("table") > 0
    assert all("scope" in attributes for attributes in outline.all("th"))
    assert all("viewbox" in a and a["aria-hidden"] for a in outline.all("svg"))
    scripts = [attributes for attributes in outline.all("script") if "type" not in attributes]
    assert len(scripts) == 1, "names are no scripts"


def test_names_from_users_are_text(page_of):
    page = page_of("nasty names")
    outline = Outline(page)
    assert "alert('x')</script>" not in page
    headings = [text for tag, text in outline.texts if tag == "h3"]
    assert f"{NASTY}, depth 5, width 100" in headings
    assert f"{NASTY}, <b>=<i>" in [text for tag, text in outline.texts if tag == "li"]


def test_markdown_says_the_same(tmp_path):
    rows = [*references(), row("a", weak=0.876), row("random", weak=0.3), row("b|c") | FAILED]
    text, page = (write(rows, tmp_path / name) for name in ("report.md", "report.HTML"))
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("## ")] == [
        f"## {title}" for title in re.findall(r"<h2>(.*)</h2>", page.replace("All rows", "Medians"))
    ]
    closest = "a (single) | 0.876 | 0.250 | 0.900 | - | 0.300 | 0.400 | - |"
    assert f"| circle, depth 5, width 100 | {closest}" in lines
    assert "| b\\|c (single) | method | weak | 1 | 1 | 1 | 0 | 0.0 |" in lines
    widths = [re.sub(r"\\.", "", line).count("|") for line in lines]
    for head, width in zip(lines, widths, strict=True):
        assert width == 0 or head.startswith("|")
    nasty = write(FRAMES["nasty names"], tmp_path / "nasty.md")
    assert "<" not in nasty
    assert "&lt;/script&gt;" in nasty


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("one run", "There is nothing to rank"),
        ("one run", "There is one density of circle"),
        ("one run", "Without the planted ticket: circle, depth 5, width 100."),
        ("one run", "There is no comparison with the random pruner or the shuffled ticket or"),
        ("one seed", "One seed (n = 1) gives no intervals"),
        ("one seed", "There is one seed, so nothing tells how much results vary with it"),
        ("all failed", "2 runs of 4 failed"),
        ("all failed", "No method has a result"),
        ("no method", "Without methods: circle"),
        ("collapsed", "1 of 2 pruned networks collapsed: no input"),
        ("collapsed", "in 0 of 2 blocks"),
        ("infinite error", "2 results are errors of zero or infinity, which plots cannot show"),
        ("failed at once", "Of these, 1 failed before it was known how large their tickets are"),
        ("some failed at once", "They do not count in statistics"),
        ("extra columns", "Bad: no (1 run)"),
    ],
)
def test_what_is_missing_is_said(name, sentence, page_of):
    assert sentence in page_of(name)


def test_repeats_say_in_what_they_differ(tmp_path):
    rows = [row("a", torch="2.6"), row("a", torch="2.7"), row("b", torch="2.6")]
    page = write(rows, tmp_path / "report.html")
    assert "1 row repeats the problem, method, density and seed of another" in page
    assert "they differ in torch" in page
    assert "<dt>torch</dt><dd>2.6, 2.7</dd>" in page


def test_the_table_of_seek_makes_the_same_page_every_time(tmp_path):
    table = seek(GENERATOR, pruners=["random", "imp"], densities=[0.3, "ticket"], **TINY)
    pages = [write(table, tmp_path / "report.html") for _ in range(2)]
    assert pages[0] == pages[1]
    assert "planted ticket, untrained" in pages[0]
    table.to_csv(tmp_path / "seek.csv", index=False)
    assert write(pd.read_csv(tmp_path / "seek.csv"), tmp_path / "report.html") == pages[0]
    assert [path.name for path in tmp_path.glob("*")].count("report.html") == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns=["weak", "seed"]), "lacks the columns seed, weak; pass"),
        (lambda frame: frame[:0], "frame has no rows"),
        (lambda frame: frame.assign(metric="auc"), "'metric' of frame contains 'auc'; it must"),
        (lambda frame: frame.assign(mode="half"), "'mode' of frame contains 'half'; it must"),
        (
            lambda frame: frame.assign(weak="good"),
            "'weak' of frame contains 'good'; it must contain num",
        ),
        (lambda frame: frame.assign(density=1.5), "'density' of frame contains 1.5; it must"),
        (
            lambda frame: frame.assign(seed=None),
            "'seed' of frame contains nan; it must contain int",
        ),
        (lambda frame: frame.assign(mode=None), "'mode' of frame contains (None|nan); it must"),
        (lambda frame: frame.assign(density=None), "'density' of frame contains nan; it must"),
    ],
)
def test_bad_tables_are_named(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        write_report(change(pd.DataFrame(references())), tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_bad_paths_are_named(tmp_path):
    frame = pd.DataFrame(references())
    with pytest.raises(ValueError, match=r"has the extension '.pdf'; choose from .html, .htm, .md"):
        write_report(frame, tmp_path / "report.pdf")
    with pytest.raises(FileNotFoundError, match=r"no_folder/report.html' is in a folder that does"):
        write_report(frame, tmp_path / "no_folder" / "report.html")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(FileExistsError, match=r"folder.html' exists and is not a file"):
        write_report(frame, tmp_path / "folder.html")


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """The file of a page of 5,000 rows."""
    path = tmp_path_factory.mktemp("large") / "report.html"
    write_report(many_rows(5000), path)
    return path


def test_five_thousand_rows_stay_small(large):
    assert large.stat().st_size < 3e6


# In a browser.


@pytest.fixture(scope="module")
def browser(large, tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.url = large.as_uri()
        yield opened


def column(browser, table, number):
    """The texts of a column of a table in the page."""
    return browser.run(
        f"[...document.querySelectorAll('{table} tbody tr')]"
        f".map(row => row.cells[{number}].textContent)"
    )


def test_a_browser_opens_it_at_once_and_alone(browser):
    browser.open(browser.url)
    assert browser.seconds() < 2
    requests = {event["request"]["url"] for event in browser.of("Network.requestWillBeSent")}
    assert requests <= {browser.url, "data:,"}
    for trouble in ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
        assert not browser.of(trouble)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_never_scrolls_sideways(browser, width, scheme):
    browser.look(width, scheme=scheme)
    browser.open(browser.url)
    assert browser.run("document.documentElement.scrollWidth") <= width
    ground, text = browser.run(
        "['backgroundColor', 'color'].map(name => getComputedStyle(document.body)[name])"
    )
    ground, text = (np.mean([int(n) for n in re.findall(r"\d+", c)]) for c in (ground, text))
    assert (ground > text) == (scheme == "light")
    assert abs(ground - text) > 150


def test_tables_are_sorted_by_keyboard(browser):
    browser.open(browser.url)
    browser.run("document.querySelector('#ranks th:nth-child(3) button').focus()")
    before = [float(text) for text in column(browser, "#ranks", 2)]
    browser.press("Enter")
    head = "document.querySelector('#ranks th:nth-child(3)').getAttribute('aria-sort')"
    assert browser.run(head) == "ascending"
    assert [float(text) for text in column(browser, "#ranks", 2)] == sorted(before)
    browser.press("Enter")
    assert browser.run(head) == "descending"
    assert [float(text) for text in column(browser, "#ranks", 2)] == sorted(before)[::-1]


def test_rows_are_filtered_and_turned_over(browser):
    browser.open(browser.url)
    runs = "[data-source=runs]"
    tools = f"document.querySelector('{runs}').parentElement.previousElementSibling"
    status = f"{tools}.querySelector('[role=status]').textContent"
    assert browser.run(status) == "Rows 1 to 50 of 5,000 rows"
    browser.run(f"{tools}.querySelector('button:last-of-type').click()")
    assert browser.run(status) == "Rows 51 to 100 of 5,000 rows"
    browser.run(f"{tools}.querySelector('input').focus()")
    for key in "pruner:snip seed:3":
        browser.press(key)
    assert set(column(browser, runs, 4)) == {"snip"}
    assert set(column(browser, runs, 3)) == {"3"}
    assert re.fullmatch(r"Rows 1 to 50 of \d+ found, 5,000 in all", browser.run(status))
    browser.press("x")
    assert browser.run(status) == "0 found, 5,000 in all"
    assert column(browser, runs, 0) == []


def test_a_screen_reader_finds_tables_and_plots_by_name(browser):
    browser.open(browser.url)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    named = [(n["role"]["value"], n["name"]["value"]) for n in nodes if n.get("name")]
    roles = [node["role"]["value"] for node in nodes if "role" in node]
    assert {"main", "navigation", "banner", "contentinfo"} <= set(roles)
    assert all(name for role, name in named if role in ("table", "image", "searchbox", "button"))
    assert roles.count("image") >= 4
    assert ("table", "Every run") in named


def test_paper_shows_what_is_folded_up(browser):
    browser.open(browser.url)
    n_open = "document.querySelectorAll('details[open]').length"
    assert browser.run(n_open) == 0
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert browser.run(n_open) == browser.run("document.querySelectorAll('details').length") > 0
    browser.run("dispatchEvent(new Event('afterprint'))")
    assert browser.run(n_open) == 0
