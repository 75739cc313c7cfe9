"""Find the tracker's tables in the processes that a followed process has started, itself or through others."""

from __future__ import annotations

import contextlib
from pathlib import Path

from soak.native.layout import TablePlaces
from soak.probes.descendants import Descendant
from soak.probes.tables import places_in, read_places

_MOST_FILES = 64


class Followed:
    """Knows where the tables of each process are, by the folder to which they write it."""

    def __init__(self, folder: Path) -> None:
        """``folder``: to which each process that loads the library writes, to a file with its number as the name."""
        self._folder = folder
        self._known: dict[int, TablePlaces] = {}

    def places(self, process: Descendant) -> TablePlaces | None:
        """Return where the tables of a process are that is alive; None where it has none.

        A process that was forked, and runs no other program, has them where its parent has them. So ask for parents
        before their children.
        """
        parents = self._of_number(process.parent)
        told = read_places(self._folder / str(process.pid))
        for candidate in (told, self._of_number(process.pid), parents):
            found = None if candidate is None else places_in(process.pid, candidate.own_at)
            if found is not None:
                self._known[process.pid] = found
                return found
        self._known.pop(process.pid, None)
        return None

    def forget_ended(self, living: set[int]) -> None:
        """Remove what is known of processes that are not among the ``living``, and their files where there are many."""
        self._known = {pid: known for pid, known in self._known.items() if pid in living}
        with contextlib.suppress(OSError):
            files = list(self._folder.iterdir())
            if len(files) > _MOST_FILES:
                for file in files:
                    if not Path("/proc", file.name).exists():
                        file.unlink(missing_ok=True)

    def _of_number(self, pid: int) -> TablePlaces | None:
        return self._known.get(pid) or read_places(self._folder / str(pid))
