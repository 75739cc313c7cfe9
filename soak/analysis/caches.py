"""Growth that is held by a bounded cache alone: it ends when the cache is full, and that can be told beforehand.

No test of a series can tell a cache that fills from a leak (docs/how-memory-grows.md). Here something else is known:
the objects that grow are reached through the cache and by no other way, it has room left, and it was seen to fill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from soak.analysis.component import Judgement
from soak.analysis.rule import MOST_DOUBLINGS
from soak.analysis.wording import count
from soak.measurements import SIGNALS, Role
from soak.units import format_size
from soak.verdict import Verdict

_MEMORY_SIGNALS = frozenset({"tracked", "tracked_blocks", "python_blocks", "heap"})
_RULE_NEEDS, _RULE_NEEDS_OF_DICT = 2.2, 4.2
"""CLEAN asks for the later half of the cycles to be flat, so for twice as many as the cache takes to fill. The table of
a dict in which entries come and go grows once more, when as many have gone again."""
_MOST_PER_BLOCK_BYTES, _MOST_ROUNDING = 32, 1.05
"""What malloc takes beyond what it is asked for: a header and rounding, and for large blocks the rest of a page."""
_STRAY_SHARE = 0.05
"""What a site may grow by, of all that caches hold, and have its holder wrong: the block of a dead object passes on
CPython's free lists to the next of its kind, and the site of the first counts what keeps the second."""
_TITLES = {
    "lru_cache": "an lru_cache",
    "re": "re's cache",
    "linecache": "linecache's cache",
    "deque": "a deque",
    "WeakValueDictionary": "a WeakValueDictionary",
    "cachetools": "a cachetools cache",
}


@dataclass(frozen=True)
class Cache:
    """A cache as the measured process saw it after its last cycle."""

    kind: str
    name: str
    capacity: int | None
    """None: it has no bound."""
    filled: int
    at_cycle: int = 0
    """The cycle after which it was seen."""
    gained: int = 0
    """Entries that it gained in ``watched_cycles`` more cycles."""
    watched_cycles: int = 0
    is_only_holder: bool = False
    """All objects were walked through, and no way to those that grow leads past bounded caches."""
    is_table: bool = False
    """What grows is its own table, not what it holds."""

    @property
    def is_filling(self) -> bool:
        """Whether it has room left and was seen to gain entries."""
        return self.capacity is not None and self.filled < self.capacity and self.gained > 0

    @property
    def has_grown_its_table(self) -> bool:
        """Whether what grew is the table of a cache that is full: that was the last time, or the last but one."""
        is_full = self.capacity is not None and self.filled >= self.capacity
        return self.is_table and self.is_only_holder and is_full

    @property
    def full_at(self) -> int | None:
        """About after how many cycles it is full; None if it does not fill."""
        if self.capacity is None or not self.is_filling:
            return None
        return self.at_cycle + math.ceil((self.capacity - self.filled) * self.watched_cycles / self.gained)

    def __str__(self) -> str:
        """Say what it is and how full: ``an lru_cache of 512, palette.lookup, 300 filled: settling, ...``."""
        bound = "without a bound" if self.capacity is None else f"of {count(self.capacity)}"
        title = f"{_TITLES.get(self.kind, f'a {self.kind}')} {bound}, {self.name}"
        if self.kind == "WeakValueDictionary":
            return f"{title}, whose entries go with their values: look for who holds those"
        if self.capacity is None:
            bounded = "give it a maxsize" if self.kind == "lru_cache" else "empty it now and then"
            return f"{title}, {count(self.filled)} filled: {bounded}"
        if self.filled >= self.capacity:
            return f"{title}, full: it takes no more entries"
        room = "" if self.full_at is None else f": settling, full at about cycle {count(self.full_at)}"
        return f"{title}, {count(self.filled)} filled{room}"


def with_filling_caches(
    judgement: Judgement,
    sites: Sequence[tuple[float, Cache | None, bool]],
    *,
    cycles: int,
    n_min: int,
    tolerance_bytes: float,
) -> Judgement:
    """Return SETTLING where all growth is held by bounded caches alone, which were seen to fill and are not full.

    ``sites``: bytes per cycle of each site that grows, the cache that holds its objects, or None, and whether the rule
    calls the site a leak by itself. Both INCONCLUSIVE and a LEAK that rests on counts become SETTLING, with the cycles
    after which it could be CLEAN; lost blocks never do, nor growth of anything but memory, nor a cache that takes as
    long to fill as no forecast reaches.
    """
    filling = [cache for _, cache, _ in sites if cache is not None and cache.is_only_holder and cache.is_filling]
    if not filling or not _may_settle(judgement) or not cycles:
        return judgement
    more_bytes = in_caches = unexplained = stray = 0.0
    for rate, cache, is_leak in sites:
        if cache is not None and cache in filling:
            in_caches += max(rate, 0.0)
            more_bytes += max(rate, 0.0) * ((cache.full_at or cycles) - cycles)
        elif cache is None or not cache.has_grown_its_table:
            unexplained += max(rate, 0.0)
            stray += 0.0 if is_leak else max(rate, 0.0)
    if stray <= _STRAY_SHARE * in_caches:
        unexplained -= stray
    last = max(filling, key=lambda cache: cache.full_at or 0)
    full_at = last.full_at or cycles
    is_foreseeable = full_at <= cycles * 2**MOST_DOUBLINGS
    if unexplained > tolerance_bytes or not is_foreseeable or not _is_all_tracked(judgement, tolerance_bytes):
        return judgement
    held = f"held by {last}, with about {format_size(more_bytes)} more than now"
    is_all = stray <= tolerance_bytes
    why = f"All that grows is {held}, and by nothing else." if is_all else f"Nearly all that grows is {held}."
    factor = _RULE_NEEDS if last.kind == "deque" else _RULE_NEEDS_OF_DICT
    needed = max(n_min, math.ceil(factor * full_at)) - cycles
    return replace(judgement, verdict=Verdict.SETTLING, why=why, needed=max(needed, 1), standing=False, decided_at=None)


def _may_settle(judgement: Judgement) -> bool:
    """Whether what grows is memory only, and not lost."""
    if judgement.verdict not in (Verdict.INCONCLUSIVE, Verdict.LEAK) or judgement.by_scan:
        return False
    growing = {
        name
        for name, series in judgement.series.items()
        if SIGNALS[name].role is Role.DECIDES and series.verdict is not Verdict.CLEAN and (series.low or 0.0) > 0
    }
    return judgement.decided_by in _MEMORY_SIGNALS and "tracked" in judgement.series and growing <= _MEMORY_SIGNALS


def _is_all_tracked(judgement: Judgement, tolerance_bytes: float) -> bool:
    """Whether the heap grows by no more than what the tracker saw, with what malloc takes beyond it."""
    heap, tracked, blocks = (judgement.series.get(name) for name in ("heap", "tracked", "tracked_blocks"))
    if heap is None or heap.rate is None or tracked is None or tracked.rate is None:
        return True
    blocks_rate = blocks.rate if blocks is not None and blocks.rate is not None else 0.0
    return heap.rate <= _MOST_ROUNDING * tracked.rate + _MOST_PER_BLOCK_BYTES * max(blocks_rate, 0.0) + tolerance_bytes
