"""`Claims`: what runs of grids on one store are at, so that no two do the same."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from filelock import FileLock, Timeout

from sklearn_tickets.benchmark._store import Store


class Claims:
    """The rows that one run of a grid is at. No other run takes them while it lives.

    A run holds the lock on a file of its own, which the operating system releases however the
    process ends. A claimed row names its owner; whoever gets the owner's lock knows that it is
    dead, and frees its rows.

    Parameters
    ----------
    store : Store
        The store, open for writing.
    """

    def __init__(self, store: Store) -> None:
        self._path = store.path
        self._execute = store.connection.execute
        self._states = store.states
        self._owner = uuid4().hex
        self._lock = self._lock_of(self._owner)

    def _lock_of(self, owner: str) -> FileLock:
        return FileLock(f"{self._path}-{owner}.lock", timeout=0)

    def __enter__(self) -> Self:
        self._lock.acquire()
        self._execute("INSERT INTO owner VALUES (?)", (self._owner,))
        return self

    def __exit__(self, *error: object) -> None:
        self._free(self._owner)
        self._lock.release()

    def _free(self, owner: str) -> None:
        """Free the rows of a run whose lock this process holds, and forget the run."""
        self._execute("DELETE FROM run WHERE owner = ?", (owner,))
        with suppress(OSError):  # Windows removes the file when it is closed.
            Path(self._lock_of(owner).lock_file).unlink()
        self._execute("DELETE FROM owner WHERE id = ?", (owner,))

    def release(self) -> list[str]:
        """Free the rows that this run is at, and return their keys."""
        freed = self._execute("DELETE FROM run WHERE owner = ? RETURNING key", (self._owner,))
        return [key for (key,) in freed]

    def forget_failures(self, keys: Iterable[str]) -> None:
        """Remove failed rows, so that they can be taken again."""
        for key in keys:
            self._execute("DELETE FROM run WHERE key = ? AND error IS NOT NULL", (key,))

    def unfinished(self, keys: Iterable[str]) -> list[str]:
        """Select the rows that have neither succeeded nor failed."""
        finished = {key for key, state in self._states().items() if state != "running"}
        return [key for key in keys if key not in finished]

    def free_abandoned(self) -> None:
        """Free the rows of runs that have died. No row of this one may be in progress."""
        self.release()
        others = self._execute("SELECT id FROM owner WHERE id != ?", (self._owner,)).fetchall()
        for (owner,) in others:
            with suppress(Timeout), self._lock_of(owner):  # of a run that lives
                self._free(owner)

    def take(self, key: str, setup: Mapping[str, Any]) -> bool:
        """Claim a row; return whether it was free."""
        claimed = self._execute(
            "INSERT INTO run (key, setup, owner) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (key, json.dumps(setup), self._owner),
        )
        return claimed.rowcount == 1

    def finish(self, key: str, result: Mapping[str, Any]) -> None:
        """Store the result of a claimed row, or the "error" in it, in one transaction."""
        measured = dict(result)
        error = measured.pop("error", None)
        self._execute(
            "UPDATE run SET owner = NULL, result = ?, error = ? WHERE key = ? AND owner = ?",
            (json.dumps(measured, default=lambda scalar: scalar.item()), error, key, self._owner),
        )
