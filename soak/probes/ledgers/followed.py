"""Find the tracker's tables in a process and in those that it has started, itself or through others."""

from __future__ import annotations

from collections.abc import Iterator

from soak.native.layout import TablePlaces
from soak.probes.descendants import Descendant
from soak.probes.ledgers.announcements import Announcements
from soak.probes.ledgers.tables import own_number, places_in


class Followed:
    """Knows where the tables of each process are."""

    def __init__(self, announcements: Announcements) -> None:
        """``announcements``: of the processes that load the library."""
        self._announcements = announcements
        self._known: dict[int, TablePlaces] = {}

    def places(self, process: Descendant) -> TablePlaces | None:
        """Return where the tables of a live process are; None if it has none.

        A forked process that runs no other program has them at the addresses of its parent's. So ask for parents
        before their children.
        """
        for candidate in self._candidates(process):
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

    def _candidates(self, process: Descendant) -> Iterator[TablePlaces | None]:
        yield self._announcements.of(process.pid)
        yield self._of(process.pid)
        yield self._of(process.parent)
        number = own_number(process.pid)
        yield None if number is None else self._announcements.of(number)

    def _of(self, pid: int) -> TablePlaces | None:
        return self._known.get(pid) or self._announcements.of(pid)
