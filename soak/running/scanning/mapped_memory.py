"""Memory that a library of a watched program maps and hands out itself: how much of it is resident, now and then.

As the audits of a run (soak.running.component.reading.auditing), but nothing waits for it: the program goes on
meanwhile, so what it allocates and frees just then may be given to another part. Processes of one role are added up.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from soak.attribution import own_allocators
from soak.attribution.audit import Breakdown, Source, compare, divide
from soak.attribution.fragmentation import is_mapped_by_program
from soak.native.layout import MAPPING
from soak.native.ledger import Checkpoint
from soak.probes.ledgers.packed import ShadowError
from soak.probes.ledgers.shadow import read_blocks, read_mapped
from soak.probes.ledgers.tables import CountedProcess
from soak.probes.memory import ProcessMemory
from soak.probes.resident import read_resident
from soak.results import Place, RssAudit
from soak.running.time_share import TimeShare

_SHARE = 0.01
"""Processor time that it may take, as a part of all time; the kernel walks over all pages for it."""
_NEXT_AFTER = 1.15
"""Times the cycles: some fifteen after an eighth of them, and the latest speaks of most of them."""
_RECENT_SHARE = 0.75


class MappedMemory:
    """Looks at what a watched program, or the processes of a role, have mapped."""

    def __init__(self, read: Callable[[int, Sequence[CountedProcess]], Breakdown] | None = None) -> None:
        """Begin with nothing read. ``read``: returns what is resident at a cycle."""
        self._read = read or _read_all
        self._time = TimeShare(_SHARE)
        self._breakdowns: list[Breakdown] = []

    def look(self, cycle: int, now_s: float, processes: Sequence[CountedProcess]) -> None:
        """Look, if that is due. A process that is just ending is left out; one that maps nothing needs no look."""
        last = self._breakdowns[-1].cycle if self._breakdowns else 0
        if cycle <= _NEXT_AFTER * last or not self._time.is_due(now_s):
            return
        begun_s = time.thread_time()
        try:
            has_mapped = any(map(_has_mapped, processes))
            self._breakdowns.append(self._read(cycle, processes) if has_mapped else Breakdown(cycle, 0, {}))
        except (OSError, ShadowError):
            pass
        self._time.spend(now_s, time.thread_time() - begun_s)

    def may_hide_growth(self, cycle: int, tolerance_bytes: float) -> bool:
        """Tell whether memory may be growing that no ledger counts."""
        return own_allocators.may_grow(self._breakdowns, cycle, tolerance_bytes, recent_share=_RECENT_SHARE)

    def explains_rss(self, locate_site: Callable[[int], Place]) -> bool:
        """Tell whether resident memory grows by this and nothing else. Looking for the call takes a moment."""
        audit = self.audit(locate_site)
        return audit is not None and is_mapped_by_program(audit)

    def audit(self, locate_site: Callable[[int], Place]) -> RssAudit | None:
        """Return what the growth of resident memory was made of; ``locate_site`` returns the call of a site."""
        return compare(self._breakdowns, locate_site)


def _has_mapped(process: CountedProcess) -> bool:
    rows = process.checkpoint.rows
    return bool(np.any((rows["domain"] == MAPPING) & (rows["live_blocks"] > 0)))


def _read_all(cycle: int, processes: Sequence[CountedProcess]) -> Breakdown:
    """Add up what is resident of all processes. Raises OSError or ShadowError when one of them is just ending."""
    parts: Counter[Source] = Counter()
    rss_bytes = 0
    for process in processes:
        found = _read_one(cycle, process.pid, process.checkpoint)
        rss_bytes += found.rss_bytes
        for source, size in found.parts.items():
            site = None if source.site is None else process.number_of(source.site)
            parts[source._replace(site=site)] += size
    return Breakdown(cycle, rss_bytes, parts)


def _read_one(cycle: int, pid: int, checkpoint: Checkpoint) -> Breakdown:
    memory = ProcessMemory(pid)
    try:
        own = [(int(row["start"]), int(row["end"])) for row in checkpoint.ranges]
        resident = read_resident(memory, pid, own)
        return divide(cycle, resident, read_blocks(memory, checkpoint), read_mapped(memory, checkpoint), own)
    finally:
        memory.close()
