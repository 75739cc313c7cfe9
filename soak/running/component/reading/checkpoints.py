"""What is read at a checkpoint: the ring's rows, and the outside of the process while it waits."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from soak.grounds import LiveChildren
from soak.measurements import Identity, Reading
from soak.probes.descendants import Descendant
from soak.probes.outside import OutsideReader
from soak.running.child.child_ring import ChildRing, Row
from soak.running.clock import Clock
from soak.running.time_share import TimeShare

_DETAILS_EVERY_S, _DETAILS_SHARE = 1.0, 0.01
"""Of a process with gigabytes they take tens of milliseconds."""
_SOON_EXHAUSTED, _FEW = ("fds", "threads", "left_behind"), 8
_OWN_MAPPED = "own_mapped"
Follow = Callable[[Sequence[Descendant]], list[Descendant]]


@dataclass(frozen=True)
class Beside:
    """What was read beside the rows while the child waited at the newest of them."""

    outside: Mapping[str, float] = field(default_factory=dict)
    ledger_cycle: int | None = None
    """The cycle of the tracker's new checkpoint, if there is one."""
    ledger: Mapping[str, float] = field(default_factory=dict)
    """Its sums by signal, and the bytes that the tracker itself has mapped (see LedgerReader.read)."""
    tracker_is_mapped: bool = False
    """The tracker's own memory is part of what is mapped."""
    is_late: bool = False
    """The child had gone on when the outside was read."""


class OutsideProbe:
    """Reads a process from outside: what is cheap at each checkpoint, the rest once a second."""

    def __init__(
        self,
        reader: OutsideReader,
        clock: Clock,
        ignored_children: Sequence[str] = (),
        follow: Follow = list,
        max_pause_s: float | None = None,
    ) -> None:
        """Read nothing yet.

        ``ignored_children`` and ``follow``: see ChildProcesses. ``max_pause_s``: the details, for which the kernel
        keeps the process from mapping memory, are read no more once that takes longer. The same holds for who lives.
        """
        self._details_within_s = math.inf if max_pause_s is None else max_pause_s
        self._reader = reader
        self._clock = clock
        self.children = ChildProcesses(ignored_children, follow)
        self._details = TimeShare(_DETAILS_SHARE, every_s=_DETAILS_EVERY_S)
        self._living_s = 0.0
        self.latest: dict[str, float] = {}

    def read_living(self) -> dict[str, frozenset[Identity]]:
        """Return which threads and children there are; nothing once that takes longer than the process may wait."""
        if self._living_s > self._details_within_s:
            return {}
        begun_s = self._clock.now_s()
        living = self._reader.read_living()
        self._living_s = self._clock.now_s() - begun_s
        return living

    def read(self) -> dict[str, float]:
        """Return the values by signal."""
        values = self._reader.read_counts()
        now_s = self._clock.now_s()
        if self._details.is_due(now_s) and self._details.last_s <= self._details_within_s:
            values.update(self._reader.read_details())
            self._details.spend(now_s, self._clock.now_s() - now_s)
        # Mostly there are none, and then this costs nothing.
        living = self._reader.read_descendants() if values.get("children") else ()
        values.update(self.children.update(living))
        self.latest = values
        return values


class ChildProcesses:
    """The processes that live between cycles and are seen from outside only.

    Without those that are no part of the component, and those in which the tracker counts.
    """

    def __init__(self, ignored: Sequence[str] = (), follow: Follow = list) -> None:
        """Begin with none.

        ``ignored``: words in the command lines of processes that are left out with their own. ``follow``: takes in all
        others, and returns those in which the tracker does not count.
        """
        self._follow = follow
        self._ignored = tuple(ignored)
        self._first_bytes: dict[tuple[int, float], int] = {}
        self._living: tuple[Descendant, ...] = ()
        self._were_seen = False
        self.left_out: dict[str, int] = {}
        """How many processes were left out at once, at most, by their commands."""

    def update(self, living: Sequence[Descendant]) -> dict[str, float]:
        """Take in who lives at a checkpoint, parents first; return their RSS, from the time of the first one on."""
        left_out: dict[int, str] = {}
        counted = []
        for process in living:
            if process.parent in left_out or any(word in process.command_line for word in self._ignored):
                left_out[process.pid] = process.command
            else:
                counted.append(process)
        for command, count in Counter(left_out.values()).items():
            self.left_out[command] = max(count, self.left_out.get(command, 0))
        counted = self._follow(counted)
        before, self._living = self._first_bytes, tuple(counted)
        self._first_bytes = {_identity(one): before.get(_identity(one), one.rss_bytes) for one in counted}
        self._were_seen = self._were_seen or bool(counted)
        return {"children_rss": float(sum(one.rss_bytes for one in counted))} if self._were_seen else {}

    @property
    def living(self) -> LiveChildren | None:
        """What lives now; None if nothing does."""
        if not self._living:
            return None
        return LiveChildren(
            tuple(process.command for process in self._living),
            float(sum(self._first_bytes.values())),
            float(sum(process.rss_bytes for process in self._living)),
        )


def _identity(process: Descendant) -> tuple[int, float]:
    return process.pid, process.started


class RowReader:
    """Makes readings of the ring's rows, of each once, and counts the rows that were lost."""

    def __init__(self, ring: ChildRing) -> None:
        self._ring = ring
        self.rows_read = 0
        self.rows_lost = 0
        self.has_missed_rows = False
        """Rows were written while nobody read the outside beside them."""
        self.cycle_s: float | None = None
        """What a cycle takes without checkpoints; None before the first."""
        self.most_garbage = 0
        """Objects that the collection at a checkpoint found to be garbage, at most."""

    def read(self, written: int, beside: Beside) -> list[Reading]:
        """Return the readings up to row ``written``; what was read beside the rows belongs to the newest."""
        readings = []
        self.has_missed_rows |= written - self.rows_read > 1
        for number in range(self.rows_read, written):
            row = self._ring.read_row(number)
            if row is None:
                self.rows_lost += 1
                continue
            if row.cycle:  # before, it is what importing left
                self.most_garbage = max(self.most_garbage, row.gc_found)
                # The first checkpoints are dense; what they take says nothing of how long a cycle takes.
                self.cycle_s = (row.at_s - row.checkpoint_s) / row.cycle
            readings.append(_reading(row, beside, is_newest=number == written - 1))
        self.rows_read = written
        return readings


def _reading(row: Row, beside: Beside, *, is_newest: bool) -> Reading:
    values = dict(row.values)
    if is_newest:
        values.update(beside.outside)
    if row.cycle == beside.ledger_cycle:
        values.update(beside.ledger)
        own_mapped = values.pop(_OWN_MAPPED, 0.0)
        if "mapped" in values:
            values["mapped"] -= own_mapped
    elif beside.tracker_is_mapped:
        values.pop("mapped", None)  # with a gigabyte of the tracker's own in it
    return Reading(row.cycle, row.at_s, values, is_late=is_newest and beside.is_late)


def is_soon_exhausted(values: Mapping[str, float], first: Mapping[str, float]) -> bool:
    """Tell whether what grows may run out within a thousand cycles, so that early checkpoints must not be few."""
    return any(values.get(name, 0.0) >= first.get(name, float("inf")) + _FEW for name in _SOON_EXHAUSTED)
