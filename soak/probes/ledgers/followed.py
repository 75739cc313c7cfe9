"""Find the tracker's tables in a process and in those that it has started, itself or through others."""

from __future__ import annotations

import os
from pathlib import Path

from soak.native.layout import TABLES, TablePlaces
from soak.probes.descendants import Descendant
from soak.probes.ledgers.tables import parse_places, places_in

_LONGEST_FILE = 1 << 20


class Announcements:
    """A file in memory to which each process that loads the library appends where its tables are.

    It has no name but a path in /proc, so it is gone with this process, whenever that ends.
    """

    def __init__(self) -> None:
        self._handle = os.memfd_create("soak-tables")
        self._told: dict[int, TablePlaces] = {}
        self._read_bytes = 0

    @property
    def path(self) -> str:
        """The path under which other processes reach the file."""
        return f"/proc/{os.getpid()}/fd/{self._handle}"

    def of(self, pid: int) -> TablePlaces | None:
        """Return what the program that a process began last has told; None where it has told nothing."""
        self._read()
        return self._told.get(pid)

    def forget_ended(self) -> None:
        """Forget what processes have told that have ended.

        All others may still fork, also those that are not counted themselves, such as multiprocessing's fork server.
        """
        self._told = {pid: places for pid, places in self._told.items() if Path(f"/proc/{pid}").exists()}

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _read(self) -> None:
        while content := os.pread(self._handle, 1024 * TABLES.itemsize, self._read_bytes):
            for at in range(0, len(content) - TABLES.itemsize + 1, TABLES.itemsize):
                places = parse_places(content[at : at + TABLES.itemsize])
                if places is not None:
                    self._told[places.pid] = places
            self._read_bytes += len(content)
        if self._read_bytes > _LONGEST_FILE:  # ten thousand programs were started
            os.ftruncate(self._handle, 0)
            self._read_bytes = 0


class Followed:
    """Knows where the tables of each process are."""

    def __init__(self, announcements: Announcements) -> None:
        """``announcements``: of the processes that load the library."""
        self._announcements = announcements
        self._known: dict[int, TablePlaces] = {}

    def places(self, process: Descendant) -> TablePlaces | None:
        """Return where the tables of a process are that is alive; None where it has none.

        A process that was forked, and runs no other program, has them where its parent has them. So ask for parents
        before their children.
        """
        for candidate in (self._announcements.of(process.pid), self._of(process.pid), self._of(process.parent)):
            found = None if candidate is None else places_in(process.pid, candidate.own_at)
            if found is not None:
                self._known[process.pid] = found
                return found
        self._known.pop(process.pid, None)
        return None

    def forget_ended(self, living: set[int]) -> None:
        """Forget processes that are not among the ``living``."""
        self._known = {pid: known for pid, known in self._known.items() if pid in living}
        self._announcements.forget_ended()

    def _of(self, pid: int) -> TablePlaces | None:
        return self._known.get(pid) or self._announcements.of(pid)
