"""What resident memory was made of."""

from __future__ import annotations

from dataclasses import dataclass

from soak.results.places import Place


@dataclass(frozen=True)
class AuditPart:
    """One part of resident memory, and its change over the cycles that an audit covers."""

    kind: str
    """native-blocks, python-blocks, rounding, malloc, {malloc,arena,pymalloc}-free, stacks, mapping or tracker."""
    name: str
    """Its name for people; for a mapping its file, or the call that made it."""
    bytes: int
    bytes_per_iteration: float
    resident_bytes: tuple[int, ...]
    """Its resident bytes at each of the audit's ``cycles``."""
    made_by: Place | None = None
    """The call that made a mapping, where it is known."""


@dataclass(frozen=True)
class RssAudit:
    """Which parts the growth of RSS is made of: ``rss_bytes`` is their sum and ``unexplained_bytes``, exactly."""

    first_cycle: int
    last_cycle: int
    rss_bytes: int
    bytes_per_iteration: float
    parts: tuple[AuditPart, ...]
    unexplained_bytes: int
    fragmentation: bool
    """RSS grows by memory that the allocators keep free, while memory in use does not."""
    cycles: tuple[int, ...]
    """The cycles at which it was read; the first and the last are the two above."""
    resident_bytes: tuple[int, ...]
    """RSS at each of them."""
    unexplained_resident_bytes: tuple[int, ...]
