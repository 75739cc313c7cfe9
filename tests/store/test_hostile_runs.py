"""A run.db that was made to harm its reader: one line, in bounded time and memory, and nothing of it is run."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from soak.errors import StoreError
from soak.measurements import SIGNALS, Reading
from soak.store import database
from soak.store.database import FILE_NAME
from soak.store.runs import create_run, open_run

FACTS = {"run": "r", "started": "2026-11-20T14:40:57+00:00", "soak": "0.1.0"}
RECURSIVE = "with recursive n(x) as (select 1 union all select x + 1 from n)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with create_run(tmp_path, **FACTS) as store:
        component = store.begin_component("decoder", "2026-11-20T14:41:00+00:00")
        store.write_readings(component, [Reading(n, n / 10, {"heap": 1e6, "rss": 3e7}) for n in range(4)])
    return tmp_path


def change(folder: Path, *statements: str) -> None:
    connection = sqlite3.connect(folder / FILE_NAME)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def refusal(folder: Path, read: Callable[[database.RunStore], object]) -> str:
    with pytest.raises(StoreError) as raised, open_run(folder) as store:
        read(store)
    text = str(raised.value)
    assert text.startswith(f"{folder / FILE_NAME}")
    assert "\n" not in text
    assert len(text) < 400
    return text


READERS = {
    "run": lambda store: store.read_run(so_far=True),
    "readings": lambda store: store.read_readings("decoder"),
    "lowest": lambda store: store.read_lowest("decoder", ("heap", "rss"), after=-1, points=10),
    "cycles": lambda store: store.cycles_read(),
    "names": lambda store: store.component_names(),
    "plan": lambda store: store.read_fact("plan"),
}


@pytest.mark.parametrize(
    "statements",
    [
        ("drop table fact", f"create view fact as {RECURSIVE} select x as name, x as value from n"),
        ("drop table component", f"create view component as {RECURSIVE} select x as id, 'a' as name from n"),
        (f"create view more as {RECURSIVE} select x from n",),
        ("create table more (x)",),
        ("create index more on reading (heap)",),
        ("create index more on component (abs(n_min))",),
        ("create trigger more after insert on fact begin delete from fact; end",),
        ("alter table component add column more text generated always as (upper(name)) virtual",),
        ("alter table reading add column more real check (more < 3)",),
        ("alter table reading add column more text",),
        ("alter table reading rename column heap to 'heap\"x'",),
        ("alter table fact rename to facts",),
        ("create virtual table more using fts5(text)",),
    ],
    ids=lambda statements: statements[-1][:40],
)
def test_a_database_that_defines_something_else_is_not_read(folder: Path, statements: tuple[str, ...]):
    """Before anything is read of it, so no view of it runs."""
    change(folder, *statements)

    assert "defines something else than a run of soak does" in refusal(folder, lambda _: None)


def test_a_table_that_is_not_defined_in_utf_8_is_not_read(folder: Path):
    """SQLite quotes what it cannot read, and Python then cannot read the quotation."""
    change(folder, "pragma wal_checkpoint")
    content = (folder / FILE_NAME).read_bytes()
    assert b"CREATE TABLE" in content
    (folder / FILE_NAME).write_bytes(content.replace(b"CREATE TABLE", b"CREATE \xffABLE"))

    assert "is damaged: its tables are not defined in UTF-8" in refusal(folder, lambda _: None)


@pytest.mark.parametrize(
    ("statement", "reader"),
    [
        ("update reading set heap = 9e999", "readings"),
        ("update reading set heap = -9e999", "lowest"),
        ("update reading set heap = -1e308 where cycle = 2", "lowest"),
        ("update reading set rss = 1e308 where cycle = 2", "readings"),
        ("update reading set heap = 'much' where cycle = 2", "readings"),
        ("update reading set heap = x'00ff' where cycle = 2", "lowest"),
        ("update reading set at_s = 9e999 where cycle = 2", "readings"),
        ("update reading set at_s = '<script>' where cycle = 2", "readings"),
        ("update reading set cycle = 'last' where cycle = 3", "readings"),
        ("update reading set cycle = 'last' where cycle = 3", "cycles"),
        ("update reading set cycle = 'last' where cycle = 3", "lowest"),
        ("update component set name = x'ff'", "names"),
        ("update component set name = x'ff'", "cycles"),
        ("update component set result = '{}'", "run"),
        ("update component set result = x'ff'", "run"),
        ("update fact set value = cast(x'ff' as text) where name = 'run'", "run"),
        ("update fact set value = '5' where name = 'run'", "run"),
        ("update fact set value = '1e999' where name = 'soak'", "run"),
        ("update fact set value = 'Infinity' where name = 'soak'", "run"),
        ("update fact set value = '[' || replace(hex(zeroblob(100000)), '0', '[')", "run"),
        ("insert into fact values ('plan', replace(hex(zeroblob(100000)), '00', '{\"a\":'))", "plan"),
        ("insert into fact values ('settings', replace(hex(zeroblob(70)), '00', '[') || hex(zeroblob(0)))", "run"),
        ("insert into fact values ('environment', '[]')", "run"),
        ("insert into fact values ('controls', '7')", "run"),
    ],
)
def test_what_is_no_number_no_text_or_no_document_is_named(folder: Path, statement: str, reader: str):
    change(folder, statement)

    refusal(folder, READERS[reader])


def test_a_value_of_a_gigabyte_is_not_read(folder: Path):
    change(folder, "insert into fact values ('plan', zeroblob(40000000))")

    assert "too big" in refusal(folder, READERS["plan"])


def test_reading_ends_when_it_takes_too_long(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "_LONGEST_S", -1.0)
    monkeypatch.setattr(database, "_LOOK_EVERY_STEPS", 1)

    assert "interrupted" in refusal(folder, READERS["readings"])


def test_a_run_of_a_version_with_other_signals_is_read(folder: Path):
    """Each has some that others do not know."""
    change(
        folder,
        "alter table reading rename column rss to some_other",
        "alter table reading rename column gc_objects to another",
    )

    with open_run(folder) as store:
        assert store.read_readings("decoder")[0].values == {"heap": 1e6}
        assert store.read_lowest("decoder", ("heap", "rss"), after=-1, points=10)[0] == {"cycle": 0, "heap": 1e6}
        store.write_readings(1, [Reading(9, 1.0, dict.fromkeys(SIGNALS, 1.0))])
        assert store.read_readings("decoder")[-1].values["heap"] == 1.0


@pytest.mark.integration
@pytest.mark.parametrize("command", ["show", "report", "export", "compare"])
def test_every_command_refuses_it_in_one_line(folder: Path, command: str):
    change(folder, "update reading set heap = 9e999", "update fact set value = '9' where name = 'run'")
    arguments = [command, str(folder), *([str(folder)] if command == "compare" else [])]

    ended = subprocess.run(
        [sys.executable, "-m", "soak", *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith(f"soak: {folder / FILE_NAME} is damaged: ")
