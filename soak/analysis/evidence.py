"""All that a component's verdict can rest on, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from soak.analysis.sites.caches import CachedSite
from soak.analysis.sites.ledger import Falling, Suspect
from soak.grounds import Keeper, Limit, LiveChildren, ProcessRole, Streak
from soak.measurements import SIGNALS, Role
from soak.verdict import SeriesState, SeriesVerdict, Verdict

_OPEN = ("threads", "children", "fds")
COUNTS = (*_OPEN, "left_behind")
"""Counted exactly, and limited: what leaks them is told before the memory that goes with them."""
MEMORY = ("tracked", "tracked_blocks", "python_blocks", "heap")
"""Memory in use, in the order in which these explain."""
LEDGER = ("tracked", "tracked_blocks")
"""What the allocation tracker counts, block by block."""
COUNTED_IN_BLOCKS = ("tracked_blocks", "python_blocks")
REQUIRED_FROM_OUTSIDE = frozenset(_OPEN)
"""The counts that must be read before CLEAN may be said: without the tracker nobody sees what is left behind."""
REQUIRED_IN_A_RUN = frozenset({"heap", "python_blocks", *REQUIRED_FROM_OUTSIDE})
"""What must be read in a run before CLEAN may be said."""
USUAL_TOLERANCE_BYTES = 1.0
"""A larger tolerance is the user's decision: that many bytes are accepted, in any number of blocks, lost or held."""
_CHECKED_BY_LEDGER = {"heap": "tracked", "python_blocks": "tracked_blocks"}
"""Counters of what the ledger knows block by block: where its own sum is CLEAN, they need no proof of theirs."""
TCACHE_BYTES = 64 * 7 * 528
"""What glibc keeps of freed chunks for each thread and counts as in use: 64 sizes up to 1,032 B, seven of each."""


@dataclass(frozen=True)
class Proven:
    """Call sites whose blocks stay for ever, which something beside their number proves."""

    sites: int
    growth: SeriesVerdict
    """Of the live bytes of these call sites together."""
    total: SeriesVerdict
    """Of these and of all other call sites that have grown steadily so far: what the component grows by."""
    at_cycle: int
    """When that was seen."""
    is_settled: bool
    """Waiting for the series too, which tell the rate more exactly, is worth nothing any more."""
    keeper: Keeper | None = None
    """What keeps them; None of what is lost."""


@dataclass(frozen=True)
class Stop:
    """A guard stopped the component because ``signal`` came near its limit."""

    signal: str
    limit: Limit


@dataclass(frozen=True)
class JudgedRole:
    """What is decided of processes that the component started and in which the tracker counts, with its growth."""

    role: ProcessRole
    growth: SeriesVerdict | None
    """Of the memory that they requested and did not free, all together."""
    needed: int | None
    """More cycles that would decide, where that can be told."""
    is_final: bool
    """Nothing that may still come would change what people are told."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one component at one moment; a run's end adds to it what is seen only then."""

    series: Mapping[str, SeriesVerdict]
    """What each signal's series says, in the order of SIGNALS."""
    required: frozenset[str]
    """The signals that must be read before CLEAN may be said."""
    tolerance_bytes: float
    cycles: int
    n_min: int | None
    is_n_min_of_slow_cycles: bool = False
    """It follows from how long cycles take, or samples, not from how many are asked for; a cache may then be larger."""
    distrusted: frozenset[str] = frozenset()
    """Signals that miss something: their LEAK counts, otherwise they prove nothing."""
    streaks: Mapping[str, Streak] = field(default_factory=dict)
    """The counts and memory signals that rose in every interval up to the latest reading: counts by the same in each
    cycle, memory by any amount."""
    rss_limit_bytes: float | None = None
    """The resident memory at which the component is stopped."""
    early: Mapping[str, SeriesVerdict] = field(default_factory=dict)
    """What each series says if it is judged after fewer cycles than n_min, to confirm ``survivors``."""
    survivors: SeriesVerdict | None = None
    """What the births of all live blocks say, if the ledger covers all of them."""
    suspects: tuple[Suspect, ...] = ()
    """Call sites whose live memory grows."""
    steady: SeriesVerdict | None = None
    """If call sites leak: the growth of the other sites that have grown steadily so far, together."""
    risen_blocks: float = float("inf")
    """How many more blocks are alive than at the first reading; infinite if it is not known."""
    falling: Falling | None = None
    """What the call sites whose live memory shrinks have and lose; None if it is not known."""
    lost: Proven | None = None
    """What scans of the memory found that nothing points to."""
    kept: Proven | None = None
    """What a container holds from which no code removes anything."""
    cached: tuple[CachedSite, ...] = ()
    """The call sites that grow, with the cache that holds each one's objects; known after the last cycle."""
    may_be_bounded: bool = False
    """What grows may go into a container that the code keeps small."""
    is_below_bound: bool = False
    """What grows may go into a container that the code bounds by a number of entries, and it has fewer."""
    is_within_drops: bool = False
    """All live memory together has not risen far above its largest drop: it may be garbage that waits for a
    collection. Or it has risen only by objects that an interpreter keeps free for the next."""
    is_watched: bool = False
    """The process was not made by soak, and answers no questions at its end."""
    stop: Stop | None = None
    is_fragmented: bool = False
    """The audit finds that resident memory grows by memory that the allocators keep free."""
    is_rss_explained: bool = False
    """The audit finds that resident memory grows only by memory in use, free memory and soak's own tables."""
    is_rss_mapped: bool = False
    """The audit finds that resident memory grows nearly only by memory that the program has mapped."""
    may_hide_growth: bool = False
    """Memory may be growing that a library maps and hands out itself, which neither ledger nor heap counter counts."""
    threads: int = 1
    """Threads of the process at the latest checkpoint: each keeps freed chunks of its own."""
    heap_rise_bytes: float = float("inf")
    """From the lowest to the highest reading of the heap after the first cycles."""
    failed: bool = False
    """The driver failed."""
    failed_controls: frozenset[str] = frozenset()
    """Signals whose control failed."""
    only_outside: bool = False
    """Nothing inside was read, so resident memory may raise LEAK and nothing proves CLEAN."""
    has_uncounted_children: bool = False
    """The process has children that nobody counted."""
    children: LiveChildren | None = None
    """What is known of these from outside; None if it was not read."""
    roles: tuple[JudgedRole, ...] = ()
    """What is decided of the processes in which the tracker counts."""
    is_last: bool = False
    """No reading will follow."""

    @cached_property
    def trusted(self) -> dict[str, SeriesVerdict]:
        """The series that count. One that misses something counts only if it says LEAK.

        Memory that has not grown since n/2 may be in a table that is doubled now and then: its series proves nothing.
        """
        leaking = Verdict.LEAK
        found = {n: s for n, s in self.series.items() if n not in self.distrusted or s.verdict is leaking}
        tracked = found.get("tracked")
        is_table_due = self.survivors is not None and self.survivors.is_growing
        if tracked is not None and tracked.verdict is Verdict.CLEAN and is_table_due:
            found["tracked"] = replace(
                tracked, verdict=Verdict.INCONCLUSIVE, state=SeriesState.UNDECIDED, decided_at=None
            )
        return found

    @cached_property
    def judged(self) -> dict[str, SeriesVerdict]:
        """The trusted series that may decide: only bytes, if more of them are accepted and the ledger counts them.

        A tolerance in bytes says nothing of blocks.
        """
        if not self.accepts_blocks:
            return self.trusted
        return {name: series for name, series in self.trusted.items() if name not in COUNTED_IN_BLOCKS}

    @property
    def accepts_blocks(self) -> bool:
        """Whether any number of blocks is accepted."""
        return self.tolerance_bytes > USUAL_TOLERANCE_BYTES and "tracked" in self.trusted

    @property
    def needed_for_clean(self) -> frozenset[str]:
        """The signals that must be read before CLEAN may be said, under this tolerance."""
        return self.required.difference(COUNTED_IN_BLOCKS) if self.accepts_blocks else self.required

    @cached_property
    def is_ledger_flat(self) -> bool:
        """Whether the ledger sees every block and proves that nothing stays."""
        names = [name for name in LEDGER if name in self.judged]
        return bool(names) and all(self.judged[name].verdict is Verdict.CLEAN for name in names)

    @cached_property
    def is_heap_excused(self) -> bool:
        """Whether the heap has grown only by what malloc keeps for its threads."""
        return self.is_only_tcache(self.judged)

    def is_only_tcache(self, series: Mapping[str, SeriesVerdict]) -> bool:
        """Whether the heap has grown only by chunks that malloc keeps in its tcache and counts as in use.

        The ledger sees every block, so what malloc counts beyond it is no block of the program's. It is little, but it
        fills as slowly as a program comes to ask for each size. Only more than fits there is memory that the ledger
        does not see. A rate is of some of the cycles, in which a thread may have filled its own: so no growth is taken
        for larger than the heap has ever risen.
        """
        heap = series.get("heap")
        if heap is None or "tracked" not in series or heap.rate is None or heap.judged_at is None:
            return False
        grown_bytes = min(heap.rate * heap.judged_at, self.heap_rise_bytes)
        return not heap.is_growing or grown_bytes <= TCACHE_BYTES * max(self.threads, 1)

    def _is_answered_by_ledger(self, name: str) -> bool:
        """Whether the ledger proves that what a counter counts does not grow, and the counter does not contradict."""
        series = self.judged
        ledger = series.get(_CHECKED_BY_LEDGER.get(name, ""))
        if ledger is None or ledger.verdict is not Verdict.CLEAN:
            return False
        return not series[name].is_growing or (name == "heap" and self.is_heap_excused)

    @cached_property
    def deciding(self) -> dict[str, SeriesVerdict]:
        """The series that CLEAN rests on."""
        return {name: series for name, series in self.judged.items() if SIGNALS[name].role is Role.DECIDES}

    @cached_property
    def open(self) -> dict[str, SeriesVerdict]:
        """The deciding series that are not CLEAN, and that the ledger does not answer for."""
        return {
            name: series
            for name, series in self.deciding.items()
            if series.verdict is not Verdict.CLEAN and not self._is_answered_by_ledger(name)
        }

    def exceeds_tolerance(self, growth: SeriesVerdict) -> bool:
        """Whether the tolerance does not accept a growth. The usual one accepts no proven growth, however small."""
        return self.tolerance_bytes <= USUAL_TOLERANCE_BYTES or (growth.low or 0.0) > self.tolerance_bytes
