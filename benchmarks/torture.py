"""Kill soak or a measured process with SIGKILL at random moments, many times, and check what is left.

Each run has two components, one that leaks and one that does not; every second run is tracked. At a random moment the
script kills the parent or the measured process. ``soak resume`` continues the run and is killed too, ten times in all.
After each kill the script checks: Does run.db open? How many checkpoints that the measured process had handed over are
missing? Does a process still run? Is a file left in shared memory? At the end it checks whether a last resume gives the
verdicts of an undisturbed run. For the comparison it maps the ring of the measured process while that runs.

With ``--stopped`` the script kills the parent so many times while it has stopped the measured process to look at its
memory, and checks that no process stays, stopped or not.

  python benchmarks/torture.py --kills 1000
  python benchmarks/torture.py --kills 0 --stopped 200
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from soak.errors import SoakError
from soak.inside import ring
from soak.store.runs import list_runs, open_run

ROOT = Path(__file__).parents[1]
SHARED_MEMORY = Path("/dev/shm")
CASE = """
import time
kept = []
def leak():
    kept.append(object())
    time.sleep(0.0002)
def clean():
    time.sleep(0.0002)
"""
EXPECTED = {"leak": "LEAK", "clean": "CLEAN"}
EXPECTED_EXIT_CODE = 1
# Without a budget in cycles the verdict ends a component, so on a busy machine it takes longer but is decided.
RUN = ["run", "case.py:leak", "case.py:clean", "--n-min", "2048", "--checkpoint-every", "64"]
UNTRACKED = "--no-track"
RESUME = ["resume"]
KILLS_OF_A_RUN = 10
CONTROLS = 1
"""The number of processes of the controls, when none is measured again; they run beside the first component."""
AFTER_CONTROLS = 0.8
_LOOK_EVERY_S, _ENDS_WITHIN_S = 0.05, 10.0
LONGEST_WAIT_S = 120.0
_MARK = 2

Checkpoint = tuple[int, float]
"""The cycle, and the time in the loop in seconds."""


@dataclass(frozen=True)
class Choice:
    """Which process to kill, and when."""

    victim: str
    after_controls: bool
    """Count the time from the components' first process, else from the run's folder; before that nothing exists."""
    moment_s: float


@dataclass(frozen=True)
class Kill:
    """The result of one kill."""

    killed: str
    """``parent`` or ``child``; ``nobody`` when the run had ended before."""
    missing: int
    """Acknowledged checkpoints that are missing in the database."""
    compared: int
    """Acknowledged checkpoints that were compared."""
    faults: tuple[str, ...]
    """The faults, in words; empty when there is none."""
    slow: tuple[str, ...] = ()
    """The processes that took long to end, in words."""


def torture(kills: int, seed: int, jobs: int, longest_s: float) -> Iterator[Kill]:
    """Do this number of kills, some runs at a time, each at most ``longest_s`` after the start."""
    chance = random.Random(seed)
    choices = [
        Choice(chance.choice(("parent", "child")), chance.random() < AFTER_CONTROLS, chance.uniform(0.0, longest_s))
        for _ in range(kills)
    ]
    chains = [choices[start : start + KILLS_OF_A_RUN] for start in range(0, kills, KILLS_OF_A_RUN)]
    with ThreadPoolExecutor(jobs) as pool:
        for done in pool.map(torture_run, chains, itertools.cycle((True, False))):
            yield from done


def torture_run(choices: Sequence[Choice], tracked: bool) -> list[Kill]:
    """Begin a run, kill it at each of these moments and resume it; return the result of each kill."""
    kills: list[Kill] = []
    begin = RUN if tracked else [*RUN, UNTRACKED]
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        place = Path(name)
        (place / "case.py").write_text(CASE, encoding="utf-8")
        for choice in choices:
            with _begin(place, RESUME if list_runs(place / "reports") else begin) as soak:
                witness = _watch_until(soak, place, choice)
                killed = _kill(soak, choice.victim, witness)
                if killed == "parent":
                    soak.wait()
                else:
                    soak.wait(LONGEST_WAIT_S)
            kill = _look(place, killed, witness)
            if killed == "nobody" or choice is choices[-1]:
                kill = replace(kill, faults=(*kill.faults, *_resume(place)))
                shutil.rmtree(place / "reports")
            kills.append(kill)
    return kills


SCANNED = """
import ctypes
def lose():
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(object()))
"""
SCANNED_RUN = ["run", "case.py:lose", "--no-early-stop", "--duration", "60s"]


def torture_stopped(kills: int, jobs: int) -> Iterator[Kill]:
    """Kill the parent this number of times while it has stopped the measured process."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda _: _kill_while_stopped(), range(kills))


def _kill_while_stopped() -> Kill:
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        place = Path(name)
        (place / "case.py").write_text(SCANNED, encoding="utf-8")
        with _begin(place, SCANNED_RUN) as soak:
            witness, process = Witness(), psutil.Process(soak.pid)
            ends_at_s, looked_at_s, is_stopped = time.monotonic() + LONGEST_WAIT_S, 0.0, False
            while not is_stopped and soak.poll() is None and time.monotonic() < ends_at_s:
                if time.monotonic() - looked_at_s > _LOOK_EVERY_S:
                    looked_at_s = time.monotonic()
                    witness.look(process)
                is_stopped = any(map(_is_stopped, witness.family))
                time.sleep(0.0003)
            soak.kill()
        kill = _look(place, "parent" if is_stopped else "nobody", witness)
        return replace(kill, faults=tuple(fault for fault in kill.faults if "missing" not in fault))


def _is_stopped(process: psutil.Process) -> bool:
    with contextlib.suppress(OSError, IndexError):
        stat = Path("/proc", str(process.pid), "stat").read_bytes()
        return stat.rpartition(b")")[2].split()[0] in (b"T", b"t")
    return False


class Witness:
    """Maps the rings of a run's measured processes as they appear, and keeps the last one of each component."""

    def __init__(self) -> None:
        self.family: set[psutil.Process] = set()
        self.child: psutil.Process | None = None
        self.rings: dict[int, ring.Ring] = {}

    def look(self, soak: psutil.Process) -> None:
        """Record the current measured process and its ring."""
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            family = soak.children(recursive=True)
            self.family.update(family)
            # A process that a control forks has the same command line.
            children = [child for child in family if child.ppid() == soak.pid]
            measured = [child for child in children if any("inside/__main__.py" in word for word in child.cmdline())]
            self.child = measured[-1] if measured else None
            for child in measured:
                if child.pid not in self.rings:
                    self.rings[child.pid] = ring.Ring(child.cmdline()[-1])

    def acknowledged(self) -> list[list[Checkpoint]]:
        """Return, for each measured process, the checkpoints that it handed over."""
        return [
            [
                (row[0], row[1] / 1e9)
                for number in range(area.words[ring.WORD_ROWS_READ])
                if (row := area.read_row(number)) is not None
            ]
            for area in self.rings.values()
        ]


def _begin(place: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "soak", *arguments],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": os.devnull},  # so no run keeps its controls
    )


def _watch_until(soak: subprocess.Popen[bytes], place: Path, choice: Choice) -> Witness:
    witness = Witness()
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(soak.pid)
        while soak.poll() is None and not list_runs(place / "reports"):
            time.sleep(0.005)
        while soak.poll() is None and choice.after_controls and len(witness.rings) <= CONTROLS:
            witness.look(process)
            time.sleep(_LOOK_EVERY_S)
        kill_at_s = time.monotonic() + choice.moment_s
        while soak.poll() is None and time.monotonic() < kill_at_s:
            witness.look(process)
            time.sleep(min(_LOOK_EVERY_S, max(0.0, kill_at_s - time.monotonic())))
        witness.look(process)
        while soak.poll() is None and choice.victim == "child" and witness.child is None:
            witness.look(process)
    return witness


def _kill(soak: subprocess.Popen[bytes], victim: str, witness: Witness) -> str:
    """Kill a process and return which one."""
    if soak.poll() is not None:
        return "nobody"
    if victim == "parent" or witness.child is None:
        soak.kill()
        return "parent"
    with contextlib.suppress(ProcessLookupError):
        os.kill(witness.child.pid, signal.SIGKILL)
    return "child"


def _look(place: Path, killed: str, witness: Witness) -> Kill:
    late = _wait_for_the_end(witness.family, _ENDS_WITHIN_S)
    seen = {process: _described(process) for process in late}
    begun_s = time.monotonic()
    faults = [f"process {seen[process]} goes on" for process in _wait_for_the_end(late, LONGEST_WAIT_S)]
    waited_s = _ENDS_WITHIN_S + time.monotonic() - begun_s
    slow = tuple(f"process {words} ended within {waited_s:.1f} s" for words in seen.values()) if not faults else ()
    faults += [f"{file} is left" for file in _shared_files() if _is_ours(file)]
    runs = list_runs(place / "reports")
    try:
        with open_run(runs[0]) as store:
            store.read_run()
            stored = [
                [(reading.cycle, reading.at_s) for reading in store.read_readings(name)]
                for name in store.component_names()
            ]
        missing, compared = compare(witness.acknowledged(), stored)
    except (SoakError, IndexError) as error:
        return Kill(killed, 0, 0, (*faults, f"run.db does not open: {error!r}"), slow)
    if missing > 1:
        faults.append(f"{missing} acknowledged checkpoints are missing")
    return Kill(killed, missing, compared, tuple(faults), slow)


def _wait_for_the_end(family: Collection[psutil.Process], most_s: float) -> list[psutil.Process]:
    """Wait until no process of a family runs, but at most so long; return those that still run."""
    ends_at_s = time.monotonic() + most_s
    while any(map(_is_running, family)) and time.monotonic() < ends_at_s:
        time.sleep(_LOOK_EVERY_S)
    return list(filter(_is_running, family))


def _described(process: psutil.Process) -> str:
    """Return number, state and command of a process, and what it waits for in the kernel."""
    words = [str(process.pid)]
    with contextlib.suppress(psutil.Error, OSError):
        words += [process.status(), Path("/proc", str(process.pid), "wchan").read_text(), *process.cmdline()[:6]]
    return " ".join(words)


def compare(acknowledged: list[list[Checkpoint]], stored: list[list[Checkpoint]]) -> tuple[int, int]:
    """Return how many acknowledged checkpoints of any component are not stored, and how many were compared.

    A process belongs to the component whose first two checkpoints have the same times, to the nanosecond. (One is not
    enough: the first checkpoint is always about a hundred nanoseconds after the start.) Processes of controls and of
    second passes belong to no component, because their checkpoints are not stored. A component with fewer than two
    checkpoints is not compared.
    """
    missing = compared = 0
    for component in stored:
        for process in acknowledged:
            if len(component) >= _MARK and process[:_MARK] == component[:_MARK]:
                missing = max(missing, len(set(process) - set(component)))
                compared += len(process)
    return missing, compared


def _resume(place: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "soak", "resume", "--json", "found.json"],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": os.devnull},  # so no run keeps its controls
    )
    if done.returncode != EXPECTED_EXIT_CODE:
        return [f"resume ends with {done.returncode}: {done.stderr.strip()[-300:]}"]
    found = json.loads((place / "found.json").read_text(encoding="utf-8"))
    components = found["components"]
    if {component["name"]: component["verdict"] for component in components} == EXPECTED:
        return []
    seen = [f"resume finds {component['name']} {component['verdict']}: {component['why']}" for component in components]
    return [*seen, f"its controls: {json.dumps(found['controls'])}"]


def _is_running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE  # not another one with its number
    return False


def _shared_files() -> list[Path]:
    return sorted(SHARED_MEMORY.glob("soak-*")) if SHARED_MEMORY.is_dir() else []


def _is_ours(file: Path) -> bool:
    """Whether a file is old enough to count as left over; another soak on this machine may make one at any time."""
    with contextlib.suppress(OSError):
        return time.time() - file.stat().st_mtime > 1.0
    return False


def main() -> int:
    """Do the kills of the command line; return 1 when there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--longest", type=float, default=3.0, help="seconds; the moment is drawn from 0 to this")
    parser.add_argument("--stopped", type=int, default=200, help="kills while the measured process is stopped (200)")
    options = parser.parse_args()
    killed: Counter[str] = Counter()
    missing: Counter[int] = Counter()
    faults = compared = 0
    for number, done in enumerate(torture(options.kills, options.seed, options.jobs, options.longest), 1):
        killed[done.killed] += 1
        missing[done.missing] += 1
        compared += done.compared
        faults += bool(done.faults)
        for fault in (*done.faults, *done.slow):
            print(f"kill {number} ({done.killed}): {fault}", flush=True)
        if number % 50 == 0:
            print(f"{number} kills, {faults} with a fault", file=sys.stderr, flush=True)
    for number, done in enumerate(torture_stopped(options.stopped, options.jobs), 1):
        killed[f"{done.killed} while the process was stopped"] += 1
        faults += bool(done.faults)
        for fault in (*done.faults, *done.slow):
            print(f"kill {number} while the process was stopped: {fault}", flush=True)
    print(f"{options.kills + options.stopped} kills: {dict(killed)}")
    print(f"acknowledged checkpoints missing (kills by how many, of {compared:,}): {dict(sorted(missing.items()))}")
    print(f"kills with a fault: {faults}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
