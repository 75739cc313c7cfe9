"""What a fleet costs: per cell over `soak matrix`, in its scheduler, on disk, and when 1,000 runs are merged.

The cost of a cell is measured in two ways. Cells of a one-second driver, by `soak matrix --jobs 2` and by
`soak fleet --local 2` in turn: seconds a cell and place, between the first end and the last. And cells that have their
run already, which only pass through the engine: milliseconds each. Those also pass while `soak watch` watches the
process of the scheduler.

  python benchmarks/fleet.py
  python benchmarks/fleet.py --cells 200 --rounds 1 --passed 10000
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from measuring import KIB, ROOT, at_most, make_parser, publish, say, scratch_folder, shown, soak_command, take_in_turn

from soak.matrix.cells import Cell
from soak.matrix.columns import Column
from soak.running.fleet.clusters import Hosts, connected, local_cluster
from soak.running.fleet.dask_engine import DaskEngine
from soak.running.fleet.engine import Engine
from soak.running.fleet.local_jobs import LocalJobs
from soak.store.fleets import scratch_folder as scratch_of
from soak.store.runs import FLEET_FILE, list_runs

PLACES = 2
MOST_OVERHEAD_MS, MOST_MERGE_S, MOST_MERGE_MIB = 50.0, 5.0, 500.0
ONE_SECOND = "import time\n\ndef cycle(state):\n    time.sleep(1 / 64)\n"
WITHOUT_HOSTS_S = 120.0
MOST_PASSED_IN_TURN = 500


def main() -> int:
    """Measure and publish."""
    options = parse_arguments()
    with scratch_folder() as folder:
        seconds = one_second_cells(folder, options.cells, options.rounds)
        difference_ms = 1000 * (statistics.median(seconds["fleet"]) - statistics.median(seconds["matrix"]))
        passing = pass_in_turn(folder, min(options.passed, MOST_PASSED_IN_TURN))
        run = next(iter(list_runs(next((folder / "matrix-0").iterdir()))))
        disk_kib = sum(file.stat().st_size for file in run.rglob("*")) / KIB
        merged = merge(folder, run, options.merged)
        watched = watch_scheduler(folder, options.passed)
    figures = [
        shown("cell of a one-second driver, matrix", statistics.median(seconds["matrix"]), "s"),
        at_most("the same, fleet over matrix", difference_ms, "ms", MOST_OVERHEAD_MS),
        shown("cell that has its run, matrix", passing["matrix"], "ms"),
        at_most("the same, fleet over matrix", passing["fleet"] - passing["matrix"], "ms", MOST_OVERHEAD_MS),
        shown("the same, processor time of command and scheduler", passing["processor"], "ms"),
        shown("disk of a cell", disk_kib, "KiB"),
        at_most(f"merge of {options.merged:,} runs", merged["wall_s"], "s", MOST_MERGE_S),
        shown("the same, processor time", merged["processor_s"], "s"),
        at_most("the same, peak RSS", merged["peak_mib"], "MiB", MOST_MERGE_MIB),
        shown(f"Dask's scheduler over {options.passed:,} cells", watched["verdict"]),
    ]
    details = {"seconds": seconds, "merge": merged, "scheduler": watched, "load": os.getloadavg()}
    return publish("fleet", figures, details, options.json)


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--cells", type=int, default=20, help="cells of a one-second driver")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--passed", type=int, default=2000, help="cells that only pass through the engine")
    parser.add_argument("--merged", type=int, default=1000)
    return parser.parse_args()


def one_second_cells(folder: Path, cells: int, rounds: int) -> dict[str, list[float]]:
    """Measure the same cells by matrix and by fleet, in turn; return the seconds a cell and place."""
    for number in range(cells):
        (folder / f"drive_cell_{number}.py").write_text(ONE_SECOND, encoding="utf-8")
    small = ["--iterations", "64", "--no-track"]

    def take(name: str, *arguments: str) -> Callable[[], float]:
        def call() -> float:
            out = folder / f"{name}-{len(list(folder.glob(f'{name}-*')))}"
            command = soak_command(name, str(folder), *small, *arguments, "--out", str(out))
            subprocess.run(command, cwd=folder, env=environment(), capture_output=True, check=False)
            pages = [run / "report.html" for fleet in out.iterdir() for run in list_runs(fleet)]
            ends = sorted(page.stat().st_mtime for page in pages)
            seconds = PLACES * (ends[-1] - ends[0]) / (len(ends) - 1)
            say(f"{name}: {seconds:.3f} s a cell and place")
            return seconds

        return call

    calls = {"matrix": take("matrix", "--jobs", str(PLACES)), "fleet": take("fleet", "--local", str(PLACES))}
    return take_in_turn(calls, rounds)


def pass_in_turn(folder: Path, cells: int) -> dict[str, float]:
    """Pass cells that have their run through both engines; return the milliseconds a cell.

    ``processor``: those of processor time of the command and Dask's scheduler, which a busy machine changes little.
    """
    done = make_done_cells(folder / "passed", cells)
    processor_ms: list[float] = []

    def through_dask() -> float:
        with local_cluster(PLACES, scratch_of(folder / "passed")) as hosts:
            began_s = time.process_time()
            wall_ms = pass_through(dask_engine(hosts, folder / "passed", one_place_a_host=False), done)
            processor_ms.append(1000 * (time.process_time() - began_s) / cells)
            return wall_ms

    def through_jobs() -> float:
        with LocalJobs(folder / "passed", PLACES) as engine:
            return pass_through(engine, done)

    passed = take_in_turn({"matrix": through_jobs, "fleet": through_dask}, 3)
    return {name: statistics.median(each) for name, each in {**passed, "processor": processor_ms}.items()}


def make_done_cells(folder: Path, cells: int) -> list[Cell]:
    """Make the folder of a fleet whose cells all have their run."""
    folder.mkdir()
    (folder / FLEET_FILE).write_text("{}", encoding="ascii")
    found = [Cell(f"{number:016x}", f"cell_{number}", Column()) for number in range(cells)]
    for cell in found:
        (folder / cell.id).mkdir()
        (folder / cell.id / "run.db").touch()
    return found


def dask_engine(hosts: Hosts, folder: Path, *, one_place_a_host: bool) -> DaskEngine:
    """Return the engine of a cluster."""
    return DaskEngine(hosts, folder, say, wait_for_hosts_s=WITHOUT_HOSTS_S, one_place_a_host=one_place_a_host)


def pass_through(engine: Engine, cells: list[Cell]) -> float:
    """Pass cells through an engine; return the milliseconds a cell, from the first end to the last."""
    for cell in cells:
        engine.submit(cell)
    ends: list[float] = []
    while len(ends) < len(cells):
        if engine.next_ended(1.0) is not None:
            ends.append(time.perf_counter())
    return 1000 * (ends[-1] - ends[0]) / (len(ends) - 1)


def merge(folder: Path, run: Path, count: int) -> dict[str, float]:
    """Merge copies of a run, each another cell; return the cost."""
    many = folder / "many"
    many.mkdir()
    for number in range(count):
        copy = shutil.copytree(run, many / f"run-{number:05d}")
        with sqlite3.connect(copy / "run.db") as database:
            (text,) = database.execute("select value from fact where name = 'settings'").fetchone()
            (result,) = database.execute("select result from component").fetchone()
            name, version = f"component_{number // 25:03d}", f"1.{number % 25}"
            cell = {"id": f"{number:016x}", "python": "", "requirements": [f"numpy=={version}"]}
            settings = {**json.loads(text), "cell": cell, "installed": {"numpy": version}}
            database.execute("update fact set value = ? where name = 'settings'", (json.dumps(settings),))
            database.execute(
                "update component set name = ?, result = ?", (name, json.dumps({**json.loads(result), "name": name}))
            )
        database.close()
    began_s = time.perf_counter()
    command = soak_command("merge", str(many), "--out", str(folder / "merged"))
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    wall_s = time.perf_counter() - began_s
    return {"wall_s": wall_s, "processor_s": usage.ru_utime + usage.ru_stime, "peak_mib": usage.ru_maxrss / KIB}


def watch_scheduler(folder: Path, cells: int) -> dict[str, Any]:
    """Watch the process of a scheduler while cells pass through it; return what the watch says."""
    done = make_done_cells(folder / "watched", cells)
    file = folder / "scheduler.json"
    with ExitStack() as stack:
        scheduler = stack.enter_context(dask_process(folder, "scheduler", "--scheduler-file", str(file), "--port", "0"))
        offer = ["--resources", "soak=1", "--nthreads", "1", "--memory-limit", "0"]
        stack.enter_context(dask_process(folder, "worker", "--scheduler-file", str(file), *offer))
        hosts = stack.enter_context(connected(address_in(file)))
        engine = dask_engine(hosts, folder / "watched", one_place_a_host=True)
        engine.submit(done[0])
        while engine.next_ended(1.0) is None:
            pass
        command = soak_command("watch", "--pid", str(scheduler.pid), "--every", "50ms", "--json", "-")
        watch = subprocess.Popen(
            [*command, "--out", str(folder / "watch")], env=environment(), stdout=subprocess.PIPE, text=True
        )
        ms = pass_through(engine, done[1:])
        watch.terminate()
        answer = json.loads(watch.communicate()[0])
    (component,) = answer["components"]
    signals = {
        name: {key: signal[key] for key in ("verdict", "per_iteration", "first", "last", "unit")}
        for name, signal in component["signals"].items()
    }
    facts = {key: component[key] for key in ("verdict", "why", "iterations", "seconds")}
    return {**facts, "ms_a_cell": ms, "signals": signals}


def address_in(file: Path) -> str:
    """Wait until a scheduler has written its file, to the end; return its address."""
    while True:
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["address"])
        except (OSError, ValueError):
            time.sleep(0.1)


@contextmanager
def dask_process(folder: Path, name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program of Dask's; it ends with the block."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--host", "127.0.0.1", "--no-dashboard"]
    process = subprocess.Popen(
        [*command, *arguments],
        cwd=folder,
        env={**environment(), "DASK_TEMPORARY_DIRECTORY": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def environment() -> dict[str, str]:
    """Return the environment in which soak is found."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


if __name__ == "__main__":
    sys.exit(main())
