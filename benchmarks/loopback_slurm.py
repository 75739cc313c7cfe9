"""A real Slurm on this machine's loopback: a controller and two nodes, without systemd and without cgroups."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")
PACKAGES = "slurmctld slurmd slurm-client munge"
_UP_WITHIN_S = 60.0
_CONFIGURATION = """\
ClusterName=soak
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/d.%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/d.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2
SlurmdParameters=config_overrides
SlurmdTimeout=20
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={n1} CPUs=1 RealMemory=2000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={n2} CPUs=1 RealMemory=2000
PartitionName=soak Nodes=n1,n2 Default=YES State=UP MaxTime=INFINITE
"""


def why_not() -> str | None:
    """Say why there can be no Slurm here; None if there can."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=path) is None]
    if missing:
        return f"there is no {', '.join(missing)}; on Debian: apt-get install {PACKAGES}"
    return None if os.geteuid() == 0 else "Slurm's daemons need root here"


class Slurm:
    """The daemons, and how one of them is killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.configuration = folder / "slurm.conf"
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {
            **os.environ,
            "SLURM_CONF": str(self.configuration),
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
        }

    def start(self) -> None:
        """Start all daemons and wait until both nodes are idle."""
        (self.folder / "state").mkdir()
        host = socket.gethostname().partition(".")[0]
        ports = dict(zip(("controller", "n1", "n2"), _free_ports(3), strict=True))
        self.configuration.write_text(_CONFIGURATION.format(folder=self.folder, host=host, **ports), encoding="ascii")
        self._start_munge()
        self._start("slurmctld", "slurmctld", "-D", "-f", str(self.configuration))
        for node in ("n1", "n2"):
            self.start_node(node)
        self.wait_until_idle()

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self._start(node, "slurmd", "-D", "-N", node, "-f", str(self.configuration))

    def kill_node(self, node: str) -> None:
        """Kill the daemon of a node; its jobs go on until the controller gives the node up."""
        daemon = self.daemons.pop(node)
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    def wait_until_idle(self) -> None:
        """Wait until both nodes are idle."""
        end = time.monotonic() + _UP_WITHIN_S
        while (states := self.ask("sinfo", "--noheader", "--Node", "--format", "%T")).split() != ["idle", "idle"]:
            assert time.monotonic() < end, f"the nodes are {states}: {self._logs()}"
            time.sleep(0.5)

    def ask(self, *command: str) -> str:
        """Return what a command of Slurm's prints."""
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=False, timeout=30
        ).stdout

    def stop(self) -> None:
        """End all jobs, then all daemons."""
        self.ask("scancel", "--user", "root")
        time.sleep(1.0)
        for daemon in reversed(self.daemons.values()):
            daemon.terminate()
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        files = [
            f"--{name}={self.folder / file}"
            for name, file in (
                ("key-file", "munge.key"),
                ("socket", "munge.sock"),
                ("pid-file", "munge.pid"),
                ("log-file", "munge.log"),
                ("seed-file", "munge.seed"),
            )
        ]
        self._start("munged", "munged", "--foreground", "--force", *files)
        while not (self.folder / "munge.sock").exists():
            time.sleep(0.05)

    def _start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.out").open("wb")
        with log:
            self.daemons[name] = subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def _logs(self) -> str:
        return "\n".join(file.read_text(errors="replace")[-500:] for file in sorted(self.folder.glob("*.log")))


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[Slurm]:
    """Give a running Slurm with all its files in ``folder``, which is short enough for the name of a socket."""
    system = Slurm(folder)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
