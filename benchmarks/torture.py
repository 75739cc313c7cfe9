"""Kill soak or a measured process with SIGKILL at random moments, again and again, and see what is left.

Each round begins a run of two components, one that leaks and one that does not, waits a random time, kills the parent
or the measured process, and then asks: does run.db open? How many of the checkpoints that the measured process had
handed over are missing? Does a process go on, is a file left in shared memory? Does ``soak resume`` give the verdicts
of a run that nobody disturbed? The measured process's own ring, which this script maps while it runs, is the witness.

  python benchmarks/torture.py --kills 1000
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
# Without a budget in cycles a verdict ends a component, so a busy machine makes it longer and not undecided.
RUN = ["case.py:leak", "case.py:clean", "--n-min", "256", "--checkpoint-every", "16", "--no-track"]
LONGEST_WAIT_S = 120.0
_MARK = 2

Checkpoint = tuple[int, float]
"""Its cycle, and the seconds of the loop at which it was."""


@dataclass(frozen=True)
class Round:
    """What one kill did."""

    killed: str
    """``parent`` or ``child``; ``nobody`` when the run was over before."""
    missing: int
    """Checkpoints handed over and acknowledged that the database does not have."""
    compared: int
    """Acknowledged checkpoints that were looked for."""
    faults: tuple[str, ...]
    """What must not be, in words; empty when all is well."""


def torture(kills: int, seed: int, jobs: int, longest_s: float) -> Iterator[Round]:
    """Do so many rounds, some at a time. ``longest_s``: the random moment is at most so long after the start."""
    chance = random.Random(seed)
    choices = [(chance.choice(("parent", "child")), chance.uniform(0.0, longest_s)) for _ in range(kills)]
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda choice: do_round(*choice), choices)


def do_round(victim: str, moment_s: float) -> Round:
    """Begin a run, kill at the moment, and look."""
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        place = Path(name)
        (place / "case.py").write_text(CASE, encoding="utf-8")
        with _begin(place) as soak:
            # From its first folder on, for before that nothing of a run is there.
            witness = _watch_until(soak, place, moment_s)
            killed = _kill(soak, victim, witness)
            family = witness.family
            if killed == "parent":
                soak.wait()
            else:
                soak.wait(LONGEST_WAIT_S)
        return _look(place, killed, witness, family)


class Witness:
    """Maps the rings of a run's measured processes as they come, and keeps the last one that counts for a component."""

    def __init__(self) -> None:
        self.family: set[psutil.Process] = set()
        self.child: psutil.Process | None = None
        self.rings: dict[int, ring.Ring] = {}

    def look(self, soak: psutil.Process) -> None:
        """Note the measured process of this moment and its ring."""
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            children = soak.children(recursive=True)
            self.family.update(children)
            measured = [child for child in children if any("inside/__main__.py" in word for word in child.cmdline())]
            self.child = measured[-1] if measured else None
            if self.child is not None and self.child.pid not in self.rings:
                self.rings[self.child.pid] = ring.Ring(self.child.cmdline()[-1])

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


def _begin(place: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "soak", "run", *RUN],
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def _watch_until(soak: subprocess.Popen[bytes], place: Path, moment_s: float) -> Witness:
    witness = Witness()
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(soak.pid)
        while soak.poll() is None and not list_runs(place / "reports"):
            time.sleep(0.005)
        kill_at_s = time.monotonic() + moment_s
        while soak.poll() is None and time.monotonic() < kill_at_s:
            witness.look(process)
            time.sleep(min(0.02, max(0.0, kill_at_s - time.monotonic())))
        witness.look(process)
    return witness


def _kill(soak: subprocess.Popen[bytes], victim: str, witness: Witness) -> str:
    """Kill, and return who was killed."""
    if soak.poll() is not None:
        return "nobody"
    if victim == "parent" or witness.child is None:
        soak.kill()
        return "parent"
    with contextlib.suppress(ProcessLookupError):
        os.kill(witness.child.pid, signal.SIGKILL)
    return "child"


def _look(place: Path, killed: str, witness: Witness, family: set[psutil.Process]) -> Round:
    faults = []
    _, alive = psutil.wait_procs(list(family), timeout=10)
    faults += [f"process {process.pid} goes on" for process in alive if _is_running(process)]
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
        return Round(killed, 0, 0, (*faults, f"run.db does not open: {error!r}"))
    if missing > 1:
        faults.append(f"{missing} acknowledged checkpoints are missing")
    faults += _resume(place)
    return Round(killed, missing, compared, tuple(faults))


def compare(acknowledged: list[list[Checkpoint]], stored: list[list[Checkpoint]]) -> tuple[int, int]:
    """Return how many acknowledged checkpoints of any component are not stored, and how many were compared.

    A process belongs to the component whose first two checkpoints are its own, to the nanosecond (the first is always
    some hundred of them after the start, which is no mark of anything); those of controls and of second passes, whose
    checkpoints are kept by nobody, belong to none. A component with fewer than two is not compared.
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
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    if done.returncode != EXPECTED_EXIT_CODE:
        return [f"resume ends with {done.returncode}: {done.stderr.strip()[-300:]}"]
    components = json.loads((place / "found.json").read_text(encoding="utf-8"))["components"]
    if {component["name"]: component["verdict"] for component in components} == EXPECTED:
        return []
    return [f"resume finds {component['name']} {component['verdict']}: {component['why']}" for component in components]


def _is_running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _shared_files() -> list[Path]:
    return sorted(SHARED_MEMORY.glob("soak-*")) if SHARED_MEMORY.is_dir() else []


def _is_ours(file: Path) -> bool:
    """Tell whether a file has been there for a while: another soak of this machine may make one at any time."""
    with contextlib.suppress(OSError):
        return time.time() - file.stat().st_mtime > 1.0
    return False


def main() -> int:
    """Do what the command line says; return 1 when anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--longest", type=float, default=4.0, help="seconds; the moment is drawn from 0 to this")
    options = parser.parse_args()
    killed: Counter[str] = Counter()
    missing: Counter[int] = Counter()
    faults = compared = 0
    for number, done in enumerate(torture(options.kills, options.seed, options.jobs, options.longest), 1):
        killed[done.killed] += 1
        missing[done.missing] += 1
        compared += done.compared
        faults += bool(done.faults)
        for fault in done.faults:
            print(f"kill {number} ({done.killed}): {fault}", flush=True)
        if number % 50 == 0:
            print(f"{number} kills, {faults} with a fault", file=sys.stderr, flush=True)
    print(f"{options.kills} rounds: killed {dict(killed)}")
    print(f"acknowledged checkpoints missing (rounds by how many, of {compared:,}): {dict(sorted(missing.items()))}")
    print(f"rounds with a fault: {faults}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
