"""The audit of resident memory: which part of RSS is what, and which parts its growth is made of.

Every resident byte is given to one part by its address: first to the live block that covers it, then to what that
block's allocator rounds up, else to what its mapping is for. So the parts cannot overlap, blocks that were never
touched count for nothing, and what remains of RSS is not explained. Pure functions of what was read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soak.attribution.fragmentation import is_fragmentation
from soak.attribution.rounding import CHUNK_GRAIN, CHUNK_HEADER, PYMALLOC_GRAIN, PYMALLOC_LARGEST, SMALLEST_CHUNK
from soak.native.layout import NATIVE, PYMALLOC_ARENA
from soak.probes.ledgers.shadow import Blocks, Mapped
from soak.probes.memory import Range
from soak.probes.resident import PAGE_BYTES, Area, Resident
from soak.results import AuditPart, Place, RssAudit

Integers = NDArray[np.int64]

_OWN_FILES = re.compile(r"memfd:soak-|/soak-[^/]*/(ring|ledger)|libsoak_tracker")
_MOST_MAPPINGS = 4
_LARGEST_GUARD_BYTES = 64 * 1024
_SURELY_MAPPED_BYTES = 64 * 1024
_WARM_UP_SHARE = 1 / 8


class Source(NamedTuple):
    """What a part of resident memory is."""

    kind: str
    """A key of TITLES."""
    name: str = ""
    """Of a mapping: its file, or what the kernel calls it."""
    site: int | None = None
    """Of a mapping that the program made: the tracker's number of the call."""


NATIVE_BLOCKS, PYTHON_BLOCKS, ROUNDING = Source("native-blocks"), Source("python-blocks"), Source("rounding")
MALLOC_FREE, ARENA_FREE, PYMALLOC_FREE = Source("malloc-free"), Source("arena-free"), Source("pymalloc-free")
STACKS, TRACKER, MALLOC = Source("stacks"), Source("tracker"), Source("malloc")
_UNKNOWN = Source("unknown")

TITLES = {
    "native-blocks": "native blocks in use",
    "python-blocks": "Python blocks in use",
    "rounding": "rounded up by the allocators",
    "malloc": "in use in malloc's heap",
    "malloc-free": "free in malloc's heap",
    "arena-free": "free in malloc's thread arenas",
    "pymalloc-free": "free in Python's arenas",
    "stacks": "stacks",
    "mapping": "mappings",
    "tracker": "soak's own tables",
}
"""What each kind of part is called, in the order in which parts are shown."""


@dataclass(frozen=True)
class Breakdown:
    """Resident memory at one checkpoint."""

    cycle: int
    rss_bytes: int
    parts: Mapping[Source, int]
    """Bytes of each; they do not overlap, and what they leave of ``rss_bytes`` is not explained."""

    def with_tables(self, saved_bytes: int) -> Breakdown:
        """Return it as it were with so many more bytes in the tracker's tables."""
        if not saved_bytes:
            return self
        parts = {**self.parts, TRACKER: self.parts.get(TRACKER, 0) + saved_bytes}
        return replace(self, rss_bytes=self.rss_bytes + saved_bytes, parts=parts)


def divide(
    cycle: int,
    resident: Resident,
    blocks: Blocks | None = None,
    mapped: Mapped | None = None,
    own_ranges: Iterable[Range] = (),
    free_bytes: int | None = None,
) -> Breakdown:
    """Give every resident byte to one part.

    ``blocks``, ``mapped``, ``own_ranges``: what the tracker knows. Without it malloc's heap is divided by what malloc
    says is free there, ``free_bytes``, what is not resident taken for free; and anonymous memory, Python's arenas
    among it, stays unexplained.
    """
    parts: defaultdict[Source, int] = defaultdict(int)
    for area in resident.areas:
        if not len(area.pages):
            parts[TRACKER if area.is_own else _source_of_file(area.path)] += area.rss_bytes
    pages = _Pages([area for area in resident.areas if len(area.pages)])
    ground = _Ground(_claims(resident, mapped, own_ranges, is_tracked=blocks is not None))
    sizes = pages.between(ground.starts, ground.ends)
    if blocks is not None and len(blocks) and len(sizes):
        in_use = _Use(pages, ground, blocks)
        parts[NATIVE_BLOCKS] += in_use.native
        parts[PYTHON_BLOCKS] += in_use.python
        parts[ROUNDING] += in_use.rounding
        sizes = sizes - in_use.of_each
    for source, size in zip(ground.sources, sizes.tolist(), strict=True):
        parts[source] += size
    if blocks is None:
        untouched = ground.length_of(MALLOC) - parts[MALLOC]
        free = min(max((free_bytes or 0) - untouched, 0), parts[MALLOC])
        parts[MALLOC_FREE] += free
        parts[MALLOC] -= free
    parts.pop(_UNKNOWN, None)
    return Breakdown(cycle, resident.rss_bytes, {source: size for source, size in parts.items() if size})


def compare(breakdowns: Sequence[Breakdown], locate_site: Callable[[int], Place]) -> RssAudit | None:
    """Say what the growth of RSS is made of, from the first of these breakdowns after the warm-up to the last.

    ``locate_site`` returns the call of a site. None with fewer than two breakdowns.
    """
    warm_up = _WARM_UP_SHARE * breakdowns[-1].cycle if breakdowns else 0.0
    chosen = [breakdown for breakdown in breakdowns if breakdown.cycle >= warm_up]
    if len(chosen) < 2:
        chosen = list(breakdowns[-2:])
    if len(chosen) < 2:
        return None
    cycles = chosen[-1].cycle - chosen[0].cycle
    rss = tuple(breakdown.rss_bytes for breakdown in chosen)
    parts = tuple(
        AuditPart(
            kind,
            str(name),
            sizes[-1] - sizes[0],
            (sizes[-1] - sizes[0]) / cycles,
            sizes,
            name if isinstance(name, Place) else None,
        )
        for kind, name, sizes in _named_series(chosen, locate_site)
    )
    unexplained = tuple(total - sum(part.resident_bytes[at] for part in parts) for at, total in enumerate(rss))
    return RssAudit(
        first_cycle=chosen[0].cycle,
        last_cycle=chosen[-1].cycle,
        rss_bytes=rss[-1] - rss[0],
        bytes_per_iteration=(rss[-1] - rss[0]) / cycles,
        parts=parts,
        unexplained_bytes=unexplained[-1] - unexplained[0],
        fragmentation=is_fragmentation([breakdown.cycle for breakdown in chosen], rss, parts),
        cycles=tuple(breakdown.cycle for breakdown in chosen),
        resident_bytes=rss,
        unexplained_resident_bytes=unexplained,
    )


def _named_series(
    breakdowns: Sequence[Breakdown], locate_site: Callable[[int], Place]
) -> Iterator[tuple[str, str | Place, tuple[int, ...]]]:
    """Yield kind, name and size at each breakdown; mappings that hardly change are one part together."""
    sources = dict.fromkeys(source for breakdown in breakdowns for source in breakdown.parts)
    series = {source: np.array([b.parts.get(source, 0) for b in breakdowns], np.int64) for source in sources}
    for kind, title in TITLES.items():
        own = [source for source in sources if source.kind == kind]
        if kind != "mapping":
            yield from ((kind, title, tuple(series[source].tolist())) for source in own)
            continue
        named: dict[str | Place, Integers] = {}
        for source in own:
            # Finding the name of a call takes a tenth of a second; nobody asks for that of what does not change.
            is_flat = (series[source] == series[source][0]).all()
            name = source.name if source.site is None or is_flat else locate_site(source.site)
            named[name] = named.get(name, 0) + series[source]
        changing = [name for name, sizes in named.items() if sizes[-1] != sizes[0]]
        changing.sort(key=lambda name: -abs(int(named[name][-1] - named[name][0])))
        for name in changing[:_MOST_MAPPINGS]:
            yield kind, name, tuple(named[name].tolist())
        rest = [sizes for name, sizes in named.items() if name not in changing[:_MOST_MAPPINGS]]
        if rest:
            yield kind, "other mappings", tuple(np.sum(rest, axis=0).tolist())


class _Pages:
    """How much is resident between any two addresses."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self._starts = np.array([area.start for area in areas], np.int64)
        self._lengths = np.array([area.end - area.start for area in areas], np.int64)
        counts = [len(area.pages) for area in areas]
        self._firsts = np.cumsum([0, *counts], dtype=np.int64)[:-1]
        # One page more than there are: of an address at the very end of the last area nothing follows.
        self._resident = np.concatenate([*(area.pages for area in areas), np.zeros(1, np.bool_)]).astype(np.int64)
        self._before = np.cumsum(self._resident) - self._resident

    def between(self, starts: Integers, ends: Integers) -> Integers:
        """Return the resident bytes between two addresses, ``(n,)`` each."""
        return self._below(ends) - self._below(starts)

    def _below(self, addresses: Integers) -> Integers:
        if not len(self._starts):
            return np.zeros(len(addresses), np.int64)
        positions = np.searchsorted(self._starts, addresses, "right") - 1
        areas = np.maximum(positions, 0)
        offsets = np.clip(addresses - self._starts[areas], 0, self._lengths[areas])
        pages = self._firsts[areas] + offsets // PAGE_BYTES
        below: Integers = self._before[pages] * PAGE_BYTES + self._resident[pages] * (offsets % PAGE_BYTES)
        return below


class _Ground:
    """Disjoint ranges by address, each with what it is; of claims that overlap the later one counts."""

    def __init__(self, claims: Sequence[tuple[int, int, Source]]) -> None:
        bounds = np.array(sorted({bound for start, end, _ in claims for bound in (start, end)}), np.int64)
        self.starts, self.ends = bounds[:-1], bounds[1:]
        self.sources = [_UNKNOWN] * len(self.starts)
        for start, end, source in claims:
            first, behind = np.searchsorted(bounds, (start, end)).tolist()
            self.sources[first:behind] = [source] * (behind - first)

    def length_of(self, source: Source) -> int:
        """Return how many bytes of address space are this."""
        lengths = (self.ends - self.starts).tolist()
        return sum(length for length, own in zip(lengths, self.sources, strict=True) if own == source)

    def positions(self, addresses: Integers) -> Integers:
        """Return the number of the range that each address lies in."""
        return np.clip(np.searchsorted(self.starts, addresses, "right") - 1, 0, len(self.starts) - 1)


class _Use:
    """What live blocks take of the resident bytes."""

    def __init__(self, pages: _Pages, ground: _Ground, blocks: Blocks) -> None:
        starts, sizes = blocks.addresses.astype(np.int64), blocks.sizes.astype(np.int64)
        positions = ground.positions(starts)
        _recognise_arenas(ground, positions[(blocks.domains != NATIVE) & (sizes <= PYMALLOC_LARGEST)])
        asked = pages.between(starts, starts + sizes)
        given = pages.between(*_given(starts, sizes, positions, ground))
        is_native = blocks.domains == NATIVE
        self.native, self.python = int(asked[is_native].sum()), int(asked[~is_native].sum())
        self.rounding = int((given - asked).sum())
        self.of_each = np.bincount(positions, given, len(ground.starts)).astype(np.int64)


def _recognise_arenas(ground: _Ground, small: Integers) -> None:
    """Take mappings with small blocks of Python in them for its arenas: the first are made before the hook is there."""
    for position in np.flatnonzero(np.bincount(small)).tolist():
        if ground.sources[position].site is not None:
            ground.sources[position] = PYMALLOC_FREE


def _given(starts: Integers, sizes: Integers, positions: Integers, ground: _Ground) -> tuple[Integers, Integers]:
    """Return from where to where what was given for each block reaches, as glibc's malloc and pymalloc round up."""

    def lie_in(*sources: Source) -> NDArray[np.bool_]:
        return np.array([source in sources for source in ground.sources])[positions]

    firsts, ends = starts.copy(), starts + sizes
    in_arena = lie_in(PYMALLOC_FREE)
    ends[in_arena] = starts[in_arena] + _rounded_up(sizes[in_arena], PYMALLOC_GRAIN)
    in_heap = lie_in(MALLOC_FREE, ARENA_FREE)
    firsts[in_heap] -= CHUNK_HEADER
    chunks = np.maximum(_rounded_up(sizes[in_heap] + CHUNK_HEADER, CHUNK_GRAIN), SMALLEST_CHUNK)
    ends[in_heap] = firsts[in_heap] + chunks
    # A large block has a mapping of its own, which begins with the chunk's head.
    begins_page = (starts - 2 * CHUNK_HEADER) % PAGE_BYTES == 0
    alone = lie_in(_UNKNOWN) & (begins_page | (sizes >= _SURELY_MAPPED_BYTES))
    firsts[alone] -= 2 * CHUNK_HEADER
    firsts[alone] -= firsts[alone] % PAGE_BYTES
    ends[alone] = _rounded_up(ends[alone], PAGE_BYTES)
    return firsts, ends


def _rounded_up(values: Integers, grain: int) -> Integers:
    return -(-values // grain) * grain


def _claims(
    resident: Resident, mapped: Mapped | None, own_ranges: Iterable[Range], *, is_tracked: bool
) -> list[tuple[int, int, Source]]:
    """Return what each range is for, in ascending order of how sure that is."""
    main, threads = (MALLOC_FREE, ARENA_FREE) if is_tracked else (MALLOC, MALLOC)
    claims = [(area.start, area.end, source) for area, source in _sources_of_areas(resident, main)]
    if mapped is not None:
        rows = zip(
            mapped.starts.tolist(), mapped.ends.tolist(), mapped.sites.tolist(), mapped.domains.tolist(), strict=True
        )
        claims += [
            (start, end, PYMALLOC_FREE if domain == PYMALLOC_ARENA else Source("mapping", "", site))
            for start, end, site, domain in rows
        ]
    claims += [(start, end, threads) for start, end in resident.thread_heaps]
    claims += [(start, end, TRACKER) for start, end in own_ranges]
    return claims


def _sources_of_areas(resident: Resident, main_heap: Source) -> Iterator[tuple[Area, Source]]:
    nothing = Area(0, 0, "", "", 0, np.zeros(0, np.bool_))
    for before, area in pairwise((nothing, *resident.areas)):
        if not len(area.pages):
            continue
        adjoins = before.end == area.start
        guarded = adjoins and before.permissions == "---p" and before.end - before.start <= _LARGEST_GUARD_BYTES
        if area.path == "[heap]":
            yield area, main_heap
        elif area.path == "[stack]" or any(area.start <= pointer < area.end for pointer in resident.stack_pointers):
            yield area, STACKS
        elif area.path:
            yield area, Source("mapping", area.path)
        elif adjoins and before.path.startswith("/") and before.permissions.startswith("rw"):
            yield area, _source_of_file(before.path)  # its variables that begin as zero
        else:
            yield area, STACKS if guarded and area.permissions.startswith("rw") else _UNKNOWN


def _source_of_file(path: str) -> Source:
    return TRACKER if _OWN_FILES.search(path) else Source("mapping", path)
