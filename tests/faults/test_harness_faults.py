"""What soak itself must survive: signals, a closed terminal, its own death, a full disk, odd clocks, a hot machine."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from command_builder import ROOT, soak
from faults_builder import CASE, LIMIT_S, SMALL, begin, cycles_read, is_running, latest, read_report, wait_until
from running_builder import CYCLES, a_plan, context, soak_driver

from soak.__main__ import main
from soak.commands.measuring.measure import signals_set
from soak.errors import StoreError
from soak.measurements import Reading
from soak.running.child.guards import COOL_AGAIN_C, HeatGuard, what_ran_out
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.interpreter import find_interpreter
from soak.store.runs import claimed, create_run, list_runs, open_run
from soak.verdict import Verdict

pytestmark = pytest.mark.integration


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "case.py").write_text(CASE, encoding="utf-8")
    return tmp_path


# --- how soak itself ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.long) for one in (signal.SIGINT, signal.SIGHUP))]
)
def test_a_signal_gives_a_report_of_what_there_is(place: Path, number: signal.Signals):
    """The leak that was found decides the exit code; the current component is judged; the third never started."""
    with begin(place, "case.py:leak", "case.py:slow", "case.py:clean", *SMALL) as running:
        wait_until(lambda: cycles_read(place, "slow") > 100)
        running.send_signal(number)
        assert running.wait(LIMIT_S) == 1

    report = read_report(latest(place))
    assert report["finished"] is None
    assert [(entry["name"], entry["verdict"]) for entry in report["components"]] == [
        ("leak", "LEAK"), ("slow", "INCONCLUSIVE"),
    ]  # fmt: skip


def test_a_signal_that_comes_while_a_line_is_written_stops_the_run_in_order(monkeypatch: pytest.MonkeyPatch):
    """Python refuses to write to a stream from within a write to it."""
    read_end, write_end = os.pipe()

    class Interrupted(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def fileno(self) -> int:
            return write_end

        def write(self, text: object) -> int:
            os.kill(os.getpid(), signal.SIGTERM)
            return os.write(write_end, text)  # type: ignore[arg-type]

    stopping = threading.Event()
    raw = Interrupted()
    with io.TextIOWrapper(io.BufferedWriter(raw), write_through=True) as stream, signals_set(stopping):
        monkeypatch.setattr(sys, "stderr", stream)
        print("a line", file=stream, flush=True)
        monkeypatch.undo()

    assert stopping.is_set()
    assert sorted(os.read(read_end, 1000).decode().splitlines())[0] == "a line"
    os.close(read_end)
    os.close(write_end)


def test_a_closed_terminal_gives_a_report_of_what_there_is(place: Path):
    """This happens when ssh is cut: SIGHUP from the kernel, and the terminal can no longer be written to."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(place)
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-m", "soak", "run", "case.py:slow", *SMALL])
    os.set_blocking(terminal, False)

    def is_at_work() -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 65536)  # or it would wait for room to write
        return cycles_read(place, "slow") > 100

    wait_until(is_at_work)
    os.close(terminal)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert status == 3
    assert [entry["stopped_by"] for entry in read_report(latest(place))["components"]] == ["signal"]


SERVED = """
import os, subprocess, sys
def setup():
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with open("part", "w") as file: file.write("%d %d" % (os.getpid(), server.pid))
    os.rename("part", "pids")
def cycle(state): pass
"""


def test_nothing_runs_on_when_soak_is_killed(place: Path):
    """With SIGKILL: the measured process ends, and so does a server that its driver put into another session."""
    (place / "drive_served.py").write_text(SERVED, encoding="utf-8")
    with begin(place, "drive_served.py", "--duration", "300s", "--no-track") as running:
        wait_until((place / "pids").exists)
        pids = [int(pid) for pid in (place / "pids").read_text(encoding="utf-8").split()]
        assert all(map(is_running, pids))
        descendants = psutil.Process(running.pid).children(recursive=True)
        running.kill()

    wait_until(lambda: not any(map(is_running, pids)))
    psutil.wait_procs(descendants, timeout=LIMIT_S)
    assert [process for process in descendants if is_running(process.pid)] == []


# --- where it is kept -----------------------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a file system of that size at ``folder``; needs root."""
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def test_a_full_disk_costs_what_was_not_written_yet(place: Path):
    """One line and code 2; everything written before is there, and resume works when there is room."""
    with small_disk(place / "disk", "400k"):
        many = ["--iterations", "3000", "--n-min", "512", "--checkpoint-every", "2", "--no-track"]
        full = soak(place, "run", "case.py:clean", *many, "--out", "disk/runs")
        folder = list_runs(place / "disk/runs")[0]
        with open_run(folder) as store:
            read = store.cycles_read()
        remount(place / "disk", "size=40m")
        resumed = soak(place, "resume", str(folder))
        with open_run(folder) as store:
            controls = store.read_run().controls

        assert (full.code, full.out) == (2, "")
        assert full.err.splitlines()[-1] == f"soak: {folder}/run.db: database or disk is full"
        assert "Traceback" not in full.err
        assert (read["clean"] or 0) > 0
        assert controls is not None
        assert resumed.code == 0


def test_a_disk_that_fills_up_leaves_the_database_whole(tmp_path: Path):
    """SQLite's own answer to a full disk, made with its limit of pages: translated, and nothing half-written."""
    with create_run(tmp_path, run="r", started="then", soak="0") as store:
        component = store.begin_component("it", "then")
        store.write_readings(component, [Reading(0, 0.0, {"heap": 1.0})])
        store._connection.execute("pragma max_page_count = 1")
        with pytest.raises(StoreError, match=r"run\.db: database or disk is full"):
            store.write_readings(component, [Reading(n, 0.0, {"heap": 1.0}) for n in range(1, 10_000)])

    with open_run(tmp_path) as store:
        assert store.cycles_read() == {"it": 0}


@pytest.mark.long
def test_a_run_on_a_read_only_disk_can_be_read(place: Path):
    """Commands that only read work; commands that must write say in one line that they cannot."""
    with small_disk(place / "disk", "20m"):
        folder = Path(soak(place, "run", "case.py:leak", *SMALL, "--out", "disk/runs").out.splitlines()[-1])
        remount(place / "disk", "ro")

        assert "LEAK" in soak(place, "show", str(folder)).out
        assert "LEAK" in soak(place, "list", "--out", "disk/runs").out
        assert len(soak(place, "export", str(folder), "--format", "csv").out.splitlines()) > 10
        for command in (
            ["report", str(folder)],
            ["resume", str(folder)],
            ["run", "case.py:leak", "--out", "disk/runs"],
        ):
            answer = soak(place, *command)
            assert (answer.code, answer.out) == (2, "")
            assert len(answer.err.splitlines()) == 1


@pytest.mark.long
def test_a_run_of_a_newer_soak_is_not_resumed(place: Path):
    """Its layout may differ, so it is left unchanged."""
    folder = Path(soak(place, "run", "case.py:clean", *SMALL).out.splitlines()[-1])
    with sqlite3.connect(folder / "run.db") as connection:
        connection.execute("pragma user_version = 99")
    connection.close()
    before = (folder / "run.db").read_bytes()

    for command in ("resume", "clean"):
        if command == "clean":
            create_run_folder(place / "reports/2999-01-01T00-00-00")
        answer = soak(place, command, *([] if command == "resume" else ["--keep", "1"]))
        assert answer.code == 2
        assert "written by a newer soak" in answer.err
        assert len(answer.err.splitlines()) == 1
    assert (folder / "run.db").read_bytes() == before


def create_run_folder(folder: Path) -> Path:
    folder.mkdir(parents=True)
    create_run(folder, run=folder.name, started="then", soak="0").close()
    return folder


# --- soak clean -----------------------------------------------------------------------------------------------------


def test_clean_keeps_the_newest_runs(tmp_path: Path):
    """The order is that of their names. Other folders and links are left alone; --dry-run removes nothing."""
    folders = [create_run_folder(tmp_path / f"reports/2026-11-{day:02}T07-00-00") for day in range(1, 6)]
    (folders[0] / "report.html").write_text("x", encoding="utf-8")
    (tmp_path / "reports/sample").mkdir()
    outside = create_run_folder(tmp_path / "elsewhere")
    (tmp_path / "reports/2026-01-01T00-00-00").symlink_to(outside)

    trial = soak(tmp_path, "clean", "--keep", "2", "--dry-run")
    assert [folder.exists() for folder in folders] == [True] * 5
    answer = soak(tmp_path, "clean", "--keep", "2")

    assert trial.out.splitlines()[:3] == [f"would remove {folder}" for folder in folders[:3]]
    assert answer.out.splitlines()[:3] == [f"removed {folder}" for folder in folders[:3]]
    assert (trial.code, answer.code) == (2, 2)
    assert answer.err == f"soak: not removed: {tmp_path}/reports/2026-01-01T00-00-00 is a link\n"
    assert [folder.exists() for folder in folders] == [False] * 3 + [True] * 2
    assert (outside / "run.db").exists()
    assert (tmp_path / "reports/sample").exists()


def test_clean_never_removes_the_newest_nor_one_that_is_being_measured(tmp_path: Path):
    old, new = (create_run_folder(tmp_path / f"reports/2026-11-0{day}T07-00-00") for day in (1, 2))

    with claimed(old):
        busy = soak(tmp_path, "clean", "--keep", "1")
    none = soak(tmp_path, "clean", "--keep", "0")
    free = soak(tmp_path, "clean", "--keep", "1")

    assert (busy.code, none.code, free.code) == (2, 2, 0)
    assert "is being measured by another soak" in busy.err
    assert (old.exists(), new.exists()) == (False, True)
    assert soak(tmp_path, "clean").code == 0


@pytest.mark.parametrize("allowed", [20, 63])
def test_too_few_file_descriptors_are_named_before_anything_is_measured(tmp_path: Path, allowed: int):
    """Else the driver would have failed."""
    (tmp_path / "case.py").write_text(CASE, encoding="utf-8")
    command = [sys.executable, "-m", "soak", "run", "case.py:clean"]

    ended = run_here(tmp_path, "bash", "-c", f'ulimit -n {allowed}; exec "$@"', "bash", *command)

    assert ended.returncode == 2
    expected = f"soak: only {allowed} file descriptors are allowed, and soak needs 64: ulimit -n 1024\n"
    assert ended.stderr.endswith(expected)
    assert not list(tmp_path.glob("reports/*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a namespace of mounts")
@pytest.mark.parametrize("command", [["run", "case.py:clean"], ["watch", "--", "true"], ["doctor"]])
def test_without_proc_one_line_says_so(tmp_path: Path, command: list[str]):
    (tmp_path / "case.py").write_text(CASE, encoding="utf-8")
    without = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"]
    if subprocess.run([*without, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespace of mounts can be made here")

    ended = run_here(tmp_path, *without, sys.executable, "-m", "soak", *command)

    expected = "soak: there is no /proc here, from which soak reads what a process holds: mount -t proc proc /proc\n"
    assert (ended.returncode, ended.stderr) == (2, expected)
    assert not list(tmp_path.glob("reports/*"))


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), BlockingIOError(11, "try again")])
def test_where_no_process_may_be_started_one_line_says_so(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As with RLIMIT_NPROC, which root does not have: the errors are those that Python raises then."""

    def refused(_: object) -> int:
        raise error

    monkeypatch.setattr("soak.commands.results.list.run", refused)

    assert main(["list"]) == 2
    assert capsys.readouterr().err == (
        "soak: too many processes or threads: raise ulimit -u, or the limit of the container (pids.max)\n"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make a namespace of mounts")
def test_a_temporary_directory_that_is_read_only_changes_nothing(tmp_path: Path):
    (tmp_path / "case.py").write_text(CASE, encoding="utf-8")
    (tmp_path / "t").mkdir()
    without = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        'mount -t tmpfs -o ro none t && export TMPDIR=$PWD/t && exec "$@"',
        "sh",
    ]
    if subprocess.run([*without, "true"], cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("no namespace of mounts can be made here")

    ended = run_here(tmp_path, *without, sys.executable, "-m", "soak", "run", "case.py:clean", "--iterations", "64")

    assert ended.returncode == 3, ended.stderr
    assert "clean could not be decided yet" in ended.stdout


def run_here(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


# --- clocks ---------------------------------------------------------------------------------------------------------


def test_a_clock_that_jumps_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both ends see another time of day at every look; cycles, pace and rates use the monotonic clock."""
    jumps = iter(range(0, 10**9, 86_400))
    monkeypatch.setattr("time.time", lambda: float(next(jumps)))
    observed = soak_driver(
        tmp_path,
        """
        import itertools, time
        jumps = itertools.count(10**9, -86_400)
        time.time = lambda: float(next(jumps))
        time.time_ns = lambda: next(jumps) * 10**9
        def cycle(state): time.time()
        """,
        interval_s=0.001,
        iterations=1024,
        n_min=256,
    ).observed

    assert (observed.failure, observed.iterations) == (None, 1024)
    assert observed.decision.verdict is not Verdict.LEAK
    assert 0.0005 < observed.pacing.mean_period_s < 1  # a day too long or none at all, had it looked at that clock
    assert 1.0 <= observed.seconds < 60.0


@pytest.mark.parametrize("package", ["inside", "running", "analysis", "probes"])
def test_nothing_that_measures_asks_for_the_time_of_day(package: str):
    """It jumps with every correction; time.monotonic neither jumps nor counts a suspended machine's sleep."""
    for file in (ROOT / "soak" / package).glob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "time.time(" not in text.lower(), file
        assert "time.time_ns(" not in text, file
        assert "CLOCK_REALTIME" not in text, file


# --- a hot machine --------------------------------------------------------------------------------------------------


def test_the_heat_guard_waits_until_it_is_cooler_by_some_degrees():
    """It does not continue one degree below, or it would stop again at once; sensors are read every two seconds."""
    readings = iter([80.0, 90.0, 88.0, 90.0 - COOL_AGAIN_C - 1, None])
    guard = HeatGuard(90.0, lambda: next(readings))

    assert [guard.is_too_hot(now_s) for now_s in (0, 1, 2, 3, 4, 6, 8)] == [
        False,
        False,
        True,
        True,
        True,
        False,
        False,
    ]
    assert guard.hottest_c == 90.0


def test_without_a_limit_no_sensor_is_read():
    assert not HeatGuard(None, lambda: pytest.fail("asked")).is_too_hot(0.0)


@pytest.mark.long
def test_a_component_stands_still_while_it_is_too_hot_and_goes_on(tmp_path: Path):
    """All its cycles run; the pause is no part of its time and misses no deadline."""
    temperatures = iter([50.0, 95.0, 95.0, 60.0])
    plan = a_plan(interval_s=0.002, max_temperature_c=90.0)
    hot = replace(context(tmp_path), read_temperature_c=lambda: next(temperatures, 60.0))

    observed = soak_component(plan, hot)

    assert (observed.failure, observed.iterations) == (None, CYCLES)
    assert observed.hottest_c == 95.0
    assert observed.paused_s > 2.0
    messages = make_result(plan, observed, None, find_interpreter(None)).messages
    assert [message for message in messages if "because the machine reached 95 °C" in message]
    assert observed.pacing.missed_deadlines * 0.002 < observed.paused_s / 2
    assert observed.decision.verdict is not Verdict.LEAK


def test_a_machine_without_sensors_says_so(tmp_path: Path):
    plan = a_plan(max_temperature_c=90.0)
    observed = soak_component(plan, replace(context(tmp_path), read_temperature_c=lambda: None))

    assert (observed.failure, observed.paused_s) == (None, 0.0)
    assert [text for text in make_result(plan, observed, None, find_interpreter(None)).messages if "no effect" in text]


def test_a_component_that_stands_still_is_stopped_all_the_same(tmp_path: Path):
    """A signal ends a run whose machine never cools down."""
    stopping = threading.Event()
    hot = replace(context(tmp_path, stopping=stopping), read_temperature_c=lambda: 99.0)
    observed = soak_component(
        a_plan(iterations=10**12, max_temperature_c=90.0),
        hot,
        on_progress=lambda progress: stopping.set() if progress.note == "too hot, waiting" else None,
    )

    assert (observed.failure, observed.stopped_by) == (None, "signal")


def test_what_ran_out_must_have_grown():
    """It must have used at least half of the room; a cycle that requests too much at once has failed."""
    limits = {"fds": 100.0, "mapped": 1000.0}

    def ran_out(detail: str, signal: str, first: float, last: float) -> str | None:
        return what_ran_out(detail, {signal: first}, {signal: last}, limits, {})

    assert ran_out("MemoryError: ", "mapped", 100.0, 600.0) == "mapped"
    assert ran_out("MemoryError: ", "mapped", 100.0, 500.0) is None
    assert ran_out("OSError: [Errno 24] Too many open files", "fds", 5.0, 60.0) == "fds"
    assert ran_out("ValueError: seven", "fds", 5.0, 99.0) is None
    assert what_ran_out("MemoryError: ", {"mapped": 100.0}, {"mapped": 900.0}, {}, {}) is None


def test_what_the_kernel_counts_otherwise_runs_out_too():
    """A user has 128 inotify instances, a process 65,530 mappings, far below its limits of other things."""
    rooms, limits = {"fds": 128.0, "mapped": 1000.0}, {"fds": 20_000.0}

    def ran_out(detail: str, signal: str, last: float) -> str | None:
        return what_ran_out(detail, {signal: 4.0}, {signal: last}, limits, rooms)

    assert ran_out("OSError: [Errno 24] inotify instance limit reached", "fds", 132.0) == "fds"
    assert ran_out("OSError: [Errno 24] Too many open files", "fds", 60.0) is None
    assert ran_out("OSError: [Errno 12] Cannot allocate memory", "mapped", 900.0) == "mapped"
    assert ran_out("MemoryError: ", "mapped", 900.0) is None


# --- beside others --------------------------------------------------------------------------------------------------


def test_nice_lowers_the_priority_of_a_component(tmp_path: Path):
    observed = soak_driver(
        tmp_path, "import os\ndef cycle(state): pass\ndef teardown(state): print(os.nice(0))\n", nice=7, iterations=1
    ).observed

    assert observed.output.strip() == str(min(19, os.nice(0) + 7))


@pytest.mark.parametrize("option", [["--nice", "-5"], ["--nice", "20"], ["--max-temperature", "hot"]])
def test_a_senseless_option_is_refused(tmp_path: Path, option: list[str]):
    answer = soak(tmp_path, "run", "x.py", *option)

    assert (answer.code, answer.out) == (2, "")
    assert option[1] in answer.err
