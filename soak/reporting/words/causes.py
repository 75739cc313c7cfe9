"""One cause in words: what grows, by how much, where, and who keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from soak.reporting.words.paths import library_file, own_frame, short_file, short_frame
from soak.reporting.words.vocabulary import byte_rate, period_words, printable, short_number
from soak.results import Cause, Opened, Place
from soak.units import format_count, format_number

_MOST_NAMED = 3
"""Of what stays open and is alike; more than these are not named."""
_KIND_WORDS = {
    "native": "native memory",
    "python-object": "Python objects",
    "reference-cycle": "a reference cycle",
    "lost-reference": "a reference that is never dropped",
    "file-descriptor": "file descriptors that are not closed",
    "thread": "threads that do not end",
    "child-process": "child processes that are not reaped",
    "mapping": "mappings that are not unmapped",
    "fragmentation": "fragmentation: memory in use stays flat while resident memory grows",
}
_GROWING_CHILDREN = "memory of child processes that live on"
_STATE_WORDS = {
    "lost": "nothing points to it any more, so it can never be given back",
    "held": "something still holds it",
}


def cause_sentence(cause: Cause) -> str:
    """Say what grows, by how much, from where, and whether it is lost or held; of what stays open, what it is."""
    if cause.count_per_iteration is not None:
        return _opened_sentence(cause)
    rate = "" if cause.bytes_per_iteration is None else f", {byte_rate(cause.bytes_per_iteration)} per call"
    every = _every_words(cause)
    where = f" in {place_words(cause.where)}" if cause.where is not None else ""
    if cause.python_where is not None:
        where += f"{', called' if where else ''} from {place_words(cause.python_where)}"
    where += _reached_from(cause)
    state = _STATE_WORDS.get(cause.state)
    certain = "" if cause.confirmed else "Suspected: "
    kind, who = _KIND_WORDS.get(cause.kind, cause.kind), ""
    if cause.kind == "child-process" and cause.bytes_per_iteration is not None:
        kind, who = _GROWING_CHILDREN, f": {'; '.join(map(opened_words, cause.opened[:_MOST_NAMED]))}"
    words = f"{certain}{kind}{rate}{every}{where}{'; ' + state if state else ''}{who}."
    return _capital(words)


def where_lines(cause: Cause, most: int) -> tuple[str, ...]:
    """Give a cause's stack and who holds it, a line each; no more than ``most`` of either."""
    frames = cause.frames[:most]
    own = own_frame(cause.frames)
    if own is not None and own not in frames:
        frames = (*frames[:-1], own)  # where a person will look first
    holders = tuple(f"held by {holder}" for holder in cause.held_by)
    return tuple(printable(short_frame(frame)) for frame in frames) + holders[:most]


def more_causes_sentence(causes: Sequence[Cause]) -> str | None:
    """Say that there are more causes than are shown, and what they come to; None where there are none."""
    if not causes:
        return None
    rate = sum(cause.bytes_per_iteration or 0.0 for cause in causes)
    together = f", {byte_rate(rate)} per call{'' if len(causes) == 1 else ' together'}" if rate else ""
    suspected = " suspected" if not any(cause.confirmed for cause in causes) else ""
    return f"… and {format_count(len(causes))} more{suspected} cause{'' if len(causes) == 1 else 's'}{together}."


def cause_facts(cause: Cause) -> list[str]:
    """Give what is known of a cause beyond its sentence: bytes and blocks per cycle, since when, type, fingerprint."""
    facts = []
    if cause.bytes_per_iteration is not None:
        measured = f"{format_number(cause.bytes_per_iteration)} B/cycle"
        allocated = cause.allocated_bytes_per_iteration
        facts.append(measured if allocated is None else f"{measured} asked for, {format_number(allocated)} B allocated")
    if cause.blocks_per_iteration:  # none come with a buffer that grows
        blocks = format_number(cause.blocks_per_iteration)
        facts.append(f"{blocks} {'block' if blocks == '1' else 'blocks'}/cycle")
    if cause.since is not None:
        facts.append(f"since cycle {format_count(cause.since)} at the latest")
    facts += [f"{name} {value}" for name, value in (("type", cause.type), ("fingerprint", cause.fingerprint)) if value]
    return facts


def opened_words(opened: Opened) -> str:
    """Name what stays open and is alike: ``1,020 × file /tmp/x/log-*.txt``."""
    return f"{format_count(opened.count)} × {opened.kind} {printable(opened.name)}".rstrip()


def stack_title(cause: Cause) -> str:
    """Say what the cause's stack shows."""
    if cause.count_per_iteration is None:
        return "Allocated at"
    return "Opened at" if cause.kind == "file-descriptor" else "Started at"


def place_words(place: Place) -> str:
    """Name a line of code: ``to_numpy (convert.py:42, numpy 2.3.1)``; what is not known is left out.

    Files are named without their folders (``files.short_file``).
    """
    file = None if place.file is None else short_file(place.file)
    file = file if file is None or place.line is None else f"{file}:{place.line}"
    module = None if place.module is None else place.module.rpartition("/")[2]
    if module is not None and (place.function or "").startswith(f"{module}+"):
        module = None  # libz.so.1+0x12ab has said it
    parts = [part for part in (file or module, place.package) if part]
    if place.function is None:
        return ", ".join(parts) or "an unknown place"
    return f"{place.function} ({', '.join(parts)})" if parts else place.function


def _opened_sentence(cause: Cause) -> str:
    rate = cause.count_per_iteration or 0.0
    often = f"1 every {period_words(1 / rate)} calls" if 0 < rate < 0.95 else f"{short_number(rate)} per call"
    places = [place_words(place) for place in (cause.where, cause.python_where) if place is not None]
    verb = "opened" if cause.kind == "file-descriptor" else "started"
    where = f", {verb} in {', called from '.join(places)}{_reached_from(cause)}" if places else ""
    what = "; ".join(map(opened_words, cause.opened[:_MOST_NAMED]))
    return _capital(f"{_KIND_WORDS.get(cause.kind, cause.kind)}, {often}{where}{': ' if what else ''}{what}.")


def _reached_from(cause: Cause) -> str:
    """Name the line of a person's own that leads into a library: there something can be done."""
    own, place = own_frame(cause.frames), cause.python_where
    if own is None or place is None or library_file(place.file or "") is None:
        return ""
    return f", reached from {place_words(own)}"


def _every_words(cause: Cause) -> str:
    if cause.every is None:
        return ""
    blocks = round(cause.blocks_per_iteration or 1.0)
    what = f"{format_count(blocks)} blocks" if blocks > 1 else "one"
    if cause.requested_size is not None:
        size = f"{format_count(cause.requested_size)} B"
        what = f"{what} of {size}" if blocks > 1 else f"a block of {size}"
    return f" ({what} every {'call' if cause.every == 1 else f'{period_words(cause.every)} calls'})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
