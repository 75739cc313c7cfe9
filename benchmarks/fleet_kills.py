"""Kill a fleet with SIGKILL at random moments, many times, and check what is left of its cells.

A scheduler of Dask, two workers with a nanny each, and `soak fleet --scheduler` run on this machine. At a random moment
the script kills one of them: a worker, a nanny, the scheduler or the parent. What was killed is started again; a fleet
that has ended too early is gone on with by `--resume`. When the kills are done each fleet comes to its end undisturbed.
Then the script checks: Does each cell have exactly one run, with a verdict, or FAILED with its cause? Is anything left?
With --slurm it does the same on a real Slurm with two nodes on this machine, and kills slurmd, too.

  python benchmarks/fleet_kills.py --kills 100
  python benchmarks/fleet_kills.py --kills 100 --slurm
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import psutil
from loopback_slurm import Slurm, slurm
from measuring import ROOT, equal, make_parser, publish, say, scratch_folder, shown, soak_command

from soak.store.fleets import read_fleet
from soak.store.runs import list_runs, open_run

DRIVER = "import time\n\ndef cycle(state):\n    time.sleep(0.01)\n"
CELLS_OF_A_FLEET = 6
SMALL = ["--iterations", "64", "--no-track", "--wait-for-hosts", "2min"]
HOSTS = ("n1", "n2")
ENDS_WITHIN_S, GIVES_UP_WITHIN_S = 600.0, 90.0


def main() -> int:
    """Kill, go on, check."""
    options = parse_arguments()
    random.seed(options.seed)
    # munged refuses folders that others can write to, and sockets with long names.
    with scratch_folder() as folder, tempfile.TemporaryDirectory(prefix="slurm-", dir="/var/tmp") as below:
        for number in range(CELLS_OF_A_FLEET):
            (folder / f"drive_cell_{number}.py").write_text(DRIVER, encoding="utf-8")
        with slurm(Path(below)) if options.slurm else nullcontext() as system:
            fleet = SlurmFleet(folder, system) if system is not None else DaskFleet(folder)
            try:
                kills = kill_many(fleet, options.kills, options.longest)
                fleet.finish()
            finally:
                fleet.stop()
        outcomes, wrong = check(folder / "out")
        left = processes_left(folder)
    figures = [shown(f"kills of the {victim}", kills[victim]) for victim in fleet.victims]
    figures += [shown("fleets", fleet.fleets)]
    figures += [shown(f"cells {outcome}", count) for outcome, count in sorted(outcomes.items())]
    figures += [equal("cells with no run or several", wrong, "", 0), equal("processes left", len(left), "", 0)]
    return publish("fleet_kills", figures, {"kills": dict(kills), "outcomes": dict(outcomes)}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Return the options."""
    parser = make_parser(__doc__)
    parser.add_argument("--slurm", action="store_true", help="on a Slurm with two nodes on this machine")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--longest", type=float, default=12.0, metavar="S", help="longest pause between two kills")
    parser.add_argument("--seed", type=int, default=20)
    return parser.parse_args()


class Fleet:
    """A fleet's parent, and what it measures on; each process is started again when it is gone."""

    victims: tuple[str, ...] = ("parent",)

    def __init__(self, folder: Path, where: Sequence[str]) -> None:
        """Begin the first fleet. ``where``: the options that say on what hosts."""
        self.folder = folder
        self.out = folder / "out"
        self.where = where
        self.parent = self._start_parent()
        self.fleets = 1

    def victim(self, kind: str) -> int | None:
        """Return the process to kill; None when there is none at this moment."""
        return self.parent.pid if kind == "parent" and self.parent.poll() is None else None

    def keep_up(self) -> None:
        """Start again what is gone, and the next fleet when one is whole."""
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
        end_all(self.parent)

    def _start_parent(self, resumed: Path | None = None) -> subprocess.Popen[bytes]:
        what = ["--resume", str(resumed)] if resumed else [str(self.folder), "--out", str(self.out)]
        return self.launch(soak_command("fleet", *what, *SMALL, *self.where))

    def launch(self, command: list[str], **variables: str) -> subprocess.Popen[bytes]:
        """Start a process in the folder of the fleet."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DASK_TEMPORARY_DIRECTORY": str(self.folder),
            **variables,
        }
        nowhere = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )


class DaskFleet(Fleet):
    """On a scheduler of Dask with two nannies, each with a worker."""

    victims = ("worker", "nanny", "scheduler", "parent")

    def __init__(self, folder: Path) -> None:
        """Start everything."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        self.folder = folder
        self.scheduler = self._start_scheduler()
        self.nannies = {host: self._start_nanny(host) for host in HOSTS}
        super().__init__(folder, ["--scheduler", self.address])

    def victim(self, kind: str) -> int | None:
        """See Fleet."""
        if kind == "scheduler":
            return self.scheduler.pid
        if kind in ("nanny", "worker"):
            nanny = random.choice(list(self.nannies.values()))
            return nanny.pid if kind == "nanny" else worker_of(nanny.pid)
        return super().victim(kind)

    def keep_up(self) -> None:
        """See Fleet."""
        if self.scheduler.poll() is not None:
            self.scheduler = self._start_scheduler()
        for host, nanny in self.nannies.items():
            if nanny.poll() is not None:
                self.nannies[host] = self._start_nanny(host)
        super().keep_up()

    def stop(self) -> None:
        """See Fleet."""
        super().stop()
        end_all(*self.nannies.values(), self.scheduler)

    def _start_scheduler(self) -> subprocess.Popen[bytes]:
        port = self.address.rpartition(":")[2]
        return self._start("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard")

    def _start_nanny(self, host: str) -> subprocess.Popen[bytes]:
        offer = ["--resources", "soak=1", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
        # The name is what Slurm would give a node, so that there are several on this machine.
        return self._start("worker", self.address, *offer, "--host", "127.0.0.1", SLURMD_NODENAME=host)

    def _start(self, program: str, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        return self.launch([sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments], **variables)


class SlurmFleet(Fleet):
    """On a Slurm with two nodes. The scheduler of Dask is in the parent, the nannies are in Slurm's jobs."""

    victims = ("worker", "nanny", "slurmd", "parent")

    def __init__(self, folder: Path, system: Slurm) -> None:
        """Begin on a Slurm that runs."""
        self.system = system
        jobs = ["--slurm", "--hosts", "2", "--queue", "soak", "--cores", "1", "--memory", "1GB", "--interface", "lo"]
        super().__init__(folder, jobs)

    def launch(self, command: list[str], **variables: str) -> subprocess.Popen[bytes]:
        """See Fleet."""
        return super().launch(command, **self.system.environment, **variables)

    def victim(self, kind: str) -> int | None:
        """See Fleet."""
        if kind == "slurmd":
            return self.system.daemons[random.choice(HOSTS)].pid
        if kind in ("nanny", "worker"):
            nannies = self._nannies()
            nanny = random.choice(nannies) if nannies else None
            return nanny if nanny is None or kind == "nanny" else worker_of(nanny)
        return super().victim(kind)

    def keep_up(self) -> None:
        """See Fleet."""
        for host in HOSTS:
            if self.system.daemons[host].poll() is not None:
                self.system.start_node(host)
        super().keep_up()

    def _nannies(self) -> list[int]:
        return [
            process.pid
            for process in psutil.process_iter(["cmdline"])
            if "distributed.cli.dask_worker" in (process.info["cmdline"] or ())
            and environment_of(process).get("SLURM_CONF") == str(self.system.configuration)
        ]


def worker_of(nanny: int) -> int | None:
    """Return the worker of a nanny; None if it has none at this moment."""
    try:
        children = psutil.Process(nanny).children()
        found = [int(child.pid) for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return None
    return found[0] if found else None


def environment_of(process: psutil.Process) -> dict[str, str]:
    """Return the environment of a process; empty if it cannot be read."""
    try:
        return process.environ()
    except psutil.Error:
        return {}


def end_all(*processes: subprocess.Popen[bytes]) -> None:
    """End processes, one after another."""
    for process in processes:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def kill_many(fleet: Fleet, most: int, longest_s: float) -> Counter[str]:
    """Kill that many times; return how often each kind of process."""
    kills: Counter[str] = Counter()
    while kills.total() < most:
        time.sleep(random.uniform(0.5, longest_s))
        fleet.keep_up()
        kind = random.choice(fleet.victims)
        pid = fleet.victim(kind)
        if pid is None:
            continue
        os.kill(pid, signal.SIGKILL)
        kills[kind] += 1
        say(f"{kills.total()} kills, {fleet.fleets} fleets: {kind}")
    return kills


def processes_left(folder: Path) -> list[psutil.Process]:
    """Return the processes of the fleets that are still there; a worker without a scheduler gives up in a minute."""
    end = time.monotonic() + GIVES_UP_WITHIN_S
    while True:
        left = [process for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])]
        if not left or time.monotonic() > end:
            return left
        time.sleep(1.0)


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
