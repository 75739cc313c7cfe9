"""Memory that a library maps and hands out itself, by an allocator of its own: no ledger counts its blocks."""

from __future__ import annotations

from collections.abc import Sequence

from soak.attribution.audit import Breakdown

_MAPPING = "mapping"
_WARM_UP_SHARE = 1 / 8


def may_grow(breakdowns: Sequence[Breakdown], cycle: int, tolerance_bytes: float, *, recent_share: float) -> bool:
    """Tell whether memory that the program has mapped may be growing, by how much of it is resident at the audits.

    jemalloc and mimalloc map far more than they hand out, so only resident memory counts. It may be growing if the
    latest audit finds more than the first one after the warm-up, and no audit between them finds more still. If it
    changes, and the latest audit covers less than ``recent_share`` of the cycles, the next audit must decide.
    """
    resident = [(breakdown.cycle, _mapped_bytes(breakdown)) for breakdown in breakdowns]
    if len({size for _, size in resident}) < 2:
        return False
    last, latest = resident[-1]
    if last < recent_share * cycle:
        return True
    after = [each for each in resident if each[0] >= _WARM_UP_SHARE * last]
    first, before = after[0]
    return latest - before > tolerance_bytes * (last - first) and latest >= max(size for _, size in after)


def _mapped_bytes(breakdown: Breakdown) -> int:
    return sum(size for source, size in breakdown.parts.items() if source.kind == _MAPPING and source.site is not None)
