"""One cause in words: what grows, by how much, where, and who keeps it."""

from __future__ import annotations

from collections.abc import Sequence

from soak.attribution.grouping import INSIDE, CauseGroup, holder_of
from soak.reporting.words.causes.advice import (
    advise,
    is_lost_with_others,
    keeper_words,
)
from soak.reporting.words.causes.holders import cache_words, container_words, group_held_by, named_step, step_words
from soak.reporting.words.causes.kinds import kind_words
from soak.reporting.words.causes.owners import made_at_words, spot, though_lost
from soak.reporting.words.paths import is_own_file, own_frame, short_file, short_frame
from soak.reporting.words.vocabulary import (
    byte_rate,
    capitalised,
    count_words,
    made_words,
    period_words,
    printable,
    short_number,
)
from soak.results import Cause, MemoryKind, Opened, Owner, Place
from soak.units import format_count, format_number

_MOST_NAMED = 3
"""Of what stays open and is alike; more than these are not named."""
_NEARLY_ONE = 0.75, 1.3
"""Owners that a cycle leaves, counted over a few cycles."""
_GROWING_CHILDREN = "memory of child processes that keep running"
_STATE_WORDS = {
    "lost": "nothing points to it any more, so it can never be freed",
    "held": "something still holds it",
}
_OF_PYTHON_ALONE = ("dict", "list", "set", "OrderedDict", "defaultdict", "deque")
"""Containers that are themselves in Python's memory: native memory that they keep belongs to their items."""


def group_sentence(group: CauseGroup, noun: str = "call") -> str:
    """Say what one holder keeps, and by how much it grows; of one cause alone what `cause_sentence` says."""
    if group.is_alone:
        return cause_sentence(group.head, noun)
    rate = group.bytes_per_iteration
    growth = "" if rate is None else f": {byte_rate(rate)} per {noun}"
    certain = "" if group.confirmed else "Suspected: "
    sites = count_words(len(group.causes), "call site")
    if group.owner is not None:
        return f"{certain}{_owner_words(group, group.owner, noun)}, with memory from {sites}{growth}."
    return f"{certain}{_holder_words(group.head, noun)} memory from {sites}{growth}."


def site_lines(group: CauseGroup, noun: str = "call", most: int | None = None) -> tuple[str, ...]:
    """Give a line for each call site whose memory one holder keeps; nothing for a cause alone: its sentence has it.

    Beyond ``most`` they are only counted.
    """
    if group.is_alone:
        return ()
    told = group.causes[:most]
    rest = f"… and {count_words(len(group.causes) - len(told), 'more call site')}"
    lines = (_site_line(cause, group, noun) for cause in told)
    return (*lines, *([rest] if len(told) < len(group.causes) else ()))


def explain(cause: Cause, noun: str = "call") -> str:
    """Say what grows, where, and what to do about it. ``noun``: what a cycle is called."""
    return f"{cause_sentence(cause, noun)} {advise(cause, noun)}".rstrip()


def cause_sentence(cause: Cause, noun: str = "call") -> str:
    """Say what grows, by how much, from where, and whether it is lost or held; of what stays open, what it is."""
    if cause.count_per_iteration is not None:
        return _opened_sentence(cause, noun)
    rate = "" if cause.bytes_per_iteration is None else f", {byte_rate(cause.bytes_per_iteration)} per {noun}"
    every, where = _every_words(cause, noun), _where_words(cause)
    where = f" {'in' if cause.where is not None else 'from'} {where}" if where else ""
    state = _STATE_WORDS.get(cause.state)
    if is_lost_with_others(cause):
        state = "only lost memory points to it, so it can never be freed"
    if cause.kind == "reference-cycle" and cause.state == "held":
        state = "its objects hold each other"
    certain = "" if cause.confirmed else "Suspected: "
    kind, who = kind_words(cause.kind).name, ""
    if cause.kind == "child-process" and cause.bytes_per_iteration is not None:
        kind, who = _GROWING_CHILDREN, f": {'; '.join(map(opened_words, cause.opened[:_MOST_NAMED]))}"
    inside = f", in {printable(cause.processes)}" if cause.processes else ""
    words = f"{certain}{kind}{rate}{every}{where}{inside}{'; ' + state if state else ''}{who}."
    return capitalised(words)


def where_lines(group: CauseGroup, most: int) -> tuple[str, ...]:
    """Give the stack of the fastest cause and who holds it, a line each; no more than ``most`` of either."""
    stack = group.causes[0].frames
    frames, own = stack[:most], own_frame(stack)
    if own is not None and own not in frames:
        frames = (*frames[:-1], own)  # where a person will look first
    holders = (f"held by {holder}" for holder in group_held_by(group)[:most])
    return tuple(map(printable, (*map(short_frame, frames), *holders)))


def more_causes_sentence(causes: Sequence[Cause | CauseGroup], noun: str = "call") -> str | None:
    """Say that there are more causes than are shown, and what they come to; None where there are none."""
    if not causes:
        return None
    rate = sum(cause.bytes_per_iteration or 0.0 for cause in causes)
    together = f", {byte_rate(rate)} per {noun}{'' if len(causes) == 1 else ' together'}" if rate else ""
    suspected = " suspected" if not any(cause.confirmed for cause in causes) else ""
    return f"… and {format_count(len(causes))} more{suspected} cause{'' if len(causes) == 1 else 's'}{together}."


def cause_facts(cause: Cause) -> list[str]:
    """Give what is known of a cause beyond its sentence: bytes and blocks per cycle, since when, type, fingerprint."""
    facts = []
    if cause.bytes_per_iteration is not None:
        measured = f"{format_number(cause.bytes_per_iteration)} B/cycle"
        allocated = cause.allocated_bytes_per_iteration
        facts.append(measured if allocated is None else f"{measured} requested, {format_number(allocated)} B allocated")
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
    return f"{capitalised(made_words(cause.kind))} at"


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


def _opened_sentence(cause: Cause, noun: str) -> str:
    rate = cause.count_per_iteration or 0.0
    often = f"1 every {period_words(1 / rate)} {noun}s" if 0 < rate < 0.95 else f"{short_number(rate)} per {noun}"
    where = _where_words(cause)
    if cause.waits_at is not None:
        where = f", each in {place_words(cause.waits_at)}"
    elif where:
        where = f", {made_words(cause.kind)} in {where}"
    what = "; ".join(map(opened_words, cause.opened[:_MOST_NAMED]))
    certain = "" if cause.confirmed else "Suspected: "
    return capitalised(f"{certain}{kind_words(cause.kind).name}, {often}{where}{': ' if what else ''}{what}.")


def _reached_from(cause: Cause) -> str:
    """Name the line of a person's own that leads into a library: there something can be done."""
    own, place = own_frame(cause.frames), cause.python_where
    if own is None or place is None or is_own_file(place.file or ""):
        return ""
    return f", reached from {place_words(own)}"


def _owner_words(group: CauseGroup, owner: Owner, noun: str) -> str:
    """Say how many objects of one type stay, where they are made, and who holds them."""
    number = "One" if _NEARLY_ONE[0] < owner.per_iteration < _NEARLY_ONE[1] else short_number(owner.per_iteration)
    objects = owner.type if number == "One" else f"{owner.type} objects"
    verb = "is" if number == "One" else "are"
    made = made_at_words(group, owner)
    keeper = keeper_words(group)
    by = f" by {keeper}" if keeper else though_lost(owner, "it" if number == "One" else "them")
    return f"{number} {objects} per {noun}{made} {verb} kept{by}"


def _holder_words(head: Cause, noun: str) -> str:
    """Name what keeps the memory of several causes, with the verb."""
    if head.state == "lost":
        return f"{_allocated_words(head)} is lost. It keeps"
    if head.ring:
        return "Objects that refer to each other keep"
    if head.holder is not None:
        return f"{capitalised(cache_words(head.holder, noun))}, keeps"
    if found := holder_of(head):
        words = container_words(*found)
        return f"{capitalised(words) if _is_described(found[0]) else words}, keeps"
    if named := named_step(head.memory_path):
        return f"{named.name} keeps"
    if head.memory_path and head.memory_path[0].kind == MemoryKind.STATIC:
        return f"{step_words(head.memory_path[0])}, keeps"
    return f"{_allocated_words(head)} keeps"


def _is_described(expression: str) -> bool:
    """Whether a holder is told in words, not by an expression of the program."""
    return expression.startswith((INSIDE, "the "))


def _allocated_words(cause: Cause) -> str:
    place = cause.where or cause.python_where
    return f"Memory allocated at {spot(place)}" if place is not None else "Memory allocated at an unknown place"


def _site_line(cause: Cause, group: CauseGroup, noun: str) -> str:
    rate = "" if cause.bytes_per_iteration is None else f"{byte_rate(cause.bytes_per_iteration)} per {noun}"
    holder = holder_of(cause)
    every = _every_words(cause, noun) if cause.every != 1 else ""
    what = f"{cause.type} objects" if cause.type else kind_words(cause.kind).name
    is_foreign = holder is not None and cause.kind == "native" and holder[1].type in _OF_PYTHON_ALONE
    if holder is not None and holder[1] is cause.chain[-1] and not is_foreign:
        what = f"{holder[0]} itself"
    where = _where_words(cause)
    suspected = "" if cause.confirmed or not group.confirmed else " (suspected)"
    return f"{rate}{every}: {what}{f', allocated in {where}' if where else ''}{suspected}"


def _where_words(cause: Cause) -> str:
    """Name the C function, the Python line and the person's own line that lead to it; nothing where none is known."""
    places = [place_words(place) for place in (cause.where, cause.python_where) if place is not None]
    return f"{', called from '.join(places)}{_reached_from(cause)}"


def _every_words(cause: Cause, noun: str) -> str:
    if cause.every is None:
        return ""
    blocks = round(cause.blocks_per_iteration or 1.0)
    one = "one" if cause.bytes_per_iteration is None else "one block"
    what = f"{format_count(blocks)} blocks" if blocks > 1 else one
    if cause.requested_size is not None:
        size = f"{format_count(cause.requested_size)} B"
        what = f"{what} of {size}" if blocks > 1 else f"a block of {size}"
    elif cause.every == 1:
        return f" ({what} per {noun})"
    return f" ({what} every {noun if cause.every == 1 else f'{period_words(cause.every)} {noun}s'})"
