"""A sweep's table of jobs, in SQLite: what is to be done, done, failed, and how often.

It survives whatever ends the command. Whether a run is there is said by its folder; the table
knows the rest. Only the command that makes runs writes to it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from testbed.core.errors import OutputError, ParseError
from testbed.sweep import work

FILE = "jobs.sqlite"

NOT_COMPARED = "not compared"
"""Begins `Row.verified` if a second run was wanted but not made; the next command tries again."""

_COLUMNS = (
    "key, parameters, seed, state, deaths, failures, reason, worker, wall_s, size_bytes,"
    " fingerprint, verified"
)
_TABLE = """
CREATE TABLE IF NOT EXISTS job (
    key TEXT PRIMARY KEY,
    number INTEGER,             -- place in the sweep
    wanted INTEGER NOT NULL,    -- whether the latest command has it in its grid
    parameters TEXT NOT NULL,
    seed INTEGER NOT NULL,
    state TEXT NOT NULL,
    deaths INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    worker TEXT NOT NULL DEFAULT '',
    wall_s REAL,
    size_bytes INTEGER,
    fingerprint TEXT NOT NULL DEFAULT '',
    verified TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID
"""


class State(StrEnum):
    """Where a job stands."""

    TO_DO = "to do"
    DONE = "done"
    FAILED = "failed"
    """The run did not finish; the next command tries again."""
    SET_ASIDE = "set aside"
    """It ended its workers; only ``--again`` tries again."""


@dataclass(frozen=True)
class Row:
    """One job.

    Attributes:
        key: hash of its inputs; the name of the run's folder.
        parameters: of the run.
        seed: of the run.
        state: where it stands.
        deaths: workers that ended while they did it.
        failures: tries that failed.
        reason: of the last failure or death.
        worker: who made the run.
        wall_s: how long that took.
        size_bytes: of what is kept.
        fingerprint: of the run.
        verified: what a second run by another worker showed; empty: there was none.
    """

    key: str
    parameters: Mapping[str, Any]
    seed: int
    state: State
    deaths: int = 0
    failures: int = 0
    reason: str = ""
    worker: str = ""
    wall_s: float | None = None
    size_bytes: int | None = None
    fingerprint: str = ""
    verified: str = ""


class Jobs:
    """The table of a sweep's folder.

    Raises:
        OutputError: it cannot be written.
        ParseError: it is not a table of ours.
    """

    def __init__(self, home: Path) -> None:
        self._home, self._path = home, home / FILE
        with self._errors():
            self._table = sqlite3.connect(self._path, isolation_level=None)
            self._table.execute("PRAGMA synchronous = FULL")
            self._table.execute(_TABLE)

    def close(self) -> None:
        """Closes the file."""
        self._table.close()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OutputError(f"{self._path}: cannot be written: {error}") from None
        except sqlite3.DatabaseError as error:
            raise ParseError(str(self._path), "table", f"{error}; remove the file") from None

    def _set(self, key: str, **values: Any) -> None:
        names = ", ".join(f"{name} = ?" for name in values)
        with self._errors():
            self._table.execute(f"UPDATE job SET {names} WHERE key = ?", (*values.values(), key))

    def want(
        self, tasks: Iterable[tuple[str, Mapping[str, Any], int]], *, again: bool = False
    ) -> None:
        """Makes the sweep one of these jobs; what is there of them is done.

        Its fingerprint is what the run itself says: this table may be younger than the run.

        Args:
            tasks: key, parameters and seed of each.
            again: also try again what was set aside.
        """
        rows = [
            (key, number, json.dumps(dict(parameters)), seed, State.TO_DO)
            for number, (key, parameters, seed) in enumerate(tasks)
        ]
        with self._errors():
            self._table.execute("BEGIN IMMEDIATE")
            self._table.execute("UPDATE job SET wanted = 0")
            self._table.executemany(
                "INSERT INTO job (key, number, wanted, parameters, seed, state)"
                " VALUES (?, ?, 1, ?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET wanted = 1, number = excluded.number",
                rows,
            )
            retried = (State.FAILED, State.SET_ASIDE if again else State.FAILED)
            self._table.execute(
                "UPDATE job SET state = ?, deaths = 0, failures = 0, reason = ''"
                " WHERE wanted AND state IN (?, ?)",
                (State.TO_DO, *retried),
            )
            self._table.execute(
                "UPDATE job SET verified = '' WHERE wanted AND verified LIKE ?",
                (f"{NOT_COMPARED}%",),
            )
            for key, state in self._table.execute(
                "SELECT key, state FROM job WHERE wanted"
            ).fetchall():
                there = work.has(self._home, key)
                if there != (state == State.DONE):
                    now = State.DONE if there else State.TO_DO
                    found = work.fingerprint_of(self._home, key) if there else ""
                    self._table.execute(
                        "UPDATE job SET state = ?, fingerprint = ?, verified = '' WHERE key = ?",
                        (now, found, key),
                    )
            self._table.execute("COMMIT")

    def rows(self, state: State | None = None) -> list[Row]:
        """The sweep's jobs, in its order; of one state."""
        where, values = ("AND state = ?", (state,)) if state else ("", ())
        with self._errors():
            found = self._table.execute(
                f"SELECT {_COLUMNS} FROM job WHERE wanted {where} ORDER BY number", values
            )
            return [
                Row(key, json.loads(parameters), seed, State(state), *rest)
                for key, parameters, seed, state, *rest in found
            ]

    def counts(self) -> dict[State, int]:
        """Number of the sweep's jobs by state."""
        with self._errors():
            found = self._table.execute(
                "SELECT state, count(*) FROM job WHERE wanted GROUP BY state"
            )
            by_state = dict(found.fetchall())
        return {state: by_state.get(state, 0) for state in State}

    def mean_cost(self) -> tuple[float, float] | None:
        """Mean seconds and bytes of the runs that were made here; None: none was."""
        with self._errors():
            wall_s, size_bytes = self._table.execute(
                "SELECT avg(wall_s), avg(size_bytes) FROM job WHERE wall_s IS NOT NULL"
            ).fetchone()
        return None if wall_s is None else (wall_s, size_bytes)

    def done(self, key: str, worker: str, wall_s: float, size_bytes: int, fingerprint: str) -> None:
        """The run is there."""
        made = {"wall_s": wall_s, "size_bytes": size_bytes, "fingerprint": fingerprint}
        self._set(key, state=State.DONE, reason="", worker=worker, **made)

    def verified(self, key: str, text: str) -> None:
        """A second run was compared with the first one."""
        self._set(key, verified=text)

    def died(self, key: str, reason: str, most: int, count: int = 1) -> State:
        """Workers ended while they did this; after `most` of them the job is set aside."""
        return self._went_wrong(key, "deaths", reason, most, State.SET_ASIDE, count)

    def failed(self, key: str, reason: str, most: int) -> State:
        """A try failed; after `most` times the job is."""
        return self._went_wrong(key, "failures", reason, most, State.FAILED)

    def _went_wrong(
        self, key: str, column: str, reason: str, most: int, end: State, more: int = 1
    ) -> State:
        with self._errors():
            (count,) = self._table.execute(
                f"SELECT {column} FROM job WHERE key = ?", (key,)
            ).fetchone()
        state = end if count + more >= most else State.TO_DO
        self._set(key, state=state, reason=reason, **{column: count + more})
        return state
