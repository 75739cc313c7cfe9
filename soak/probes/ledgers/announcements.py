"""The file to which processes that load the tracker append where its tables are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soak.native.layout import TablePlaces

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
        """Return the latest announcement of a process; None if there is none."""
        self._read()
        return self._told.get(pid)

    def forget_ended(self) -> None:
        """Forget the announcements of processes that have ended.

        All others may still fork, also those that are not counted themselves, such as multiprocessing's fork server.
        """
        self._told = {pid: places for pid, places in self._told.items() if Path(f"/proc/{pid}").exists()}

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)

    def _read(self) -> None:
        # With numpy. A process is started with the path of this file, and need not wait for that.
        from soak.native.layout import TABLES
        from soak.probes.ledgers.tables import parse_places

        while content := os.pread(self._handle, 1024 * TABLES.itemsize, self._read_bytes):
            for at in range(0, len(content) - TABLES.itemsize + 1, TABLES.itemsize):
                places = parse_places(content[at : at + TABLES.itemsize])
                if places is not None:
                    self._told[places.pid] = places
            self._read_bytes += len(content)
        if self._read_bytes > _LONGEST_FILE:  # ten thousand programs were started
            os.ftruncate(self._handle, 0)
            self._read_bytes = 0
