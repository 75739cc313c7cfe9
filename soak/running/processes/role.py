"""One role: processes of the same program, parent and place of start, counted and judged together."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import JudgedRole
from soak.analysis.sites.garbage import most_waiting, risen_blocks, without_waiting, without_young
from soak.analysis.sites.ledger import Suspect
from soak.attribution.holders import UNSCANNED
from soak.grounds import ENOUGH_N_MIN, ProcessRole
from soak.measurements import Reading
from soak.native.layout import TablePlaces
from soak.probes.descendants import Descendant
from soak.probes.ledgers.merged import MergedLedger
from soak.probes.ledgers.tables import LiveTables
from soak.probes.outside import OutsideReader, open_reader
from soak.running.component.reading.ledger_reader import LedgerReader, Tracked
from soak.verdict import Verdict

_COUNTED = ("rss", "fds", "threads")
_REQUIRED = frozenset({"tracked", "fds", "threads"})
_MOST_COUNTS, _FEWEST_COUNTS = 128, 4
_NUMBERS = re.compile(r"\d+")
Identity = tuple[int, float]
"""The number of a process and when it began: together they tell it from any other."""
RoleKey = tuple[object, ...]


def key_of(process: Descendant, tables: LiveTables, role_of: Mapping[Identity, RoleKey]) -> RoleKey:
    """Return what makes processes one role: the parent's role, the program, and the line that forked them."""
    parent = next((key for (pid, _), key in role_of.items() if pid == process.parent), ())
    return parent, _NUMBERS.sub("#", process.command), tables.forked_at()


def opened(places: TablePlaces) -> LiveTables | None:
    """Return the tables of a process; None if it may not be read, or has just ended."""
    try:
        return LiveTables(places)
    except OSError:
        return None


class Count(NamedTuple):
    """What one process held at one checkpoint."""

    cycle: int
    live_bytes: float
    """Requested and not freed."""
    rss_bytes: float


@dataclass
class Member:
    """One process of a role, from when it was first counted."""

    process: Descendant
    tables: LiveTables
    reader: OutsideReader
    counts: list[Count] = field(default_factory=list)
    """At checkpoints: of many every second, fourth, ... and the latest."""
    _every: int = 1
    _seen: int = 0

    def add(self, count: Count) -> None:
        """Take in one more count."""
        if self.counts and self._seen % self._every:
            self.counts.pop()  # it was only the latest
        self.counts.append(count)
        self._seen += 1
        if len(self.counts) > _MOST_COUNTS:
            self.counts = self.counts[::2]
            self._every *= 2

    @property
    def rate(self) -> float | None:
        """Bytes per cycle over the later half of its counts: what it did at first is no part of it."""
        if len(self.counts) < _FEWEST_COUNTS:
            return None
        half, last = self.counts[len(self.counts) // 2], self.counts[-1]
        return (last.live_bytes - half.live_bytes) / (last.cycle - half.cycle) if last.cycle > half.cycle else None

    @property
    def late_growth(self) -> tuple[float, int] | None:
        """Bytes that its last quarter has at least more than the quarter before, and the cycles of a quarter."""
        half, last = len(self.counts) // 2, len(self.counts) * 3 // 4
        if last - half < _FEWEST_COUNTS:
            return None
        before, after = self.counts[half:last], self.counts[last:]
        grown = min(count.live_bytes for count in after) - min(count.live_bytes for count in before)
        return grown, after[0].cycle - before[0].cycle


def growth_of_ended(ended: Sequence[Member]) -> float | None:
    """Return by how many bytes a cycle processes still grew when they ended; None if too little of them was seen.

    What they held went with them, so the sum over all processes does not show it.
    """
    grown = [growth for member in ended if (growth := member.late_growth) is not None and growth[1] > 0]
    return sum(size for size, _ in grown) / sum(cycles for _, cycles in grown) if grown else None


@dataclass(frozen=True)
class SeenRole:
    """What was seen of the processes of one role."""

    role: ProcessRole
    decision: Decision
    tracked: Tracked
    members: tuple[Member, ...]
    """Every process that was counted, those that have ended first."""
    ended: int


class Role:
    """Counts the processes of one role at checkpoints, and judges their sums and their call sites."""

    def __init__(self, command: str, first_cycle: int, tolerance_bytes: float) -> None:
        """Begin at a checkpoint. ``command``: what the processes are, in short."""
        self.command = command
        self.members: dict[Identity, Member] = {}
        self.ended: list[Member] = []
        """Those that have ended, in order."""
        self._first_cycle, self._tolerance_bytes = first_cycle, tolerance_bytes
        self._merged = MergedLedger()
        self._ledger = LedgerReader(lambda: self._merged, self._merged.maps, tolerance_bytes)
        self._judge = ComponentJudge(tolerance_bytes, {}, _REQUIRED)
        self._suspects: list[Suspect] = []
        self._asked_at = self._collected_at = 0
        self._n_min: int | None = None
        self._judged: tuple[ProcessRole, Decision] | None = None
        self.tracked_bytes = 0.0
        """What all of them have requested and not freed, at the latest checkpoint."""

    def fix_n_min(self, n_min: int, *, asked_for: bool) -> None:
        """See ComponentJudge; later calls lower it.

        Who holds what in these processes is not known, so a cache that fills looks like a leak. An n_min that soak
        chooses is larger than most caches.
        """
        n_min = n_min if asked_for else max(n_min, ENOUGH_N_MIN)
        if self._n_min is None:
            self._judge.fix_n_min(n_min, asked_for=asked_for, may_fall=not asked_for)
        elif n_min != self._n_min:
            self._judge.lower_n_min(n_min)
        self._n_min = n_min

    def join(self, identity: Identity, process: Descendant, tables: LiveTables, cycle: int) -> None:
        """Count one more process from this checkpoint on."""
        tables.cycles_from, tables.born_with_it = self._first_cycle, cycle
        tables.set_cycle(cycle + 1)
        self.members[identity] = Member(process, tables, open_reader(process.pid))
        self._merged.add(identity, tables)

    def leave(self, identity: Identity) -> None:
        """Count a process no longer, for it has ended or runs another program."""
        self.ended.append(self.members.pop(identity))
        self._merged.remove(identity)

    def read(self, cycle: int, at_s: float, *, collect: bool) -> None:
        """Count all processes at a checkpoint. ``collect``: ask those that grow to collect their garbage for the next.

        Nothing is taken in where one of them cannot be read: it is just ending.
        """
        counts = [member.reader.read_counts() for member in self.members.values()]
        self._merged.cycle = cycle - self._first_cycle
        if not self.members or not all(counts):
            return
        taken, sums = self._ledger.read()
        if taken is None:
            return
        sums.pop("own_mapped")
        for member, count in zip(self.members.values(), counts, strict=True):
            if "rss" in count:
                count["rss"] += member.tables.saved_bytes
        values = {name: sum(each[name] for each in counts) for name in _COUNTED if all(name in each for each in counts)}
        self._judge.add(Reading(taken, at_s, {**sums, **values}))
        self._collected_at = self._asked_at
        if collect and self._suspects:
            self._asked_at = self._merged.cycle
        self.tracked_bytes = sums["tracked"]
        for (identity, member), count in zip(self.members.items(), counts, strict=True):
            member.add(Count(cycle, float(self._merged.latest[identity].live_bytes), count.get("rss", 0.0)))
            member.tables.set_cycle(cycle + 1)
            if collect and self._suspects:
                member.tables.want_collection()

    def judge(self, longest: int, *, is_last: bool = False) -> JudgedRole:
        """Decide on what was read so far. ``longest``: n_min, or the largest that there is while it is not chosen."""
        cycles = self._merged.cycle
        self._suspects = self._ledger.suspects(cycles, longest, at_end=is_last)
        survivors = self._ledger.survivors(self._judge.n_clean, at_end=is_last)
        evidence = self._judge.evidence(survivors, is_last=is_last)
        distrusted = evidence.distrusted if self._ledger.is_complete else evidence.distrusted | {"tracked"}
        evidence = replace(
            evidence,
            cycles=cycles,
            suspects=tuple(self._suspects),
            risen_blocks=risen_blocks(self._judge.first, self._judge.last),
            falling=self._ledger.falling() if any(s.is_leak for s in self._suspects) else None,
            distrusted=distrusted,
        )
        evidence = without_young(evidence, lambda site: self._ledger.young_bytes(site, self._collected_at))
        most = max(len(self.members), 1) * most_waiting(self._ledger.maps)
        evidence = without_waiting(evidence, self._ledger.sites_of_python(), most=most)
        self._suspects = list(evidence.suspects)
        decision = decide(evidence)
        told = decision.decided_by or next(iter(decision.grounds[0].signals), None)
        series = decision.series.get(told or "")
        growth = decision.series.get("tracked")
        rate = None if series is None else series.rate
        hidden = decision.verdict is Verdict.CLEAN and (growth_of_ended(self.ended) or 0.0) > self._tolerance_bytes
        verdict = Verdict.INCONCLUSIVE if hidden else decision.verdict
        role = ProcessRole(self.command, len(self.members), verdict, told, rate)
        self._judged = role, decision
        return JudgedRole(
            role,
            growth if decision.verdict is Verdict.LEAK and growth is not None and growth.rate else None,
            decision.needed,
            decision.is_final and not hidden,
        )

    @property
    def has_new_look(self) -> bool:
        """Whether the ledger's proof of CLEAN looked at the checkpoint that was read last."""
        return self._ledger.has_new_look

    def finish(self) -> SeenRole | None:
        """Return what was seen of them, as it was judged last; None if nothing was."""
        counted = [member for member in (*self.ended, *self.members.values()) if member.counts]
        if self._judged is None or not counted:
            return None
        tracked = self._ledger.finish(self._suspects, "nothing was counted", lambda _: UNSCANNED, None)
        return SeenRole(*self._judged, tracked, tuple(counted), len(self.ended))

    def close(self) -> None:
        """Close the tables of all processes."""
        self._merged.close()
