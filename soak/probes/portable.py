"""Read a process from outside by psutil, on systems without /proc."""

from __future__ import annotations

import contextlib
from collections import Counter

import psutil

from soak.measurements import Identity
from soak.probes.descendants import Descendant, short_command


class PsutilReader:
    """Reads by psutil, on systems without /proc."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def read_counts(self) -> dict[str, float]:
        """See OutsideReader."""
        values: dict[str, float] = {}
        with contextlib.suppress(psutil.Error):
            memory = self._process.memory_info()
            values = {"rss": memory.rss, "mapped": memory.vms, "threads": self._process.num_threads()}
            values["fds"] = self._process.num_fds()
            values["children"] = len(self._process.children())
        return values

    def read_details(self) -> dict[str, float]:
        """See OutsideReader."""
        with contextlib.suppress(psutil.Error):
            memory = self._process.memory_full_info()
            return {name: getattr(memory, name) for name in ("pss", "uss", "swap") if hasattr(memory, name)}
        return {}

    def read_living(self) -> dict[str, frozenset[Identity]]:
        """See OutsideReader; when a thread began is not known."""
        return {}

    def describe_fds(self) -> dict[str, int]:
        """See OutsideReader."""
        with contextlib.suppress(psutil.Error):
            return dict(Counter(file.path for file in self._process.open_files()))
        return {}

    def read_descendants(self) -> tuple[Descendant, ...]:
        """See OutsideReader."""
        found = []
        lines: dict[int, str] = {}
        with contextlib.suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    parent, line = process.ppid(), " ".join(process.cmdline())
                    lines[process.pid] = line
                    if process is not self._process and process.status() != psutil.STATUS_ZOMBIE:
                        command = short_command(line, lines.get(parent, ""))
                        rss_bytes = process.memory_info().rss
                        found.append(Descendant(process.pid, parent, process.create_time(), line, command, rss_bytes))
        return tuple(found)
