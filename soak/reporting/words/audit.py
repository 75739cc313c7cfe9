"""What the audit of resident memory says, in plain words; pure functions of its record.

The words for parts stand in the record itself (see soak.attribution.audit).
"""

from __future__ import annotations

import re

from soak.measurements import NOTABLE_RSS_BYTES
from soak.reporting.words.paths import short_frame, without_folders
from soak.reporting.words.vocabulary import byte_rate, printable, short_number
from soak.results import AuditPart, RssAudit
from soak.units import format_count, format_number

_LEAST_SHARE = 0.03
"""Of the largest change: smaller ones are not named one by one."""
_LEAST_SHOWN = 0.0005
"""Of the largest change: what is less stands in the table as one row."""
_MOST_SAID, _MOST_SHOWN = 4, 6
_FOLDERS = re.compile(r"/\S*/")
AUDIT_TITLES = ("part of RSS", "at the end", "change", "B/cycle", "share")
_FRAGMENTATION = "Memory in use does not grow: this is fragmentation."


def is_notable(audit: RssAudit | None) -> bool:
    """Tell whether RSS, or a part of it, changed enough to be worth a figure."""
    if audit is None:
        return False
    return max(abs(audit.rss_bytes), abs(audit.unexplained_bytes), *_changes(audit), 0) >= NOTABLE_RSS_BYTES


def growth_sentence(audit: RssAudit | None) -> str | None:
    """Say what RSS grew by and what of; None if it grew too little to be worth a sentence."""
    return audit_sentence(audit) if audit is not None and audit.rss_bytes >= NOTABLE_RSS_BYTES else None


def audit_sentence(audit: RssAudit) -> str:
    """Say by how much RSS changed, what of, and how much of that is not explained.

    ``RSS grew by 7.8 MiB from cycle 250 to 2,250 (4,096 B per call): 7.8 MiB native blocks in use; unexplained 0 B.``
    """
    cycles = f"from cycle {format_count(audit.first_cycle)} to {format_count(audit.last_cycle)}"
    if not audit.rss_bytes:
        return f"RSS did not change {cycles}; unexplained {size_words(audit.unexplained_bytes)}."
    verb = "grew" if audit.rss_bytes > 0 else "shrank"
    rate = f" ({byte_rate(audit.bytes_per_iteration)} per call)" if abs(audit.rss_bytes) >= NOTABLE_RSS_BYTES else ""
    named = telling_parts(audit)[:_MOST_SAID]
    words = [f"{size_words(part.bytes)} {part_name(part)}" for part in named]
    rest = audit.rss_bytes - audit.unexplained_bytes - sum(part.bytes for part in named)
    if rest:
        words.append(f"{size_words(rest)} other parts")
    said = (
        f"RSS {verb} by {size_words(abs(audit.rss_bytes))} {cycles}{rate}: {', '.join(words) or 'no part changed'}; "
        f"unexplained {size_words(audit.unexplained_bytes)}."
    )
    return f"{said} {_FRAGMENTATION}" if audit.fragmentation else said


def telling_parts(audit: RssAudit) -> list[AuditPart]:
    """Return the parts that changed most, the largest change first; six at most."""
    least = _LEAST_SHARE * max(abs(audit.rss_bytes), *_changes(audit), 0)
    telling = [part for part in audit.parts if part.bytes and abs(part.bytes) >= least]
    return sorted(telling, key=lambda part: -abs(part.bytes))[:_MOST_SHOWN]


def audit_rows(audit: RssAudit) -> list[tuple[str, ...]]:
    """Give the parts that changed for a table with ``AUDIT_TITLES``; below them what is not explained, and RSS.

    What changed by next to nothing is one row, so that the rows add up.
    """
    cycles = audit.last_cycle - audit.first_cycle
    least = _LEAST_SHOWN * max(abs(audit.rss_bytes), *_changes(audit), 0)
    changed = [part for part in audit.parts if part.bytes]
    telling = [part for part in changed if abs(part.bytes) >= least]
    parts = [
        (short_frame(part.made_by) if part.made_by else part.name, part.resident_bytes[-1], part.bytes)
        for part in telling
    ]
    others = [part for part in changed if abs(part.bytes) < least]
    if others:
        parts.append(
            ("other parts", sum(part.resident_bytes[-1] for part in others), sum(part.bytes for part in others))
        )
    parts.append(("unexplained", audit.unexplained_resident_bytes[-1], audit.unexplained_bytes))
    parts.append(("RSS", audit.resident_bytes[-1], audit.rss_bytes))
    return [
        (
            name,
            size_words(size),
            _signed(size_words(change), change),
            format_number(change / cycles),
            _share(change, audit),
        )
        for name, size, change in parts
    ]


def _signed(text: str, change: float) -> str:
    return f"+{text}" if change > 0 else text


def _share(change: int, audit: RssAudit) -> str:
    share = round(100 * change / audit.rss_bytes, 1) + 0.0 if audit.rss_bytes else None  # -0.0 becomes 0
    return "–" if share is None else f"{share:.1f} %"


def part_name(part: AuditPart) -> str:
    """Name a part; of files without their folders."""
    name = printable(_FOLDERS.sub("", part.name) if part.made_by is None else str(without_folders(part.made_by)))
    return f"mapped: {name}" if part.kind == "mapping" and name != "other mappings" else name


def size_words(size_bytes: float) -> str:
    """Write a size with three digits: ``52 KiB``, ``6.55 MiB``, ``-1.2 GiB``."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(size_bytes) >= factor:
            return f"{short_number(size_bytes / factor)} {unit}"
    return f"{short_number(size_bytes)} B"


def _changes(audit: RssAudit) -> list[int]:
    return [abs(part.bytes) for part in audit.parts]
