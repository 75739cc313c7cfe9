"""A real HTCondor on this machine's loopback: one pool with one host of two slots, without systemd.

HTCondor runs no jobs of root, so the pool and what submits to it run as ``nobody`` where this process is root.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

SYSTEM = Path(__file__).parents[1] / "build" / "htcondor" / "root" / "usr"
"""Where .ci/htcondor.py unpacks it."""
_USER = "nobody"
_UP_WITHIN_S = 60.0
_CONFIGURATION = """\
RELEASE_DIR = {system}
LOCAL_DIR = {folder}
BIN = {system}/bin
SBIN = {system}/sbin
LIB = {system}/lib/condor
LIBEXEC = {system}/libexec/condor
SHARE = {system}/share/condor
LOG = {folder}/log
SPOOL = {folder}/spool
EXECUTE = {folder}/execute
LOCK = {folder}/lock
RUN = {folder}/run
ETC = {folder}
DAEMON_LIST = MASTER, COLLECTOR, NEGOTIATOR, SCHEDD, STARTD
CONDOR_HOST = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:{collector}
BIND_ALL_INTERFACES = FALSE
NETWORK_INTERFACE = 127.0.0.1
USE_SHARED_PORT = FALSE
UID_DOMAIN = soak.test
FILESYSTEM_DOMAIN = soak.test
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
SEC_PASSWORD_DIRECTORY = {folder}/tokens
SEC_TOKEN_DIRECTORY = {folder}/tokens
ALLOW_READ = 127.0.0.1
ALLOW_WRITE = 127.0.0.1
ALLOW_DAEMON = 127.0.0.1
ALLOW_ADMINISTRATOR = 127.0.0.1
ALLOW_NEGOTIATOR = 127.0.0.1
NUM_CPUS = 2
MEMORY = 4000
SLOT_TYPE_1 = cpus=1, memory=50%, disk=50%
NUM_SLOTS_TYPE_1 = 2
START = TRUE
SUSPEND = FALSE
PREEMPT = FALSE
KILL = FALSE
NEGOTIATOR_INTERVAL = 2
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
SCHEDD_INTERVAL = 2
UPDATE_INTERVAL = 5
RunBenchmarks = FALSE
CREATE_CORE_FILES = FALSE
"""
_FOLDERS = ("log", "spool", "execute", "lock", "run", "tokens", "home")


def why_not() -> str | None:
    """Say why there can be no HTCondor here; None if there can."""
    if not (SYSTEM / "sbin" / "condor_master").exists():
        return "HTCondor is not unpacked; make test-htcondor does it where it can"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "HTCondor runs no jobs of root, and there is no setpriv to be another user"
    return None


class HTCondor:
    """The daemons of the pool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "CONDOR_CONFIG": str(folder / "condor_config"),
            "HOME": str(folder / "home"),
            "PATH": f"{SYSTEM / 'bin'}:{SYSTEM / 'sbin'}:{os.environ['PATH']}",
        }
        self._master: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemons and wait until both slots can be had."""
        for name in _FOLDERS:
            (self.folder / name).mkdir()
        text = _CONFIGURATION.format(system=SYSTEM, folder=self.folder, collector=_free_port())
        (self.folder / "condor_config").write_text(text, encoding="ascii")
        give_to_user(self.folder)
        with (self.folder / "master.out").open("wb") as log:
            self._master = subprocess.Popen(
                as_user("condor_master", "-f"),
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + _UP_WITHIN_S
        while (states := self.ask("condor_status", "-autoformat", "State").split()) != ["Unclaimed"] * 2:
            assert time.monotonic() < end, f"the slots are {states}: {self._logs()}"
            time.sleep(0.5)

    def jobs(self) -> list[str]:
        """Return the ids of the jobs in the queue."""
        return self.ask("condor_q", "-allusers", "-autoformat", "ClusterId").split()

    def ask(self, *command: str) -> str:
        """Return what a command of HTCondor's prints."""
        return subprocess.run(
            as_user(*command), env=self.environment, capture_output=True, text=True, check=False, timeout=30
        ).stdout

    def stop(self) -> None:
        """End the daemons, and with them all jobs."""
        if self._master is None:
            return
        self._master.send_signal(signal.SIGQUIT)
        try:
            self._master.wait(30)
        except subprocess.TimeoutExpired:
            self._master.kill()
            self._master.wait()

    def _logs(self) -> str:
        return "\n".join(file.read_text(errors="replace")[-500:] for file in sorted(self.folder.glob("log/*Log")))


def as_user(*command: str) -> Sequence[str]:
    """Return a command that runs as the user of the pool.

    That user may read whatever root may: an interpreter can lie where only root looks.
    """
    if os.geteuid() != 0:
        return command
    user = ("--reuid", _USER, "--regid", str(pwd.getpwnam(_USER).pw_gid), "--clear-groups")
    reading = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
    return ("setpriv", *user, *reading, *command)


def give_to_user(folder: Path) -> None:
    """Make a folder and all in it that of the pool's user."""
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, _USER)


@contextlib.contextmanager
def htcondor(folder: Path) -> Iterator[HTCondor]:
    """Give a running HTCondor with all its files in ``folder``."""
    system = HTCondor(folder)
    try:
        system.start()
        yield system
    finally:
        system.stop()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
