"""Kill a fleet with SIGKILL at random moments, many times, and check what is left of its cells.

A scheduler of Dask, two workers with a nanny each, and `soak fleet --scheduler` run on this machine. At a random moment
the script kills one of them: a worker, a nanny, the scheduler or the parent. What was killed is started again; a fleet
that has ended too early is gone on with by `--resume`. When the kills are done each fleet comes to its end undisturbed.
Then the script checks: Does each cell have exactly one run, with a verdict, or FAILED with its cause? Is anything left?

  python benchmarks/fleet_kills.py --kills 100
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from measuring import ROOT, equal, make_parser, publish, say, scratch_folder, shown, soak_command

from soak.store.fleets import read_fleet
from soak.store.runs import list_runs, open_run

DRIVER = "import time\n\ndef cycle(state):\n    time.sleep(0.01)\n"
CELLS_OF_A_FLEET = 6
SMALL = ["--iterations", "64", "--no-track", "--wait-for-hosts", "2min"]
VICTIMS = ("worker", "nanny", "scheduler", "parent")
ENDS_WITHIN_S = 600.0


def main() -> int:
    """Kill, go on, check."""
    options = parse_arguments()
    random.seed(options.seed)
    with scratch_folder() as folder:
        for number in range(CELLS_OF_A_FLEET):
            (folder / f"drive_cell_{number}.py").write_text(DRIVER, encoding="utf-8")
        fleet = Fleet(folder)
        try:
            kills = kill_many(fleet, options.kills, options.longest)
            fleet.finish()
        finally:
            fleet.stop()
        figures = [shown(f"kills of the {victim}", kills[victim]) for victim in VICTIMS]
        outcomes, wrong = check(folder / "out")
        left = [process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])]
    figures += [shown("fleets", fleet.fleets)]
    figures += [shown(f"cells {outcome}", count) for outcome, count in sorted(outcomes.items())]
    figures += [equal("cells with no run or several", wrong, "", 0), equal("processes left", len(left), "", 0)]
    return publish("fleet_kills", figures, {"kills": dict(kills), "outcomes": dict(outcomes)}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--longest", type=float, default=12.0, metavar="S", help="longest pause between two kills")
    parser.add_argument("--seed", type=int, default=20)
    return parser.parse_args()


class Fleet:
    """The processes, each started again when it is gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "out"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.scheduler = self._start_scheduler()
        self.nannies = {host: self._start_nanny(host) for host in ("n1", "n2")}
        self.parent = self._start_parent()
        self.fleets = 1

    def victim(self, kind: str) -> int | None:
        """Return the process to kill; None when there is none at this moment."""
        if kind == "scheduler":
            return self.scheduler.pid
        if kind == "parent":
            return self.parent.pid if self.parent.poll() is None else None
        nanny = random.choice(list(self.nannies.values()))
        if kind == "nanny":
            return nanny.pid
        try:
            children = psutil.Process(nanny.pid).children()
        except psutil.NoSuchProcess:
            return None
        return next((child.pid for child in children if "spawn_main" in " ".join(child.cmdline())), None)

    def keep_up(self) -> None:
        """Start again what is gone, and the next fleet when one is whole."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._start_scheduler()
        for host, nanny in self.nannies.items():
            if nanny.poll() is not None:
                self.nannies[host] = self._start_nanny(host)
        if self.parent.poll() is not None:
            unfinished = self.unfinished()
            self.fleets += not unfinished
            self.parent = self._start_parent(unfinished[0] if unfinished else None)

    def finish(self) -> None:
        """Let every fleet come to its end."""
        end = time.monotonic() + ENDS_WITHIN_S
        while (self.unfinished() or self.parent.poll() is None) and time.monotonic() < end:
            if self.parent.poll() is None:
                time.sleep(0.5)
            else:
                self.keep_up()

    def unfinished(self) -> list[Path]:
        """Return the folders of fleets that have not written their report, or lack runs."""
        folders = sorted(self.out.iterdir()) if self.out.is_dir() else []
        return [
            folder
            for folder in folders
            if (folder / "fleet.json").is_file() and len(list_runs(folder)) < len(read_fleet(folder).cells)
        ]

    def stop(self) -> None:
        """End all processes."""
        for process in (self.parent, *self.nannies.values(), self.scheduler):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_scheduler(self) -> subprocess.Popen[bytes]:
        return self._start("scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard")

    def _start_nanny(self, host: str) -> subprocess.Popen[bytes]:
        offer = ["--resources", "soak=1", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
        address = f"tcp://127.0.0.1:{self.port}"
        # The name is what Slurm would give a node, so that there are several on this machine.
        return self._start("worker", address, *offer, "--host", "127.0.0.1", host=host)

    def _start(self, program: str, *arguments: str, host: str = "") -> subprocess.Popen[bytes]:
        return self._launch([sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments], host)

    def _start_parent(self, resumed: Path | None = None) -> subprocess.Popen[bytes]:
        what = ["--resume", str(resumed)] if resumed else [str(self.folder), "--out", str(self.out)]
        where = ["--scheduler", f"tcp://127.0.0.1:{self.port}"]
        return self._launch(soak_command("fleet", *what, *SMALL, *where))

    def _launch(self, command: list[str], host: str = "") -> subprocess.Popen[bytes]:
        name = {"SLURMD_NODENAME": host} if host else {}
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(self.folder), **name}
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )


def kill_many(fleet: Fleet, most: int, longest_s: float) -> Counter[str]:
    """Kill that many times; return how often each kind of process."""
    kills: Counter[str] = Counter()
    while kills.total() < most:
        time.sleep(random.uniform(0.5, longest_s))
        fleet.keep_up()
        kind = random.choice(VICTIMS)
        pid = fleet.victim(kind)
        if pid is None:
            continue
        os.kill(pid, signal.SIGKILL)
        kills[kind] += 1
        say(f"{kills.total()} kills, {fleet.fleets} fleets: {kind}")
    return kills


def check(out: Path) -> tuple[Counter[str], int]:
    """Count the outcomes of all cells, and those that have no run, or one without a verdict or cause."""
    outcomes: Counter[str] = Counter()
    wrong = 0
    for folder in out.iterdir():
        cells = {cell.id for cell in read_fleet(folder).cells}
        runs = list_runs(folder)
        wrong += len(cells ^ {run.name for run in runs}) + len(runs) - len({run.name for run in runs})
        for run in runs:
            with open_run(run) as store:
                (result,) = store.read_run().components
            outcomes[f"lost twice: {result.verdict}" if result.failure else str(result.verdict)] += 1
            wrong += result.verdict == "FAILED" and not (result.failure and "it was lost" in result.failure.detail)
    return outcomes, wrong


if __name__ == "__main__":
    sys.exit(main())
