"""What the audits of resident memory say of the growth of RSS: explained, fragmentation, mapped, or none of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from soak.measurements import NOTABLE_RSS_BYTES
from soak.results import AuditPart, Place, RssAudit

_MOST, _HARDLY, _GOES_ON = 0.5, 0.2, 0.5
_ARENA_BYTES = 1 << 20
_FEWEST_ARENAS, _SHARE_OF_RSS = 4, 1 / 16
"""Python takes memory by the arena and uses its pages one by one. So does malloc with its heap. Free memory of less
than one arena is no growth. Of less than this many arenas or this share of RSS, its growth may end soon."""
_LATER_AT_LEAST = 0.25
"""At least this share of the cycles must follow the middle audit."""
_MAPPING_KIND = "mapping"
_NOT_COUNTED_KINDS = frozenset({_MAPPING_KIND, "stacks"})
_NEARLY_ALL = 0.8
_FREE_KINDS = ("malloc-free", "arena-free", "pymalloc-free")
_USED_KINDS = ("native-blocks", "python-blocks", "malloc")
_TRACKER_KIND = "tracker"


def explains_rss(audit: RssAudit, tolerance_bytes: float) -> bool:
    """Tell whether what is left of the growth of RSS is within the tolerance per cycle.

    What is left is what no part explains, and mappings and stacks: neither ledger nor heap counts those. Growth
    by free memory is not explained where too few audits tell whether it goes on, nor where it does and is less than
    fragmentation is told by.
    """
    if _is_by_free_memory(audit.resident_bytes, audit.parts) and not _inner(audit.cycles):
        return False
    if may_be_fragmentation(audit):
        return False
    left = audit.unexplained_bytes + sum(part.bytes for part in audit.parts if part.kind in _NOT_COUNTED_KINDS)
    return left <= tolerance_bytes * (audit.last_cycle - audit.first_cycle)


def is_mapped_by_program(audit: RssAudit) -> bool:
    """Tell whether nearly all that RSS grew by is memory that the program has mapped and hands out itself."""
    mapped = (part for part in audit.parts if part.kind == _MAPPING_KIND and part.made_by is not None)
    grown = sum(part.bytes for part in mapped if not _is_of_python(part.made_by))
    return audit.rss_bytes >= NOTABLE_RSS_BYTES and grown >= _NEARLY_ALL * audit.rss_bytes


def _is_of_python(place: Place | None) -> bool:
    """Tell whether Python itself mapped it: an arena in which no block has been made yet."""
    module = None if place is None else place.module
    return module is not None and PurePath(module).name.startswith(("python", "libpython"))


def may_be_fragmentation(audit: RssAudit) -> bool:
    """Tell whether free memory grows, and goes on to, by more than an arena, but by too little to be called a leak."""
    if audit.fragmentation or not _free_goes_on(audit.cycles, audit.resident_bytes, audit.parts):
        return False
    free = _free(audit.parts, len(audit.cycles))
    return free[-1] - free[0] >= _ARENA_BYTES


def is_fragmentation(cycles: Sequence[int], rss: Sequence[int], parts: Sequence[AuditPart]) -> bool:
    """Tell whether RSS grows, and goes on to, by much memory that the allocators keep free; that in use does not."""
    free = _free(parts, len(rss))
    least = max(_FEWEST_ARENAS * _ARENA_BYTES, _SHARE_OF_RSS * rss[0])
    return free[-1] - free[0] >= least and _free_goes_on(cycles, rss, parts)


def _free_goes_on(cycles: Sequence[int], rss: Sequence[int], parts: Sequence[AuditPart]) -> bool:
    """Tell whether RSS grows by free memory, and still does.

    It does where it grows at half of RSS's rate from the audit on that is nearest to the middle.
    """
    inner = _inner(cycles)
    if not inner or not _is_by_free_memory(rss, parts):
        return False
    span = cycles[-1] - cycles[0]
    middle = min(inner, key=lambda at: abs(cycles[at] - cycles[0] - span / 2))
    free = _free(parts, len(rss))
    later_rate = (free[-1] - free[middle]) / (cycles[-1] - cycles[middle])
    return later_rate >= _GOES_ON * _own_growth(rss, parts) / span


def _inner(cycles: Sequence[int]) -> list[int]:
    """Return the positions of the audits that tell of later growth: neither the first one nor near the last."""
    span = cycles[-1] - cycles[0]
    return [at for at in range(1, len(cycles)) if cycles[-1] - cycles[at] >= _LATER_AT_LEAST * span]


def _is_by_free_memory(rss: Sequence[int], parts: Sequence[AuditPart]) -> bool:
    """Tell whether RSS grew by memory that the allocators keep free, while that in use did not."""
    growth, free = _own_growth(rss, parts), _free(parts, len(rss))
    used = sum(part.bytes for part in parts if part.kind in _USED_KINDS)
    return growth >= NOTABLE_RSS_BYTES and free[-1] - free[0] >= _MOST * growth and used <= _HARDLY * growth


def _own_growth(rss: Sequence[int], parts: Sequence[AuditPart]) -> int:
    """Return by how much RSS grew, without soak's own tables."""
    return rss[-1] - rss[0] - sum(part.bytes for part in parts if part.kind == _TRACKER_KIND)


def _free(parts: Sequence[AuditPart], audits: int) -> list[int]:
    """Return the free memory at each audit."""
    return [sum(part.resident_bytes[at] for part in parts if part.kind in _FREE_KINDS) for at in range(audits)]
