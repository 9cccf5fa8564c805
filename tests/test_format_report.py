"""The seek table as text."""

import pandas as pd
import pytest

from sklearn_tickets.benchmark import format_report, seek
from tests.test_seek import CLASSIC, GENERATOR, TINY


@pytest.fixture(scope="module")
def table():
    """All classic pruners, on one small problem."""
    return seek(GENERATOR, pruners=CLASSIC, densities=[0.3, "ticket"], **TINY)


def test_report_shows_every_row_in_plain_aligned_text(table):
    lines = format_report(table).split("\n")
    assert lines[0].startswith("relu, depth 5, width 12, seed 3: mean squared error")
    assert max(map(len, lines)) <= 126
    assert all(line.isascii() for line in lines)
    head, blank, *body = lines[2:]
    assert head.split()[:5] == ["pruner", "mode", "trained", "from", "epochs"]
    assert blank == ""
    blocks = "\n".join(body).split("\n\n")
    assert [len(block.split("\n")) for block in blocks[:3]] == [5, 10, 10]
    end = head.index("weak") + len("weak")
    for line in "\n".join(blocks[:3]).split("\n"):
        assert float(line[:end].split()[-1]) > 0
        assert line[end : end + 1] == " "
    assert sum(line.endswith("collapsed") for line in body) == table["collapsed"].sum()


def test_report_gives_every_problem_a_part(table):
    report = format_report(pd.concat([table, table.assign(seed=4)]))
    assert report.count("pruner ") == 2
    assert "seed 3" in report
    assert "seed 4" in report
