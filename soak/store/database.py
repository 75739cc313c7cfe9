"""Write a run while it is measured, and read it back.

A run may be another's, or damaged. So nothing of a database is read before it is known to define what soak defines and
nothing else, and what is read is checked: text for numbers, numbers that are infinite, JSON without end.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from soak.documents import FAULTS, from_document, parse, to_document
from soak.errors import StoreError
from soak.inside.clock import RealTime
from soak.measurements import SIGNALS, Reading
from soak.results import SCHEMA_VERSION as REPORT_SCHEMA
from soak.results import ComponentResult, RunResult
from soak.store.schema import DDL, SCHEMA_VERSION, signals_of

FILE_NAME = "run.db"
_SO_FAR = "so_far/"
"""Begins the names of the facts that hold what can be said of components at work."""
_APPLICATION_ID = 0x536F616B  # "Soak": tells a run from other databases, also for the command `file`
_LONGEST_S, _LOOK_EVERY_STEPS = 60.0, 200_000
"""What one reading or writing may take; a file can be made such that it takes for ever."""
_LONGEST_REASON = 200
"""Characters; SQLite and Python name what they cannot read whole."""
_LARGEST_VALUE_BYTES = 32 * 2**20
_LARGEST_NUMBER = 2.0**80
"""Nothing that a machine counts is larger, and the sum of a few larger ones may be infinite."""


class RunStore:
    """The database of one run. Several threads may use it; every call is one transaction."""

    def __init__(self, path: Path, *, create: bool, read_only: bool = False) -> None:
        """Open ``path``, or create it. Raises StoreError when it is not a run, or was written by a newer soak.

        ``read_only``: change nothing, not even if no other process has it open.
        """
        self._path = path
        self._lock = threading.Lock()
        self._columns: tuple[str, ...] = tuple(SIGNALS)
        self._ends_s = RealTime.monotonic() + _LONGEST_S
        if not create and not path.is_file():
            raise StoreError(f"{path.parent} is not a run: it has no {path.name}")
        try:
            self._connection = _connect(path, read_only=read_only)
        except sqlite3.Error as error:
            raise StoreError(f"{path} cannot be opened: {error}") from error
        try:
            with self._translated():
                self._guard()
                if create:
                    self._create()
                else:
                    self._check()
        except StoreError:
            self._connection.close()
            raise

    def _guard(self) -> None:
        """Give a database no way to run code, to take much memory, or to take for ever."""
        connection = self._connection
        connection.execute("pragma trusted_schema = off")
        connection.execute("pragma cell_size_check = on")
        if sys.version_info >= (3, 12):
            connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE)
        for limit, most in (
            (sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST_VALUE_BYTES),
            (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 32),
            (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1),
            (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
        ):
            connection.setlimit(limit, most)
        connection.set_progress_handler(lambda: RealTime.monotonic() > self._ends_s, _LOOK_EVERY_STEPS)

    def _create(self) -> None:
        # With a write-ahead log a commit is one append, and the database is whole whenever the process is killed.
        self._connection.execute("pragma journal_mode = wal")
        # Without a sync at each commit, only a power failure loses the last seconds; the file is whole even then.
        self._connection.execute("pragma synchronous = normal")
        self._connection.executescript(DDL)
        self._connection.execute(f"pragma application_id = {_APPLICATION_ID}")
        self._connection.execute(f"pragma user_version = {SCHEMA_VERSION}")

    def _check(self) -> None:
        application = self._connection.execute("pragma application_id").fetchone()[0]
        version = self._connection.execute("pragma user_version").fetchone()[0]
        if application != _APPLICATION_ID:
            raise StoreError(f"{self._path} was not written by soak")
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"{self._path} has layout {version}, written by a newer soak; this one reads up to {SCHEMA_VERSION}"
            )
        found = signals_of(self._connection.execute("select type, name, sql from sqlite_schema"))
        if found is None:
            raise StoreError(f"{self._path} is damaged: it defines something else than a run of soak does")
        self._columns = tuple(name for name in SIGNALS if name in found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; SQLite then merges the write-ahead log into it."""
        with self._lock:
            self._connection.close()

    def write_facts(self, **facts: Any) -> None:
        """Write facts of the run (JSON values); a later value replaces an earlier one."""
        with self._transaction() as connection:
            connection.executemany(
                "insert or replace into fact values (?, ?)", [(name, json.dumps(v)) for name, v in facts.items()]
            )

    def begin_component(self, name: str, started: str) -> int:
        """Create the row of a component and return its id. A component that began before loses its readings."""
        with self._transaction() as connection:
            row = connection.execute(
                "insert into component (name, started) values (?, ?) "
                "on conflict (name) do update set started = excluded.started, n_min = null, result = null returning id",
                (name, started),
            ).fetchone()
            connection.execute("delete from reading where component_id = ?", row)
            return int(row[0])

    def write_n_min(self, component_id: int, n_min: int) -> None:
        """Write the n_min that was fixed; it is needed when the readings are judged again."""
        with self._transaction() as connection:
            connection.execute("update component set n_min = ? where id = ?", (n_min, component_id))

    def write_readings(self, component_id: int, readings: Iterable[Reading], *, completes: bool = False) -> None:
        """Append the readings of checkpoints.

        ``completes``: one whose cycle was written before gives that its values; else it is refused.
        """
        names = self._columns
        rows = [
            (component_id, reading.cycle, reading.at_s, *(reading.values.get(name) for name in names))
            for reading in readings
        ]
        insert = (
            f"insert into reading (component_id, cycle, at_s{''.join(f', {name}' for name in names)}) "
            f"values ({', '.join('?' * (len(names) + 3))})"
        )
        if completes:
            values = ", ".join(f"{name} = coalesce(excluded.{name}, {name})" for name in names)
            insert += f" on conflict (component_id, cycle) do update set {values}"
        with self._transaction() as connection:
            connection.executemany(insert, rows)

    def write_so_far(self, result: ComponentResult) -> None:
        """Write what can be said so far of a component at work; its result replaces it."""
        self.write_facts(**{f"{_SO_FAR}{result.name}": to_document(result)})

    def write_result(self, component_id: int, result: ComponentResult) -> None:
        """Write the result of a component."""
        with self._transaction() as connection:
            connection.execute("delete from fact where name = ?", (f"{_SO_FAR}{result.name}",))
            connection.execute(
                "update component set result = ? where id = ?", (json.dumps(to_document(result)), component_id)
            )

    def component_names(self) -> list[str]:
        """Return the names of all components that began, in the order in which they did."""
        with self._transaction() as connection:
            return [self._text(row[0]) for row in connection.execute("select name from component order by id")]

    def cycles_read(self) -> dict[str, int | None]:
        """Map each component that began to the cycle of its last checkpoint; None when it has none."""
        with self._transaction() as connection:
            rows = connection.execute(
                "select name, (select max(cycle) from reading where component_id = id) from component order by id"
            ).fetchall()
        return {self._text(name): None if cycle is None else int(self._number(cycle)) for name, cycle in rows}

    def read_fact(self, name: str) -> Any:
        """Return a fact of the run; None when it was never written. Raises StoreError when it is damaged."""
        with self._transaction() as connection:
            row = connection.execute("select value from fact where name = ?", (name,)).fetchone()
        try:
            return None if row is None else parse(row[0])
        except FAULTS as error:
            raise self._damaged(error) from error

    def read_readings(self, component: str) -> list[Reading]:
        """Return the readings of a component's checkpoints, in order."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"select cycle, at_s{''.join(f', {name}' for name in self._columns)} from reading "
                "where component_id = (select id from component where name = ?) order by cycle",
                (component,),
            ).fetchall()
        return [
            Reading(int(self._number(row[0])), self._number(row[1]), self._values(self._columns, row[2:]))
            for row in rows
        ]

    def _values(self, names: Sequence[str], row: Sequence[Any]) -> dict[str, float]:
        return {name: self._number(value) for name, value in zip(names, row, strict=True) if value is not None}

    def _number(self, value: Any) -> float:
        if not isinstance(value, int | float) or not abs(value) < _LARGEST_NUMBER:  # nor is NaN
            raise self._damaged(ValueError(f"{value!r:.40} is not a number of a reading"))
        return value

    def _text(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self._damaged(ValueError(f"{value!r:.40} is no text"))
        return value

    def _damaged(self, error: Exception) -> StoreError:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        return StoreError(f"{self._path} is damaged: {' '.join(reason.split())[:_LONGEST_REASON]}")

    def read_lowest(self, component: str, signals: Sequence[str], *, after: int, points: int) -> list[dict[str, float]]:
        """Return the readings after a cycle, in order, each as its ``cycle`` and those signals that were read.

        Where there are more than ``points``, the cycles are cut into as many equal stretches, and of each the lowest
        value of every signal is given, with the last cycle.
        """
        signals = [name for name in signals if name in self._columns]
        lowest = "".join(f", min({name})" for name in signals)
        whose = "component_id = (select id from component where name = ?) and cycle > ?"
        with self._transaction() as connection:
            count, *ends = connection.execute(
                f"select count(*), min(cycle), max(cycle) from reading where {whose}", (component, after)
            ).fetchone()
            first, last = (0 if end is None else self._number(end) for end in ends)
            stretch = max((last - first + 1) / points, 1.0) if count > points else 1.0
            rows = connection.execute(
                f"select max(cycle){lowest} from reading where {whose} "
                "group by cast((cycle - ?) / ? as integer) order by 1",
                (component, after, first, stretch),
            ).fetchall()
        return [self._values(("cycle", *signals), row) for row in rows]

    def read_run(self, *, so_far: bool = False) -> RunResult:
        """Return the run as far as it was measured, without components that have no result.

        ``so_far``: with what can be said of components that are at work, or were when the run was cut off.
        """
        unfinished = f"(select value from fact where fact.name = '{_SO_FAR}' || component.name)" if so_far else "null"
        with self._transaction() as connection:
            stored = dict(connection.execute("select name, value from fact").fetchall())
            results = connection.execute(
                f"select coalesce(result, {unfinished}) as found from component where found is not null order by id"
            ).fetchall()
        try:
            facts = {name: parse(value) for name, value in stored.items()}
            document = {"environment": {}, "settings": {}, "finished": None, "controls": None, "parts": None, **facts}
            document |= {
                "schema": REPORT_SCHEMA,
                "folder": str(self._path.parent),
                "components": [parse(row[0]) for row in results],
                "is_running": False,
            }
            return from_document(RunResult, document)
        except FAULTS as error:
            raise self._damaged(error) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._translated():
            self._ends_s = RealTime.monotonic() + _LONGEST_S
            self._connection.execute("begin")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")
                raise
            self._connection.execute("commit")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {' '.join(str(error).split())[:_LONGEST_REASON]}") from error
        except UnicodeDecodeError as error:
            # Python fails like this if SQLite quotes a damaged table in its message.
            raise StoreError(f"{self._path} is damaged: its tables are not defined in UTF-8") from error


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Connect to a database; read-only when that is asked for, or its folder cannot be written to."""
    place, is_address = str(path), False
    has_log = path.with_name(f"{path.name}-wal").exists()
    if path.is_file() and not has_log and (read_only or not os.access(path.parent, os.W_OK)):
        # SQLite needs to create files beside a database that has a write-ahead log, unless it is told that the database
        # will not change. While a run is measured the log is there.
        place, is_address = f"file:{quote(str(path))}?immutable=1", True
    elif read_only:
        place, is_address = f"file:{quote(str(path))}?mode=ro", True
    return sqlite3.connect(place, check_same_thread=False, isolation_level=None, uri=is_address)
