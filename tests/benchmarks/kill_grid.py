"""Kill runs of a grid at random moments, and compare what is stored with an undisturbed run.

``python tests/benchmarks/kill_grid.py [kills] [together] [overhead]``
"""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from _common import run_sections

from sklearn_tickets.benchmark import Store, run_grid

# Sixty rows of some tenths of a second.
QUICK = """
tasks = "circle"
widths = 50
n_samples = 1_000
seeds = [0, 1, 2]
final_epochs = 3

[[grid]]
references = ["planted", "shuffled"]
pruners = ["random", "magnitude", "snip", "grasp"]
modes = "single"
densities = [0.3, 0.1, "ticket"]

[[grid]]
references = []
pruners = "imp"
modes = "multi"
densities = [0.3, 0.1, 0.03, 0.01, "ticket", 0.02]
rounds = 2
epochs = 1
"""


def start(file: Path, store: Path, *, n_jobs: int = 2) -> subprocess.Popen:
    """Start the command in a session of its own."""
    command = [sys.executable, "-m", "sklearn_tickets", "grid", str(file)]
    command += ["--store", str(store), "--jobs", str(n_jobs)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)


def n_stored(store: Path) -> int:
    """Count the finished rows."""
    if not store.exists():
        return 0
    with closing(sqlite3.connect(store)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM run WHERE owner IS NULL").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def compare(store: Path, reference: pd.DataFrame) -> str:
    """Compare a finished store with the table of an undisturbed run."""
    with Store(store, mode="r") as opened:
        frame = opened.to_frame()
        check = opened.connection.execute("PRAGMA integrity_check").fetchone()[0]
        n_rows = opened.connection.execute("SELECT count(*) FROM run").fetchone()[0]
    assert n_rows == len(frame) == len(reference)
    assert frame.index.is_unique
    pd.testing.assert_frame_equal(
        frame.loc[reference.index].drop(columns="seconds"),
        reference.drop(columns="seconds"),
        check_exact=True,
    )
    return f"{n_rows} rows, equal to the undisturbed run, integrity_check {check}"


def undisturbed(folder: Path) -> tuple[Path, pd.DataFrame, float]:
    """Write the grid of quick rows, run it, and return its file, table and wall time."""
    file, store = folder / "grid.toml", folder / "undisturbed.sqlite"
    file.write_text(QUICK)
    began = time.perf_counter()
    assert start(file, store).wait() == 0
    seconds = time.perf_counter() - began
    with Store(store, mode="r") as opened:
        table = opened.to_frame()
    print(
        f"undisturbed: {len(table)} rows in {seconds:.0f} s, "
        f"{table['seconds'].median():.2f} s each (median)",
        flush=True,
    )
    return file, table, seconds


def kills() -> None:
    """Kill a grid of sixty rows at twenty random moments."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, table, _ = undisturbed(folder)
        store = folder / "killed.sqlite"
        rng = np.random.RandomState(0)
        # Random moments: after as many rows as drawn, and some milliseconds.
        for n_rows in np.sort(rng.choice(len(table), 20, replace=False)):
            process = start(file, store)
            while n_stored(store) < n_rows and process.poll() is None:
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.5))
            # The run only; its workers end by themselves.
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            print(f"killed with {n_stored(store)} rows stored", flush=True)
        assert start(file, store).wait() == 0
        print("killed 20 times:", compare(store, table), flush=True)
        left = sorted(path.name for path in folder.glob("killed*"))
        print("files:", ", ".join(left), flush=True)


def together() -> None:
    """Run the grid twice at once on one store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file, table, _ = undisturbed(folder)
        store = folder / "shared.sqlite"
        runs = [start(file, store, n_jobs=1) for _ in range(2)]
        assert [run.wait() for run in runs] == [0, 0]
        print("two runs at once:", compare(store, table), flush=True)


def overhead() -> None:
    """Run a grid whose fits take no time: what is left is the planting and the store."""
    rng = np.random.RandomState(0)
    measured = dict.fromkeys(("strong", "strong_raw", "weak", "overlap", "chance"), rng.rand())
    grid = {"seeds": range(10), "references": "planted", "pruners": ["snip", "imp"]}
    with patch("sklearn_tickets.benchmark._grid.execute", lambda key, *_: (key, [measured])):
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/a.sqlite") as store:
                began, cpu_began = time.perf_counter(), time.process_time()
                n_rows = len(run_grid(grid, store, callback=lambda done, total: None))
                cpu = (time.process_time() - cpu_began) / n_rows
                wall = (time.perf_counter() - began) / n_rows
            print(
                f"{n_rows} rows: {1e3 * cpu:.1f} ms of CPU time and {1e3 * wall:.1f} ms of wall "
                "time per row, without the fits",
                flush=True,
            )


if __name__ == "__main__":
    run_sections(__doc__, [kills, together, overhead])
