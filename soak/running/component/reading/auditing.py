"""Audit a measured process's resident memory at a few of its checkpoints, from outside, while it waits at them."""

from __future__ import annotations

import time
from collections.abc import Callable

from soak.attribution import own_allocators
from soak.attribution.audit import Breakdown, compare, divide
from soak.attribution.fragmentation import explains_rss
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.packed import ShadowError
from soak.probes.ledgers.shadow import read_blocks, read_mapped
from soak.probes.memory import ProcessMemory
from soak.probes.resident import read_resident
from soak.results import Place, RssAudit
from soak.running.child.child import Child
from soak.running.clock import Clock
from soak.running.time_share import TimeShare

_MOST_KEPT = 24
"""Then every other one is forgotten, and the next ones are twice as far apart."""
_FIRST_SPACING = 8
_SHARE = 0.02
"""Audits may take this part of the run's time."""
_FREE_S, _FREE_SHARE, _NEXT_AFTER = 0.5, 1 / 8, 2.0
"""So long they may take in all before that, each after twice as many cycles: a short run has a few as well. But no more
than this part of its time: the process waits for them, and what is explained is its growth over most of its cycles."""
_SLOWEST_S_PER_BYTE = 3 / (1 << 30)
"""Before the first one, what it may take is told by the size of the process: 4 s where 1.2 GB are small blocks."""
_RECENT_SHARE = 0.75
_LONGEST_LAST_S = 2.0
"""What one usually takes, for it to be done at the end however much time they have had."""


class Auditor:
    """Decides when to audit one process, does it, and keeps what it was made of."""

    def __init__(self, child: Child, clock: Clock, used_s: Callable[[], float] = time.thread_time) -> None:
        """Audit nothing yet. ``used_s``: returns the processor time used so far, which audits are limited by."""
        self._child = child
        self._clock, self._used_s = clock, used_s
        self._time, self._free_time = TimeShare(_SHARE), TimeShare(_FREE_SHARE)
        self._began_s = clock.now_s()
        self._breakdowns: list[Breakdown] = []
        self._spacing = _FIRST_SPACING
        self._is_possible = True
        self._compared_at, self._is_explained = 0, False

    def is_due(self, cycle: int, *, is_last: bool, rss_bytes: float = 0.0) -> bool:
        """Tell whether an audit at this checkpoint would be worth its time.

        ``is_last``: no other will follow. ``rss_bytes``: what the process has.
        """
        last = self._breakdowns[-1].cycle if self._breakdowns else 0
        if not self._is_possible or cycle < _FIRST_SPACING or cycle == last:
            return False
        first_s = rss_bytes * _SLOWEST_S_PER_BYTE
        if not self._breakdowns and first_s > _FREE_S:
            return not is_last and self._clock.now_s() >= self._began_s + first_s / _SHARE
        if is_last:
            return self._time.last_s < _LONGEST_LAST_S
        now_s = self._clock.now_s()
        is_free = self._time.spent_s + self._time.last_s <= _FREE_S and cycle >= _NEXT_AFTER * last
        is_due = self._time.is_due(now_s) or (is_free and self._free_time.is_due(now_s))
        return cycle >= last + self._spacing and is_due

    def audit(self, cycle: int, checkpoint: Checkpoint | None, free_bytes: int, saved_bytes: int = 0) -> None:
        """Audit the process, which waits at this checkpoint; what was read is dropped if it went on meanwhile.

        ``checkpoint``: the tracker's ledger at the same moment; None without it. ``free_bytes``: what malloc says is
        free in its heap. ``saved_bytes``: what packed tables save.
        """
        begun_s, begun_cpu_s = self._clock.now_s(), self._used_s()
        try:
            memory = ProcessMemory(self._child.pid)
            try:
                found = self._divide(memory, cycle, checkpoint, free_bytes).with_tables(saved_bytes)
            finally:
                memory.close()
        except (OSError, ShadowError):
            self._is_possible = False
            return
        if self._child.ring.is_at_rest_after(cycle):
            self._keep(found)
        # Processor time: on a busy machine there would be too few audits to tell whether memory is fragmented.
        took_s = self._used_s() - begun_cpu_s
        for share in (self._time, self._free_time):
            share.spend(begun_s, took_s)

    def explains_so_far(self, cycle: int, tolerance_bytes: float, locate_site: Callable[[int], Place]) -> bool:
        """Tell whether all of RSS's growth is explained up to a while ago, and by no fragmentation.

        Not where the latest audit is too old to speak of the later half of the cycles.
        """
        last = self._breakdowns[-1].cycle if self._breakdowns else 0
        if last < _RECENT_SHARE * cycle:
            return False
        if self._compared_at != last:
            audit = compare(self._breakdowns, locate_site)
            is_explained = audit is not None and not audit.fragmentation and explains_rss(audit, tolerance_bytes)
            self._compared_at, self._is_explained = last, is_explained
        return self._is_explained

    def may_hide_growth(self, cycle: int, tolerance_bytes: float) -> bool:
        """Tell whether memory may be growing that a library maps and hands out itself."""
        return own_allocators.may_grow(self._breakdowns, cycle, tolerance_bytes, recent_share=_RECENT_SHARE)

    def finish(self, locate_site: Callable[[int], Place]) -> RssAudit | None:
        """Return what the growth of RSS was made of; ``locate_site`` returns the call of a site."""
        return compare(self._breakdowns, locate_site)

    def _divide(self, memory: ProcessMemory, cycle: int, checkpoint: Checkpoint | None, free_bytes: int) -> Breakdown:
        own = [] if checkpoint is None else [(int(r["start"]), int(r["end"])) for r in checkpoint.ranges]
        resident = read_resident(memory, self._child.pid, own)
        if checkpoint is None:
            return divide(cycle, resident, free_bytes=free_bytes)
        return divide(cycle, resident, read_blocks(memory, checkpoint), read_mapped(memory, checkpoint), own)

    def _keep(self, found: Breakdown) -> None:
        self._breakdowns.append(found)
        if len(self._breakdowns) > _MOST_KEPT:
            del self._breakdowns[:-1:2]
            self._spacing *= 2
