"""Growth that is held by a bounded cache alone: it ends when the cache is full, and that can be told beforehand.

No test of a series can tell a cache that fills from a leak (docs/how-memory-grows.md). Here something else is known:
the objects that grow are reached through the cache and by no other way, it has room left, and it was seen to fill.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soak.analysis.rule import MOST_DOUBLINGS
from soak.grounds import MODULES, WEAK_KINDS, Filling, HoldingCache
from soak.verdict import SeriesVerdict

_RULE_NEEDS, _RULE_NEEDS_OF_DICT = 2.2, 4.2
"""CLEAN asks for the later half of the cycles to be flat, so for twice as many as the cache takes to fill. The table of
a dict in which entries come and go grows once more, when as many have gone again."""
_MOST_PER_BLOCK_BYTES, _MOST_ROUNDING = 32, 1.05
"""What malloc takes beyond what it is asked for: a header and rounding, and for large blocks the rest of a page."""
_TELLING_GAIN, _FEWEST_ENTRIES = 3.0, 8
"""A cache that fills would have gained so many entries in the cycles watched, or these tell nothing. One of a few
entries does not hold what grows by an entry at a time."""
_MOST_OVER = 1.1
"""A cache that is emptied in one go, or now and then, has some entries more than its bound."""
_LOST_TABLES_SHARE = 0.25
_STRAY_SHARE = 0.05
"""What a site may grow by, of all that caches hold, and have its holder wrong: the block of a dead object passes on
CPython's free lists to the next of its kind, and the site of the first counts what keeps the second."""


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
    is_only_seen: bool = False
    """No way past bounded caches was seen, whether or not all objects were walked through."""
    is_table: bool = False
    """What grows is its own table, not what it holds."""
    is_bounded_by_code: bool = False
    """A container of the program, which its code keeps small (see soak.attribution.keepers.bounds)."""

    @property
    def is_bounded(self) -> bool:
        """Whether its growth ends, as far as was seen."""
        return (self.capacity is not None or self.is_bounded_by_code or self.kind == MODULES) and self.is_only_seen

    @property
    def has_hidden_bound(self) -> bool:
        """Whether its code bounds it, by a number that is not known."""
        return self.is_bounded_by_code and self.capacity is None

    @property
    def is_filling(self) -> bool:
        """Whether it has room left and was seen to gain entries; of modules there are only so many to import."""
        if self.kind == MODULES:
            return self.gained > 0
        return self.capacity is not None and self.filled < self.capacity and self.gained > 0

    @property
    def has_grown_its_table(self) -> bool:
        """Whether what grew is the table of a cache that is full: that was the last time, or the last but one."""
        is_full = self.capacity is not None and self.filled >= self.capacity
        return self.is_table and self.is_only_holder and is_full

    @property
    def may_fill(self) -> bool:
        """Whether it fills, or has room left and it was not seen that it does not.

        Too few cycles were watched, or it lost entries before it was full, as caches do that drop them by their age.
        """
        is_below = self.is_bounded_by_code if self.capacity is None else self.filled < self.capacity
        has_room = self.kind == MODULES or is_below
        usual_gain = self.watched_cycles * self.filled / max(self.at_cycle, 1)
        is_unwatched = self.gained == 0 and usual_gain < _TELLING_GAIN and self.filled >= _FEWEST_ENTRIES
        return self.is_filling or (has_room and (is_unwatched or self.loses_entries))

    def may_have_filled_just_now(self, blocks_per_cycle: float) -> bool:
        """Whether it is full, and so few cycles have passed that all growth may have been that of its entries.

        Each entry has a block at least, so it took at least so many cycles to fill; CLEAN takes twice as many.
        """
        if self.capacity is None or not self.capacity <= self.filled <= _MOST_OVER * self.capacity + 1:
            return False
        return 0 < self.at_cycle * blocks_per_cycle < 2 * self.capacity

    @property
    def loses_entries(self) -> bool:
        """Whether it had fewer entries after the cycles watched than before."""
        return self.gained < 0

    @property
    def full_at(self) -> int | None:
        """About after how many cycles it is full; None if it does not fill, or that is not known."""
        if self.capacity is None or not self.may_fill or self.loses_entries or not self.filled:
            return None
        # Where it was not seen to fill, by the pace of its entries so far.
        entries, cycles = (self.gained, self.watched_cycles) if self.gained else (self.filled, self.at_cycle)
        return self.at_cycle + math.ceil((self.capacity - self.filled) * cycles / entries)


@dataclass(frozen=True)
class CachedSite:
    """A call site that grows, and the cache that holds its objects."""

    bytes_per_cycle: float
    cache: Cache | None
    is_leak: bool
    """The rule calls the site a leak by itself."""
    may_be_cached: bool = True
    """False of what is lost, or held by nothing but a reference cycle or a reference that was never dropped."""
    is_of_import: bool = False
    """It allocates while a module is imported, and its blocks are not lost."""
    is_unseen: bool = False
    """The walk through all objects was cut before it came to those of this site."""
    blocks_per_cycle: float = 0.0
    """How many blocks it keeps more; 0 if that is not known."""

    @property
    def rate(self) -> float:
        """The rate, with 0 for what becomes less."""
        return max(self.bytes_per_cycle, 0.0)


def forecast(
    sites: Sequence[CachedSite], series: Mapping[str, SeriesVerdict], *, cycles: int, tolerance_bytes: float
) -> Filling | None:
    """Return what the bounded caches that hold all growth will come to hold; None if they do not hold it all.

    ``sites``: all that grow. ``series``: what the signals say of memory. None too where a cache takes so long to fill
    that no forecast reaches it.
    """
    filling = [site.cache for site in sites if site.cache is not None and _fills_alone(site.cache)]
    filling = [cache for cache in filling if cache.kind != MODULES]
    if not filling or not cycles:
        return None
    within = [site for site in sites if site.cache in filling or _goes_with_values(site)]
    return _filling(filling, within, sites, series, cycles, tolerance_bytes)


def maybe_filling(
    sites: Sequence[CachedSite], series: Mapping[str, SeriesVerdict], *, cycles: int, tolerance_bytes: float
) -> Filling | None:
    """Return what bounded caches may hold: all that grows, as far as was looked; None if something else holds it.

    Not all was looked at: the walk through all objects was cut, or too few cycles were watched to see whether a cache
    fills, or it has become full just now. ``sites``, ``series``: as for `forecast`.
    """
    caches = [site.cache for site in sites if site.cache is not None and _may_fill_alone(site.cache, site)]
    if not caches or not cycles:
        return None
    within = [site for site in sites if site.cache in caches or site.is_unseen or _goes_with_values(site)]
    # The tables of a cache that drops entries become smaller and larger; not all are found to be its own.
    others = _LOST_TABLES_SHARE * sum(site.rate for site in within if site.cache and site.cache.loses_entries)
    return _filling(caches, within, sites, series, cycles, max(tolerance_bytes, others))


def _filling(
    caches: Sequence[Cache],
    within: Sequence[CachedSite],
    sites: Sequence[CachedSite],
    series: Mapping[str, SeriesVerdict],
    cycles: int,
    tolerance_bytes: float,
) -> Filling | None:
    """Return what these caches will hold; None if something else grows as well, or no forecast reaches their end."""
    last = max(caches, key=lambda cache: cache.full_at or 0)
    is_foreseeable = (last.full_at or cycles) <= cycles * 2**MOST_DOUBLINGS
    elsewhere, stray = _elsewhere(sites, within)
    if elsewhere > tolerance_bytes or not is_foreseeable or not is_all_tracked(series, tolerance_bytes):
        return None
    return Filling(
        holding_cache(last),
        _more_bytes(within, cycles),
        is_all=stray <= tolerance_bytes,
        loses_entries=any(cache.loses_entries for cache in caches),
    )


def _elsewhere(sites: Sequence[CachedSite], within: Sequence[CachedSite]) -> tuple[float, float]:
    """Return what grows outside of caches: all that counts, and that of sites that are no leak by themselves."""
    others = [site for site in sites if site not in within]
    others = [site for site in others if site.cache is None or not site.cache.has_grown_its_table]
    stray = sum(site.rate for site in others if not site.is_leak)
    counts = stray > _STRAY_SHARE * sum(site.rate for site in within)
    return sum(site.rate for site in others if counts or site.is_leak), stray


def _more_bytes(within: Sequence[CachedSite], cycles: int) -> float:
    return sum(site.rate * (((site.cache and site.cache.full_at) or cycles) - cycles) for site in within)


def filling_modules(
    sites: Sequence[CachedSite], series: Mapping[str, SeriesVerdict], *, tolerance_bytes: float
) -> HoldingCache | None:
    """Return the modules that are imported for the first time, where they hold all that grows; else None.

    What else an import allocates, such as the table of modules, grows only while they are imported. ``sites``,
    ``series``: as for `forecast`.
    """
    modules = [s.cache for s in sites if s.cache is not None and s.cache.kind == MODULES and _fills_alone(s.cache)]
    if not modules or not is_all_tracked(series, tolerance_bytes):
        return None
    of_import = elsewhere = 0.0
    for site in sites:
        if site.is_of_import or site.cache in modules:
            of_import += site.rate
        elif site.cache is None or not (site.cache.has_grown_its_table or _fills_alone(site.cache)):
            elsewhere += site.rate
    return holding_cache(modules[0]) if elsewhere <= max(tolerance_bytes, _STRAY_SHARE * of_import) else None


def may_be_cached(sites: Sequence[CachedSite]) -> bool:
    """Whether at least half of what grows may be held by a cache; also where it is not known what grows."""
    return 2 * sum(site.rate for site in sites if site.may_be_cached) >= sum(site.rate for site in sites)


def needed_cycles(filling: Filling, cycles: int, n_min: int | None) -> int:
    """Return how many more cycles it takes until a component whose caches fill could be CLEAN."""
    factor = _RULE_NEEDS if filling.cache.kind in ("deque", "Queue") else _RULE_NEEDS_OF_DICT
    return max((n_min or 0) - cycles, math.ceil(factor * (filling.cache.full_at_cycle or cycles)) - cycles, 1)


def holding_cache(cache: Cache) -> HoldingCache:
    """Return what a result keeps of a cache."""
    full_at, by_code = cache.full_at, cache.is_bounded_by_code
    return HoldingCache(cache.kind, cache.name, cache.capacity, cache.filled, full_at, is_bounded_by_code=by_code)


def most_allocated(series: Mapping[str, SeriesVerdict]) -> float:
    """Return the most that malloc makes of the requested bytes: its headers and rounding, bytes per cycle."""
    tracked, blocks = series["tracked"], series.get("tracked_blocks")
    blocks_rate = blocks.rate if blocks is not None and blocks.rate is not None else 0.0
    return _MOST_ROUNDING * (tracked.rate or 0.0) + _MOST_PER_BLOCK_BYTES * max(blocks_rate, 0.0)


def _fills_alone(cache: Cache) -> bool:
    return cache.is_only_holder and cache.is_filling


def _goes_with_values(site: CachedSite) -> bool:
    """Whether a site is that of entries which go when something else lets go of their values or keys."""
    return site.cache is not None and site.cache.kind in WEAK_KINDS


def _may_fill_alone(cache: Cache, site: CachedSite) -> bool:
    is_filling = cache.may_fill or cache.may_have_filled_just_now(site.blocks_per_cycle)
    return (cache.is_only_holder or cache.is_only_seen) and is_filling


def is_all_tracked(series: Mapping[str, SeriesVerdict], tolerance_bytes: float) -> bool:
    """Whether the heap grows by no more than what the tracker saw, with what malloc takes beyond it."""
    heap, tracked = series.get("heap"), series.get("tracked")
    if heap is None or heap.rate is None or tracked is None or tracked.rate is None:
        return True
    return heap.rate <= most_allocated(series) + tolerance_bytes
