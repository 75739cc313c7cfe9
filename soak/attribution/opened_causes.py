"""Make causes of what stays open or is left behind, by the line that opened, started or created it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from soak.attribution.causes import Call, Locate, above_bytecode, fingerprint, is_ours, list_frames, nearest, place_of
from soak.probes.inventory import DESCRIPTOR, OpenItem
from soak.probes.left_behind import LEFT_BEHIND
from soak.results import Cause, Opened, Place

_STANDARD_LIBRARY = re.compile(r"^<frozen |/lib(64)?/python3\.\d+/(?!site-packages/|dist-packages/)")
_STANDARD_MODULES = "/lib-dynload/"
_DIGITS = re.compile(r"\d+")
_MOST_PATTERNS = 3
_USUAL_PART = 0.1
"""Names that are alike and at least this share of a type's names are told by themselves."""
_MOST_GROUPS = 5
_SMALLEST_SHARE = 0.05
"""Of what has come since the first checkpoints; less is what was opened once, and is no part of the growth."""


@dataclass(frozen=True)
class StillOpen:
    """Something that was opened during the cycles and is open at their end."""

    item: OpenItem
    stack: tuple[Call, ...] = ()
    """Who opened it, innermost first; empty if that is not known."""
    is_at: Call | None = None
    """Of a thread: the line in which it is, in code that is not Python's own library."""


def causes_of_opened(
    opened: Sequence[StillOpen], locate: Locate, kind: str, rate: float, since: int | None
) -> tuple[Cause, ...]:
    """Return one cause for each place that opened what stays, the fastest first.

    ``rate``: how many of this kind stay in a cycle. With nothing in ``opened`` it is one cause without a place.
    """
    groups: dict[str, list[StillOpen]] = {}
    for one in opened:
        groups.setdefault(_identity(one, locate), []).append(one)
    largest = sorted(groups.values(), key=len, reverse=True)
    worth = [group for at, group in enumerate(largest) if not at or len(group) >= _SMALLEST_SHARE * len(opened)]
    total = sum(map(len, worth))
    return tuple(_cause(group, locate, kind, rate * len(group) / total, since) for group in worth) or (
        _cause([], locate, kind, rate, since),
    )


def _identity(one: StillOpen, locate: Locate) -> str:
    where, python_where = _places(one, locate)
    place = python_where or where
    return f"type {one.item.type}" if place is None else f"{place.module} {place.file} {place.function} {place.line}"


def _places(one: StillOpen, locate: Locate) -> tuple[Place | None, Place | None]:
    """Return the C function that opened it and the Python line, neither of the interpreter's own library."""
    python = [call for call in one.stack if call.file is not None and not is_ours(call)]
    own = next((call for call in python if not _STANDARD_LIBRARY.search(call.file or "")), None)
    opener = own or one.is_at or (python[0] if python else None)
    native = above_bytecode(one.stack, locate)
    where = nearest(place for place in native if _STANDARD_MODULES not in (place.module or ""))
    return where, None if opener is None else place_of(opener, locate)


def _waits_at(one: StillOpen, locate: Locate) -> Place | None:
    """Return where a thread is that only Python's own library started."""
    is_started_by_own = any(
        call.file is not None and not is_ours(call) and not _STANDARD_LIBRARY.search(call.file) for call in one.stack
    )
    return None if one.is_at is None or is_started_by_own else place_of(one.is_at, locate)


def _cause(group: Sequence[StillOpen], locate: Locate, kind: str, rate: float, since: int | None) -> Cause:
    fullest = max(group, key=lambda one: len(one.stack), default=None)
    where, python_where = (None, None) if fullest is None else _places(fullest, locate)
    types = Counter(one.item.type for one in group)
    type_ = types.most_common(1)[0][0] if types else None
    # One function may forget a pipe and a file; a process, though, may have ended or not.
    identity = f"{kind} {type_}" if kind in (DESCRIPTOR, LEFT_BEHIND) and type_ else kind
    return Cause(
        kind=kind,
        confirmed=True,
        state="unknown",
        fingerprint=fingerprint(identity, where, python_where, None),
        every=1 / rate if 0 < rate < 1 else None,
        since=since,
        where=where,
        python_where=python_where,
        frames=() if fullest is None else list_frames(fullest.stack, locate),
        type=type_,
        count_per_iteration=rate,
        opened=name_groups([one.item for one in group]),
        newest=group[-1].item.name if group and kind == LEFT_BEHIND else None,
        waits_at=None if fullest is None else _waits_at(fullest, locate),
    )


def name_groups(items: Sequence[OpenItem]) -> tuple[Opened, ...]:
    """Return what the items are, those alike together: ``1,020 × /tmp/x/log-*.txt``; the largest groups first."""
    alike: dict[tuple[str, str], list[str]] = {}
    for item in items:
        alike.setdefault((item.type, _DIGITS.sub("*", item.name)), []).append(item.name)
    for type_ in {type_ for type_, _ in alike}:
        patterns = [key for key in alike if key[0] == type_]
        if len(patterns) > _MOST_PATTERNS:
            # Names at random have more in them than numbers, so that few of them are alike.
            fewest = _USUAL_PART * sum(len(alike[key]) for key in patterns)
            rare = [key for key in patterns if len(alike[key]) < max(fewest, 2)]
            if rare:
                alike[type_, ""] = [name for key in rare for name in alike.pop(key)]
    groups = [Opened(type_, _pattern(names), len(names)) for (type_, _), names in alike.items()]
    return tuple(sorted(groups, key=lambda group: -group.count)[:_MOST_GROUPS])


def _pattern(names: Sequence[str]) -> str:
    """Return what all the names have in common, with one ``*`` for the part that differs."""
    first = names[0]
    if all(name == first for name in names):
        return first
    start = _common_start(names)
    end = _common_start([name[len(start) :][::-1] for name in names])[::-1]
    return f"{start}*{end}"


def _common_start(names: Sequence[str]) -> str:
    """Return the letters that all begin with, without a number that goes on differently."""
    first, last = min(names), max(names)  # what these two begin with, all between them do
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in alike)].rstrip("0123456789")
