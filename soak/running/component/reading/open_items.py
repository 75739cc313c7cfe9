"""What a measured process opens in its cycles and does not close: listed from outside, with who opened it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from soak.attribution.causes import Call
from soak.attribution.opened_causes import StillOpen
from soak.native.ledger import Opening
from soak.probes.inventory import DESCRIPTOR, THREAD, Inventory, OpenItem, describe_new, read_inventory
from soak.running.child.child import Child
from soak.running.clock import Clock
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.time_share import TimeShare

Line = tuple[str, int, str]
"""File, line and function."""
_SIGNALS = ("threads", "children", "fds")

_SETTLED_AFTER_CYCLES = 8
"""What first calls open for good is there by then."""
_FEW, _AGAIN_AFTER_S = 8, 1.0
_SHARE = 0.02
"""Of the time that lists may take beyond the doubling; the process waits meanwhile."""


class OpenItems:
    """Lists at the first settled checkpoint, now and then while there is more of it, and when the cycles are over.

    The last list counts; the ones before stand in for it when a process does not come to its end.
    """

    def __init__(self, child: Child, ledger: LedgerReader, clock: Clock) -> None:
        """Prepare; nothing is read yet."""
        self._child = child
        self._ledger = ledger
        self._clock = clock
        self._listing = TimeShare(_SHARE, every_s=_AGAIN_AFTER_S)
        self._before = Inventory()
        self._counts_before: Mapping[str, float] = {}
        self._settled_at: int | None = None
        self._listed_growth = 0.0
        self._items: tuple[OpenItem, ...] = ()
        self._lines: Mapping[int, Line] = {}
        self._openings: tuple[dict[int, Opening], dict[int, Opening]] = ({}, {})

    def at_checkpoint(self, cycle: int, counts: Mapping[str, float]) -> None:
        """Take the first list, or another one; the process is at rest. ``counts``: the signals read from outside."""
        if self._settled_at is None or self._settled_at < _SETTLED_AFTER_CYCLES <= cycle:
            self._before = read_inventory(self._child.pid)
            self._counts_before, self._settled_at = counts, cycle
            self._items, self._listed_growth = (), 0.0
            return
        growth = max(counts.get(name, 0.0) - self._counts_before.get(name, 0.0) for name in _SIGNALS)
        # By doubling, because a process may be killed within a second.
        begun_s = self._clock.now_s()
        if growth >= _FEW and (growth >= 2 * self._listed_growth or self._listing.is_due(begun_s)):
            self.look()
            self._listing.spend(begun_s, self._clock.now_s() - begun_s)
            self._listed_growth = growth

    def look(self) -> None:
        """List what is open now and was not when the process had settled."""
        if self._settled_at is None:
            return
        self._openings = self._ledger.openings()
        descriptors, _ = self._openings
        later = [number for number, opening in descriptors.items() if opening.cycle > self._settled_at]
        ring = self._child.ring
        self._items = describe_new(self._child.pid, self._before, later, ring.read_thread_names())
        self._lines = ring.read_thread_lines()

    def still_open(self) -> tuple[StillOpen, ...]:
        """Return what the last list had, each with who opened it; the ledger must still be open."""
        descriptors, tasks = self._openings
        found = []
        usual = self._usual_lines(tasks)
        for item in self._items:
            opening = (descriptors if item.kind == DESCRIPTOR else tasks).get(item.number)
            stack = () if opening is None else self._ledger.stack_of(opening.site)
            line = self._lines.get(item.number) if item.kind == THREAD else None
            if line is None and item.kind == THREAD and opening is not None:
                line = usual.get(opening.site)
            found.append(StillOpen(item, stack, None if line is None else Call(None, line[0], line[2], line[1])))
        return tuple(found)

    def _usual_lines(self, tasks: Mapping[int, Opening]) -> dict[int, Line]:
        """Return, by who started them, the line in which most threads are: of many threads not all are told."""
        lines: dict[int, Counter[Line]] = {}
        for number, line in self._lines.items():
            if number in tasks:
                lines.setdefault(tasks[number].site, Counter())[line] += 1
        return {site: counted.most_common(1)[0][0] for site, counted in lines.items()}
