"""`Store`: the finished rows of grids, in an SQLite file."""

import json
import os
import sqlite3
from collections.abc import Hashable
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, Self

import pandas as pd

from sklearn_tickets.benchmark._seek import COLUMNS

# Columns beside those of `seek`.
_MORE_COLUMNS = (
    "noise",
    "n_noise_features",
    "scaling",
    "n_samples",
    "n_rounds",
    "round_epochs",
    "final_epochs",
    "parameters",
    "sklearn_tickets_version",
    "torch_version",
    "error",
)

# Types that do not depend on which values are missing, of what is known before a row runs
SETUP_TYPES: dict[Hashable, Any] = {
    "depth": "Int64",
    "width": "Int64",
    "noise": float,
    "n_noise_features": "Int64",
    "n_samples": "Int64",
    "n_rounds": "Int64",
    "round_epochs": "Int64",
}
# and of what is measured.
_TYPES: dict[Hashable, Any] = {
    "density": float,
    "epochs": "Int64",
    "overlap": float,
    "chance": float,
    "collapsed": "boolean",
    "error": "string",
}

_APPLICATION_ID = int.from_bytes(b"tick")
_SCHEMA_VERSION = 1
_SCHEMA = (
    """CREATE TABLE run (
        key TEXT PRIMARY KEY,  -- hash of the setup
        setup TEXT NOT NULL,   -- JSON: what is run
        owner TEXT,            -- the process that is at it, or NULL once it is finished
        result TEXT,           -- JSON: what was measured
        error TEXT             -- the traceback, if it failed
    )""",
    "CREATE TABLE owner (id TEXT PRIMARY KEY)",  # processes that have not ended cleanly
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_SCHEMA_VERSION}",
)


class Store:
    """Results of `run_grid` in an SQLite file, which survives whatever ends a run.

    Several processes of one computer may use a store at the same time.

    Parameters
    ----------
    path : path-like
        The file. A new one is created with ``mode="a"``.
    mode : {"a", "r"}, default="a"
        "a" to add rows, "r" only to read: the file must exist.

    Attributes
    ----------
    path : Path
        The absolute path of the file.
    connection : sqlite3.Connection
        The connection to the database, for SQL of your own. The table ``run`` has the columns
        ``key``, ``setup`` and ``result`` (JSON), ``error`` (NULL unless the row failed), and
        ``owner`` (NULL unless a process is at the row).

    Raises
    ------
    ValueError
        If the file cannot be opened or written, is not a store, or has the schema of a newer
        version of this package.

    See Also
    --------
    run_grid : Run a grid, and store its rows.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn_tickets.benchmark import Store
    >>> with tempfile.TemporaryDirectory() as folder, Store(f"{folder}/store.sqlite") as store:
    ...     frame = store.to_frame()
    >>> len(frame)
    0
    """

    def __init__(self, path: str | os.PathLike[str], *, mode: Literal["a", "r"] = "a") -> None:
        if mode not in ("a", "r"):
            raise ValueError(f"mode must be 'a' or 'r'; got {mode!r}.")
        self.path = Path(path).absolute()
        try:
            self.connection = sqlite3.connect(
                f"{self.path.as_uri()}?mode={'rwc' if mode == 'a' else 'ro'}",
                uri=True,
                timeout=60,  # seconds to wait for another process that is writing
                isolation_level=None,  # each statement is a transaction
                check_same_thread=False,  # joblib asks for rows in a thread of its own
            )
            try:
                self._check(create=mode == "a")
            except BaseException:
                self.connection.close()
                raise
        except sqlite3.Error as error:
            action, remedy = "read", ""
            if mode == "a":
                action = "written"
                remedy = ", or a new one in a folder that exists and can be written to"
            raise ValueError(
                f"path={str(path)!r} cannot be {action} as a store of results ({error}); give a "
                f"file of `run_grid`{remedy}."
            ) from error

    def _check(self, create: bool) -> None:
        """Create the table in an empty file, and refuse files that are no store."""
        execute = self.connection.execute
        if create:
            execute("BEGIN IMMEDIATE")  # fails if the file cannot be written
            if not execute("SELECT * FROM sqlite_master").fetchall():
                for statement in _SCHEMA:
                    execute(statement)
        ((application,), (version,)) = (
            execute(f"PRAGMA {pragma}").fetchone() for pragma in ("application_id", "user_version")
        )
        if application != _APPLICATION_ID:
            raise ValueError(
                f"path={str(self.path)!r} is a database of another program; give another file."
            )
        if version > _SCHEMA_VERSION:
            raise ValueError(
                f"path={str(self.path)!r} was written by a newer version of sklearn-tickets (its "
                f"schema is {version}, the newest known here {_SCHEMA_VERSION}); upgrade the "
                "package, or give another file."
            )
        if create:
            execute("COMMIT")
            execute("PRAGMA journal_mode = WAL")  # readers and a writer do not wait for another

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. A ``with`` statement does it as well."""
        self.connection.close()

    def states(self) -> dict[str, str]:
        """Return the states of all rows.

        Returns
        -------
        states : dict of str to str
            "done", "failed", or "running" if a run is, or was, at the row, by the rows' keys.
        """
        return dict(
            self.connection.execute(
                """SELECT key, CASE WHEN owner IS NOT NULL THEN 'running'
                WHEN error IS NOT NULL THEN 'failed' ELSE 'done' END FROM run"""
            )
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the finished rows as a table.

        Returns
        -------
        frame : DataFrame of shape (n_rows, 30)
            The rows in the order in which they were begun, indexed by their keys. Failed rows have
            missing values. To the columns of `seek` are added

            - ``noise, n_noise_features, scaling, n_samples``: more of the planted problem; missing
              like ``depth, width, overlap, chance`` in rows of data without a planted ticket,
              whose names are in ``task``;
            - ``n_rounds, round_epochs``: the rounds of multi mode and the epochs of each, whose
              product is the epochs of learned mode; missing in other modes;
            - ``final_epochs``: the epochs of the ticket's training;
            - ``parameters``: JSON of the pruner's parameters that the grid sets to other values
              than the defaults;
            - ``sklearn_tickets_version, torch_version``: what ran the row;
            - ``error``: the traceback of a failed row.
        """
        finished = self.connection.execute(
            "SELECT key, setup, result, error FROM run WHERE owner IS NULL ORDER BY rowid"
        )
        with closing(finished):
            records = [
                {"key": key, "error": error} | json.loads(setup) | json.loads(result)
                for key, setup, result, error in finished
            ]
        frame = pd.DataFrame(records, columns=["key", *COLUMNS, *_MORE_COLUMNS]).set_index("key")
        frame["parameters"] = frame["parameters"].map(json.dumps)
        # That of a planted ticket is not known if the row failed early.
        frame["density"] = pd.to_numeric(frame["density"], errors="coerce")
        return frame.astype(SETUP_TYPES | _TYPES)
