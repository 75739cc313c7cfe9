"""What is watched: a process that was found or started, alone or with all its descendants, read through /proc."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from soak.errors import UsageError
from soak.probes.ledgers.announcements import Announcements
from soak.probes.ledgers.tables import LiveTables, WatchedTables
from soak.probes.outside import OutsideReader, living_thread, open_reader, read_cpu_s
from soak.results import WATCHED_FROM_OUTSIDE
from soak.running.time_share import TimeShare
from soak.running.watch.marking import environment_that_marks
from soak.running.watch.preloaded import PreloadedTracker

_DETAILS_SHARE = 0.001
"""Part of the time that reading PSS and USS may take; a small process's are read at every sample."""
CPU_S = "cpu_s"
"""The processor time that the process has used so far, among what is read at a sample."""
_ENDS_WITHIN_S = 5.0
"""A process that has released its memory may take this long to end."""


class Ending(NamedTuple):
    """How a program of ours ended."""

    in_time: bool
    """By itself, at SIGTERM."""
    left: int
    """How many of the processes that it had started did not end with it, and were ended after it."""


class Subject(Protocol):
    """What is watched."""

    name: str

    def read(self) -> dict[str, float]:
        """Read all signals at once; empty when the process has ended. ``CPU_S`` is no signal."""

    def program(self) -> str:
        """Return what the process runs; another answer than before means that it has become another program.

        Empty when the process is ending.
        """

    def describe_fds(self) -> dict[str, int]:
        """Count descriptors by what they point to."""

    def has_huge_pages(self) -> bool:
        """Tell whether the kernel backs it with pages of 2 MiB."""

    def exit_status(self) -> int | None:
        """Return how it ended (negative: the signal), for a program of ours that has ended."""

    def tables(self) -> WatchedTables | None:
        """Return the tracker's tables in the program that it is now, or None."""

    def why_not_tracked(self) -> str | None:
        """Return why there are no tables."""


class Process:
    """A process of this machine, alone or with all its descendants."""

    def __init__(
        self,
        pid: int,
        *,
        tree: bool,
        name: str | None = None,
        started: subprocess.Popen[bytes] | None = None,
        tracker: PreloadedTracker | str = WATCHED_FROM_OUTSIDE,
    ) -> None:
        """Find the process. Raises UsageError when there is none or nothing of it may be read.

        ``name``: what it is called, where not by the kernel's name for it. ``tracker``: what it was started with, or
        why there is none.
        """
        self.pid = pid
        self._tree = tree
        self._started = started
        self._tracker = tracker
        try:
            self._process = psutil.Process(pid)
            self._process.create_time()  # by which a later process of the same number is told from it
            self.name = name or self._process.name()
            command = " ".join(self._process.cmdline())
        except psutil.ZombieProcess:
            if living_thread(pid) is None:
                raise UsageError(
                    f"process {pid} has ended: a zombie, because its parent has not waited for it"
                ) from None
            command = ""
        except psutil.NoSuchProcess:
            raise UsageError(f"there is no process {pid}") from None
        except psutil.AccessDenied:
            command = ""
        self.command = command or getattr(self, "name", f"process {pid}")
        self._task = pid
        self._readers: dict[int, OutsideReader] = {}
        self._details = TimeShare(_DETAILS_SHARE)
        values = self.read()
        if not values:
            why = "it has no memory of its own, or permission is denied" if self.is_alive() else "it has ended"
            raise UsageError(f"process {pid} cannot be read: {why}")
        self.unreadable = [name for name in ("fds", "children", "pss") if name not in values]

    def read(self) -> dict[str, float]:
        """See Subject."""
        if not self.is_alive():
            return {}
        self._task = living_thread(self.pid) or self.pid
        tasks = [self._task, *(_descendants(self.pid) if self._tree else ())]
        self._readers = {task: self._readers.get(task) or open_reader(task) for task in tasks}
        own, *others = (reader.read_counts() for reader in self._readers.values())
        if not own.get("mapped"):
            return {}  # it is just ending
        sums = _sum((own, *others))
        cpu_s = read_cpu_s(self.pid)
        if cpu_s is not None:
            sums[CPU_S] = cpu_s
        begun_s = time.monotonic()
        if self._details.is_due(begun_s):
            sums = {**_sum(reader.read_details() for reader in self._readers.values()), **sums}
            # The kernel walks through all pages for it: 10 ms a GiB.
            self._details.spend(begun_s, time.monotonic() - begun_s)
        return sums

    def program(self) -> str:
        """See Subject."""
        try:
            return str(Path(f"/proc/{living_thread(self.pid)}/exe").readlink()).removesuffix(" (deleted)")
        except PermissionError:
            with contextlib.suppress(psutil.Error):
                return self._process.name() if self.is_alive() else ""
        except OSError:  # it is just ending: its memory is gone, though it is not a zombie yet
            pass
        return ""

    def describe_fds(self) -> dict[str, int]:
        """See Subject."""
        return open_reader(self._task).describe_fds()

    def has_huge_pages(self) -> bool:
        """See Subject."""
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{self._task}/smaps_rollup").read_text(encoding="ascii")
            return any(line.startswith("AnonHugePages:") and " 0 kB" not in line for line in rollup.splitlines())
        return False

    def exit_status(self) -> int | None:
        """See Subject."""
        if self._started is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._started.wait(_ENDS_WITHIN_S)
        return None

    def tables(self) -> LiveTables | None:
        """See Subject."""
        return None if isinstance(self._tracker, str) else self._tracker.tables(self.pid)

    @property
    def announcements(self) -> Announcements | None:
        """Where the processes that it starts tell where their tables are; None if it has no tracker."""
        return None if isinstance(self._tracker, str) else self._tracker.announcements

    def why_not_tracked(self) -> str | None:
        """See Subject."""
        return self._tracker if isinstance(self._tracker, str) else self._tracker.reason

    def end(self, grace_s: float) -> Ending:
        """End a program of ours: SIGTERM, and after ``grace_s`` seconds SIGKILL, to its descendants too.

        Those that do not end with it get SIGTERM then, and SIGKILL after as long: they would keep its port.
        """
        assert self._started is not None, "only what soak has started may be ended"
        descendants: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            descendants = self._process.children(recursive=True)
        self._started.terminate()
        in_time = True
        try:
            self._started.wait(grace_s)
        except subprocess.TimeoutExpired:
            in_time = False
            with contextlib.suppress(psutil.Error):
                descendants += self._process.children(recursive=True)
            _kill(descendants)
            self._started.kill()
        self._started.wait()
        _, left = psutil.wait_procs(descendants, min(_ENDS_WITHIN_S, grace_s) if in_time else 0)
        if in_time:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.terminate()
            _kill(psutil.wait_procs(left, grace_s)[1])
        return Ending(in_time, len(left) if in_time else 0)

    def close(self) -> None:
        """Let go of it."""
        if not isinstance(self._tracker, str):
            self._tracker.close()

    def is_alive(self) -> bool:
        """Tell whether it runs."""
        if self._started is not None and self._started.poll() is not None:
            return False
        try:
            if not self._process.is_running():
                return False
            return self._process.status() != psutil.STATUS_ZOMBIE or living_thread(self.pid) is not None
        except psutil.NoSuchProcess:
            return False


def start_program(
    command: Sequence[str],
    *,
    output_to_stderr: bool,
    tree: bool,
    library: Path | None,
    reason: str | None,
    marks: Sequence[str] = (),
    follow: bool = False,
) -> Process:
    """Start a program with our own streams and environment, and watch it. Raises UsageError when it does not start.

    ``library``: the tracker's, to be preloaded; None without, for ``reason``. ``marks``: what is to be marked.
    ``follow``: the library stays in the processes that the program starts.
    """
    tracker = (
        PreloadedTracker(library, os.environ, follows=follow)
        if library is not None
        else reason or "there is no library"
    )
    preloaded = None if isinstance(tracker, str) else tracker
    try:
        environment = preloaded.environment if preloaded is not None else None
        if environment is not None and marks:
            environment = environment_that_marks(marks, environment)
        started = subprocess.Popen(command, stdout=2 if output_to_stderr else None, env=environment)
        if preloaded is not None:
            preloaded.wait(started.pid)
        # By its file: the kernel's name is that of a script's interpreter, which may run another program at once.
        return Process(started.pid, tree=tree, name=Path(command[0]).name, started=started, tracker=tracker)
    except BaseException as error:
        if preloaded is not None:
            preloaded.close()
        if isinstance(error, OSError):
            raise UsageError(f"{command[0]!r} cannot be started: {error.strerror}") from error
        if isinstance(error, UsageError):
            # It has no memory any more, but may take a moment to end.
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = started.wait(_ENDS_WITHIN_S)
                raise UsageError(f"{command[0]!r} ended at once, with status {status}: soak measured nothing") from None
        raise


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _sum(readings: Iterable[dict[str, float]]) -> dict[str, float]:
    sums: dict[str, float] = {}
    for reading in readings:
        for name, value in reading.items():
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _descendants(pid: int) -> Iterator[int]:
    if sys.platform != "linux":
        with contextlib.suppress(psutil.Error):
            yield from (child.pid for child in psutil.Process(pid).children(recursive=True))
        return
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - a plain name a thread, once a sample
            with contextlib.suppress(OSError):
                for child in Path(f"/proc/{pid}/task/{thread}/children").read_text(encoding="ascii").split():
                    yield int(child)
                    yield from _descendants(int(child))
