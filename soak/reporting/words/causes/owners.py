"""The object that owns the memory of several call sites, in words: where it is made, and with what it is kept."""

from __future__ import annotations

from soak.attribution.grouping import CauseGroup
from soak.reporting.words.paths import is_own_file, own_frame, own_frames, short_file, without_folders
from soak.results import Owner, Place

UNKNOWN_PLACE = Place("an unknown place", None, None)
_MOST = 0.75
"""A line makes what an owner keeps when this share of its memory and of its call sites is allocated from there."""


def spot(place: Place) -> str:
    """Name a line of code in as few words as it takes: ``app.py:14``, ``inflate in libz.so.1``."""
    if place.file and place.line:
        return f"{short_file(place.file)}:{place.line}"
    return str(without_folders(place)) or str(UNKNOWN_PLACE)


def made_at_words(group: CauseGroup, owner: Owner) -> str:
    """Say where the object is made that owns what a group keeps: `` made at app.py:14``; empty if not known."""
    place = made_at(group, owner)
    return "" if place is None else f" made at {spot(place)}"


def made_at(group: CauseGroup, owner: Owner) -> Place | None:
    """Return where an owner is made: where a library makes it, a person's own line that leads to it or to its parts."""
    made = owner.allocated_at
    if made is None or is_own_file(made.file or ""):
        return made
    itself = (cause for cause in group.causes if cause.fingerprint == owner.fingerprint)
    return next((own for cause in itself if (own := own_frame(cause.frames)) is not None), _common_line(group) or made)


def kept_with_words(group: CauseGroup, owner: Owner) -> str:
    """Say which line makes what an owner keeps, where it is not known which one makes the owner; else nothing."""
    place = _common_line(group) if made_at(group, owner) is None else None
    return "" if place is None else f", with what {spot(place)} makes"


def _common_line(group: CauseGroup) -> Place | None:
    """Return the innermost line of a person's own from which most of a group's memory is allocated, of what is known.

    Also most of its call sites: one line of a helper may allocate the largest parts. C code allocates some in threads
    of its own, where no line of Python stands.
    """
    known = [(own_frames(cause.frames), cause.bytes_per_iteration or 0.0) for cause in group.causes]
    known = [(frames, rate) for frames, rate in known if frames]

    def is_common(place: Place) -> bool:
        below = [rate for frames, rate in known if place in frames]
        return len(below) >= _MOST * len(known) and sum(below) >= _MOST * sum(rate for _, rate in known)

    common: list[list[Place]] = [list(filter(is_common, frames)) for frames, _ in known]
    longest = max(common, key=len, default=[])
    return longest[0] if longest else None


def though_lost(owner: Owner, them: str) -> str:
    """Say of owners that they are kept though nothing outside points to ``them``; empty if something does."""
    if not owner.is_lost:
        return ""
    counted = f" and its reference count is {owner.ref_count}" if owner.ref_count and them == "it" else ""
    return f", though nothing outside points to {them}{counted}"
