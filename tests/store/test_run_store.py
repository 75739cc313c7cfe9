"""run.db: data comes back as written, committed data survives, other files are refused in one line."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soak.documents import to_document
from soak.errors import StoreError, UsageError
from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS, Reading
from soak.results import Blank, ComponentResult, Controls, Failure, Pacing, Part, Parts, Spike, TrackerState
from soak.store.database import FILE_NAME, RunStore
from soak.store.runs import create_run, find_run, list_runs, new_run_folder, open_run
from soak.store.schema import DDL
from soak.verdict import Verdict

ROOT = Path(__file__).parents[2]
FACTS = {"run": "r", "started": "2026-11-20T14:40:57+00:00", "soak": "0.1.0"}
NOW = datetime(2026, 11, 20, 14, 40, 57)  # noqa: DTZ001 - the folder is named by the local time
COUNTED = st.floats(-(2.0**79), 2.0**79)
"""What a reading may be."""


def a_result(name: str = "decoder", **changes: Any) -> ComponentResult:
    fields: dict[str, Any] = {
        "name": name,
        "target": f"drive_{name}.py",
        "verdict": Verdict.FAILED,
        "grounds": (Ground(GroundKind.DRIVER_FAILED),),
        "decided_by": None,
        "iterations": 6,
        "seconds": 0.5,
        "iterations_to_verdict": None,
        "seconds_to_verdict": None,
        "since": None,
        "needed_iterations": None,
        "n_min": 256,
        "stopped_by": "failure",
        "gate": True,
        "growth": None,
        "signals": {},
        "causes": (),
        "tracemalloc": None,
        "tracker": TrackerState(active=False, reason="it never ran"),
        "pacing": Pacing(None, None, 0, 0.0),
        "failure": Failure("cycle", 7, "exception", "ValueError: seven", ("line 5",)),
        "messages": ("Zeit läuft · 10 µs",),
    }
    return ComponentResult(**{**fields, **changes})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a run with two components, one of which has a result."""
    with create_run(tmp_path) as store:
        store.write_facts(**FACTS)
        first = store.begin_component("decoder", "2026-11-20T14:41:00+00:00")
        store.begin_component("get", "2026-11-20T14:42:00+00:00")
        store.write_n_min(first, 256)
        store.write_readings(first, [Reading(0, 0.0, {"heap": 5.0}), Reading(7, 0.25, {"heap": 6.0, "rss": 4096.0})])
        store.write_result(first, a_result())
    return tmp_path


def test_a_reading_that_was_written_gets_the_values_that_come_later(folder: Path):
    """A watch counts what is alive some samples after it has read the rest, and holds counts back."""
    with open_run(folder) as store:
        later = [Reading(7, 0.25, {"tracked": 9.0, "rss": 8192.0}), Reading(8, 0.3, {"heap": 7.0})]
        store.write_readings(1, later, completes=True)

        readings = list(store.read_readings("decoder"))

    assert [(reading.cycle, reading.values) for reading in readings] == [
        (0, {"heap": 5.0}),
        (7, {"heap": 6.0, "rss": 8192.0, "tracked": 9.0}),
        (8, {"heap": 7.0}),
    ]


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(StoreError) as refused:
        action()
    message = str(refused.value)
    assert "\n" not in message
    return message


def test_a_run_comes_back_as_it_was_written(folder: Path):
    with open_run(folder) as store:
        run = store.read_run()

        assert (run.run, run.started, run.soak, run.finished, run.folder) == (*FACTS.values(), None, str(folder))
        assert run.components == (a_result(),)
        assert store.component_names() == ["decoder", "get"]
        assert store.read_readings("decoder") == [
            Reading(0, 0.0, {"heap": 5.0}),
            Reading(7, 0.25, {"heap": 6.0, "rss": 4096.0}),
        ]
        assert store.read_readings("get") == store.read_readings("unheard of") == []


def test_a_later_fact_replaces_an_earlier_one(folder: Path):
    controls = Controls(Blank(True, 0.06, 0.0, 0.0, 0.0, 16384, "b"), Spike(True, 106, 128, None, 128.0, 16384, "s"))
    parts = Parts(1.0, 2.0, 1.0, 0.5, 1.5, (Part("get", 1.0, 0.9, 1.1),))
    with open_run(folder) as store:
        store.write_facts(finished="then", controls=to_document(controls), parts=to_document(parts))
        store.write_facts(finished="now", settings={"known": ["a"]})

        run = store.read_run()

    assert (run.finished, run.controls, run.parts, run.settings) == ("now", controls, parts, {"known": ["a"]})


@given(
    st.lists(
        st.builds(
            Reading,
            st.integers(0, 2**53),
            st.floats(min_value=0, max_value=1e9),
            st.dictionaries(st.sampled_from(sorted(SIGNALS)), COUNTED),
        ),
        unique_by=lambda reading: reading.cycle,
        max_size=20,
    )
)
@settings(max_examples=30)
def test_readings_come_back_in_the_order_of_their_cycles(readings: list[Reading]):
    """Each signal's value to the last bit, and one that was not read stays unread."""
    store = RunStore(Path(":memory:"), create=True)
    with store:
        component = store.begin_component("decoder", "then")
        store.write_readings(component, readings)

        assert store.read_readings("decoder") == sorted(readings, key=lambda reading: reading.cycle)


def test_readings_of_one_checkpoint_twice_are_refused(folder: Path):
    """A call is one transaction, so nothing of the batch is kept. Earlier readings stay, and the store still works."""
    with open_run(folder) as store:
        assert "run.db" in refusal(lambda: store.write_readings(1, [Reading(8, 0.3), Reading(7, 0.3)]))

        assert [reading.cycle for reading in store.read_readings("decoder")] == [0, 7]
        store.write_readings(1, [Reading(8, 0.3)])
        assert [reading.cycle for reading in store.read_readings("decoder")] == [0, 7, 8]


def test_a_component_that_begins_again_has_read_nothing_yet(folder: Path):
    """It keeps its place; another component's readings stay."""
    with open_run(folder) as store:
        store.write_readings(2, [Reading(5, 0.5)])
        assert store.cycles_read() == {"decoder": 7, "get": 5}

        assert store.begin_component("decoder", "again") == 1

        assert store.cycles_read() == {"decoder": None, "get": 5}
        assert store.read_run().components == ()
        assert store.component_names() == ["decoder", "get"]


def test_several_threads_may_write(folder: Path):
    """As with --jobs: each component's readings are all there."""
    with open_run(folder) as store:

        def write(name: str) -> None:
            component = store.begin_component(name, "then")
            for cycle in range(50):
                store.write_readings(component, [Reading(cycle, cycle / 10, {"heap": 1.0})])

        threads = [threading.Thread(target=write, args=(f"component_{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [len(store.read_readings(f"component_{number}")) for number in range(4)] == [50] * 4


WRITER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from soak.measurements import Reading
from soak.store.runs import create_run

store = create_run(Path(sys.argv[2]))
store.write_facts(run="r", started="then", soak="0.1.0")
component = store.begin_component("decoder", "then")
cycle = 0
while True:
    store.write_readings(component, [Reading(cycle + n, 0.0, {"heap": float(cycle + n)}) for n in range(10)])
    cycle += 10
    print(cycle, flush=True)
"""


def test_a_writer_that_is_killed_leaves_all_it_committed(tmp_path: Path):
    """With SIGKILL in the middle of writing: the database opens, whole batches only, none of the committed missing."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(ROOT), str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        committed = [int(writer.stdout.readline()) for _ in range(50)][-1]
        os.kill(writer.pid, signal.SIGKILL)

    with open_run(tmp_path) as store:
        readings = store.read_readings("decoder")
        assert [reading.cycle for reading in readings] == list(range(len(readings)))
        assert len(readings) >= committed
        assert len(readings) % 10 == 0
        assert (store.read_run().run, store.read_run().components) == ("r", ())


def test_a_run_is_read_while_it_is_written(folder: Path):
    """Soak show beside soak run: the reader sees what is committed and does not stop the writer."""
    with open_run(folder) as writer, open_run(folder) as reader:
        writer.write_readings(1, [Reading(8, 0.3)])

        assert len(reader.read_readings("decoder")) == 3
        writer.write_readings(1, [Reading(9, 0.3)])
        assert len(reader.read_readings("decoder")) == 4


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    assert refusal(lambda: open_run(tmp_path)) == f"{tmp_path} is not a run: it has no run.db"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"not a database at all, " * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / FILE_NAME).write_bytes(content)

    assert str(tmp_path / FILE_NAME) in refusal(lambda: open_run(tmp_path))


def test_a_database_of_somebody_elses_is_refused(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.executescript(DDL)
    connection.close()

    assert refusal(lambda: open_run(tmp_path)).endswith("was not written by soak")


def test_a_run_of_a_newer_soak_is_refused(folder: Path):
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.execute("pragma user_version = 99")
    connection.close()

    assert "has layout 99, written by a newer soak; this one reads up to" in refusal(lambda: open_run(folder))


@pytest.mark.parametrize(
    "statement",
    [
        "delete from fact where name = 'run'",
        "update fact set value = '{' where name = 'run'",
        "insert into fact values ('controls', '[1]')",
        "insert into fact values ('parts', '\"x\"')",
        "update component set result = '{' where id = 1",
        "update component set result = '[]' where id = 1",
        "update component set result = json_set(result, '$.verdict', 'PERHAPS') where id = 1",
        "update component set result = json_set(result, '$.signals', 5) where id = 1",
        "update component set result = json_remove(result, '$.name') where id = 1",
        "drop table component",
    ],
)
def test_a_damaged_run_is_refused_by_name(folder: Path, statement: str):
    connection = sqlite3.connect(folder / FILE_NAME)
    connection.execute(statement)
    connection.commit()
    connection.close()

    def read() -> None:
        with open_run(folder) as store:
            store.read_run()

    assert refusal(read).startswith(str(folder / FILE_NAME))


def test_a_run_cut_in_the_middle_is_refused_by_name(folder: Path):
    """A disk that was full, a copy that was not complete."""
    file = folder / FILE_NAME
    file.write_bytes(file.read_bytes()[:5000])

    def read() -> None:
        with open_run(folder) as store:
            store.read_run()

    assert str(file) in refusal(read)


def test_every_table_and_column_is_explained():
    """A reader who has only the file reads the comments of the layout; each signal has a column."""
    blank = sqlite3.connect(":memory:")
    blank.executescript(DDL)
    columns = [row[1] for row in blank.execute("pragma table_info(reading)")]
    blank.close()

    lines = DDL.splitlines()
    assert columns[3:] == list(SIGNALS)
    assert all(lines[at - 1].startswith("-- ") for at, line in enumerate(lines) if line.startswith("create table"))


# The folders of runs


def test_a_runs_folder_is_named_by_its_time(tmp_path: Path):
    """The folder above it is made; a second run of the same second gets a number."""
    out = tmp_path / "deep/reports"

    names = [new_run_folder(out, NOW).name for _ in range(3)]

    assert names == ["2026-11-20T14-40-57", "2026-11-20T14-40-57.2", "2026-11-20T14-40-57.3"]


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_a_place_where_nothing_can_be_written_is_refused(tmp_path: Path, out: str):
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(UsageError, match="cannot write a run there") as refused:
        new_run_folder(tmp_path / out, NOW)

    assert str(refused.value).startswith(f"--out {tmp_path / out}: ")


@pytest.mark.parametrize("out", ["/proc/reports", "/sys"])
def test_a_place_that_the_system_keeps_is_refused(out: str):
    with pytest.raises(UsageError, match="cannot write a run there"):
        new_run_folder(Path(out), NOW)


def test_runs_are_listed_oldest_first_and_found_by_name_path_or_latest(tmp_path: Path):
    """More than ten of the same second too; folders without a database are no runs."""
    folders = [new_run_folder(tmp_path, NOW) for _ in range(12)]
    for folder in folders:
        create_run(folder).close()
    (tmp_path / "2027").mkdir()

    assert list_runs(tmp_path) == folders
    assert find_run("latest", tmp_path) == folders[-1]
    assert find_run(folders[2].name, tmp_path) == find_run(str(folders[2]), Path("/nowhere")) == folders[2]


def test_a_run_that_is_not_there_is_refused(tmp_path: Path):
    assert list_runs(tmp_path / "gone") == []
    with pytest.raises(UsageError, match="there are no runs under"):
        find_run("latest", tmp_path)
    with pytest.raises(UsageError, match="'gone' is not a run"):
        find_run("gone", tmp_path)
