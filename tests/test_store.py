"""Stores: what they refuse, and that they survive killed runs and several at once."""

import multiprocessing
import os
import signal
import sqlite3
import time
from pathlib import Path

import pandas as pd
import pytest

from sklearn_tickets.benchmark import Store, run_grid
from sklearn_tickets.benchmark._claims import Claims
from tests.test_grid import TINY_GRID

GRID = [
    TINY_GRID | {"seeds": range(4), "pruners": ["random", "snip"], "modes": "single"},
    {"data": "wine", "pruners": ["random", "snip"], "modes": "single", "final_epochs": 2},
]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The table of a run that nothing disturbs."""
    with Store(tmp_path_factory.mktemp("undisturbed") / "store.sqlite") as store:
        return run_grid(GRID, store)


def check(path, undisturbed):
    """Check that a store has what an undisturbed run has, and that its folder is tidy."""
    with Store(path) as store:
        frame = store.to_frame()
        assert store.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert set(store.states().values()) == {"done"}
    assert frame.index.is_unique
    pd.testing.assert_frame_equal(
        frame.loc[undisturbed.index].drop(columns="seconds"),
        undisturbed.drop(columns="seconds"),
        check_exact=True,
    )
    assert len(frame) == len(undisturbed)
    assert os.listdir(path.parent) == [path.name]


def run(path):
    """Run the grid into the store of that path."""
    with Store(path) as store:
        run_grid(GRID, store)


# Where processes cannot be forked, tests/benchmarks/kill_grid.py does the same more slowly.
@pytest.fixture(scope="module")
def process():
    """Start a process that runs the grid."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork")
    context = multiprocessing.get_context("fork")

    def start(path):
        started = context.Process(target=run, args=(path,))
        started.start()
        return started

    return start


def n_finished(path):
    """Count the finished rows of a store that may not exist yet."""
    if not path.exists():
        return 0
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT count(*) FROM run WHERE owner IS NULL").fetchone()[0]
    except sqlite3.OperationalError:  # The table is not there yet, or the file is locked.
        return 0
    finally:
        connection.close()


# Python warns of threads, such as those of earlier tests, in processes that fork.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_killed_runs_lose_nothing(process, tmp_path, undisturbed):
    path = tmp_path / "store.sqlite"
    for n_rows in (0, 3, 6):
        killed = process(path)
        while n_finished(path) < n_rows:
            time.sleep(0.001)
        os.kill(killed.pid, signal.SIGKILL)
        killed.join()
    assert n_finished(path) >= 6
    run(path)
    check(path, undisturbed)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_two_runs_share_a_store(process, tmp_path, undisturbed):
    path = tmp_path / "store.sqlite"
    runs = [process(path), process(path)]
    for each in runs:
        each.join()
        assert each.exitcode == 0
    check(path, undisturbed)


def test_no_row_is_taken_twice_while_its_owner_lives(tmp_path):
    with Store(tmp_path / "store.sqlite") as mine, Store(tmp_path / "store.sqlite") as yours:
        with Claims(mine) as first, Claims(yours) as second:
            assert first.take("a", {})
            second.free_abandoned()
            assert not second.take("a", {})
            assert second.unfinished(["a", "b"]) == ["a", "b"]
            assert mine.states() == {"a": "running"}
            first.finish("a", {"weak": 0.5})
            assert second.unfinished(["a", "b"]) == ["b"]
            assert first.take("b", {})
        assert mine.states() == {"a": "done"}  # what a run has not finished is free in the end


def test_rows_of_the_dead_are_freed(tmp_path):
    with Store(tmp_path / "store.sqlite") as store:
        dead = Claims(store).__enter__()
        dead._lock.release()  # as if its process had been killed
        assert dead.take("a", {})
        with Claims(store) as claims:
            assert not claims.take("a", {})
            claims.free_abandoned()
            assert claims.take("a", {})
            dead.finish("a", {"weak": 0.5})  # comes too late
            assert store.states() == {"a": "running"}


def test_stores_are_read_without_being_changed(tmp_path, undisturbed):
    path = tmp_path / "store.sqlite"
    run(path)
    with Store(path, mode="r") as store:
        assert store.path == path
        pd.testing.assert_frame_equal(
            store.to_frame().drop(columns="seconds"), undisturbed.drop(columns="seconds")
        )
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            store.connection.execute("DELETE FROM run")


def test_tables_survive_a_csv_file(tmp_path, undisturbed):
    undisturbed.to_csv(tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv", index_col="key", dtype=dict(undisturbed.dtypes))
    pd.testing.assert_frame_equal(read, undisturbed, check_exact=True)


def foreign(path):
    """Make a database of another program."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE something (x)")
    connection.close()


def newer(path):
    """Make a store of a newer version."""
    with Store(path) as store:
        store.connection.execute("PRAGMA user_version = 2")


@pytest.mark.parametrize("mode", ["a", "r"])
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (foreign, "is a database of another program"),
        (newer, "was written by a newer version of sklearn-tickets"),
        (lambda path: path.write_text("no database " * 100), "file is not a database"),
        (Path.mkdir, "as a store of results"),
    ],
)
def test_what_is_no_store_is_refused_and_left_alone(make, message, mode, tmp_path):
    path = tmp_path / "store.sqlite"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(ValueError, match=message):
        Store(path, mode=mode)
    assert before == (path.read_bytes() if path.is_file() else None)


def test_a_store_is_made_only_where_it_can_be(tmp_path):
    with pytest.raises(ValueError, match=r"cannot be written as a store .*unable to open"):
        Store(tmp_path / "no" / "store.sqlite")
    with pytest.raises(ValueError, match=r"cannot be read as a store .*unable to open"):
        Store(tmp_path / "store.sqlite", mode="r")
    with pytest.raises(ValueError, match="mode must be 'a' or 'r'; got 'w'"):
        Store(tmp_path / "store.sqlite", mode="w")
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_refused(tmp_path):
    path = tmp_path / "store.sqlite"
    Store(path).close()
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        pytest.skip("root may write to all files")
    with pytest.raises(ValueError, match=r"cannot be written as a store .*readonly"):
        Store(path)
