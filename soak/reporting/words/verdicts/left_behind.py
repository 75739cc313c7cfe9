"""What a program leaves behind outside its process, in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from soak.grounds import Streak
from soak.measurements import SIGNALS
from soak.reporting.words.audit import size_words
from soak.reporting.words.paths import is_of_cpython, short_file, without_folders
from soak.reporting.words.vocabulary import count_words, period_words, printable, short_number
from soak.results import Cause, ComponentResult
from soak.units import format_count

_SIGNAL = "left_behind"
_NOT_FOLLOWED = (
    "resources that are created by programs that it starts, files that it is meant to keep (docs/verdict.md says which "
    "those are), and resources on other machines"
)
_NOTHING_FOLLOWED = "files, shared memory and other resources that are left behind outside the process"


def limits_sentence(component: ComponentResult) -> str:
    """Say what was not looked at outside the process, and whose blocks in it were not counted."""
    outside = f"Not checked: {_NOT_FOLLOWED if _SIGNAL in component.signals else _NOTHING_FOLLOWED}."
    return " ".join([outside, *_own_allocators(component)])


def _own_allocators(component: ComponentResult) -> Iterator[str]:
    """Name the compiled code of libraries that maps memory and fills it: it may hand that out by an allocator."""
    for part in component.audit.parts if component.audit is not None else ():
        made_by = part.made_by
        if made_by is not None and made_by.module and not is_of_cpython(made_by):
            name = printable(str(without_folders(made_by)))
            size = size_words(part.resident_bytes[-1])
            yield f"Memory that {name} maps was read as pages ({size}), not block by block."


def left_behind_sentence(component: ComponentResult, streak: Streak | None = None, *, so_far: str = "") -> str:
    """Say how much of what is left behind, the line that creates it, and the newest.

    ``Left behind: 1 shared-memory segment in each of 151 calls, created at app.py:4; the newest is /dev/shm/psm_ab12.``
    ``streak``: where it was one rate in each cycle; without one it is the rate of the signal.
    """
    causes = [cause for cause in component.causes if cause.kind == SIGNALS[_SIGNAL].kind]
    noun, signal = component.cycle_noun, component.signals.get(_SIGNAL)
    if streak is not None:
        how_many = f"{_things(streak.rate, causes)} in each of {count_words(streak.cycles, noun)}{so_far}"
    elif signal is None or signal.per_iteration is None:
        how_many = "not read"
    elif 0 < signal.per_iteration < 0.95:
        how_many = f"{_things(1.0, causes)} every {period_words(1 / signal.per_iteration)} {noun}s"
    else:
        how_many = f"{_things(signal.per_iteration, causes)} per {noun}"
    since = f", steadily since {noun} {format_count(signal.since)}" if signal is not None and signal.since else ""
    return f"Left behind: {how_many}{'' if streak else since}{_origin(causes)}."


def _things(number: float, causes: list[Cause]) -> str:
    """Count them by what they are, where all are of one type."""
    types = {opened.kind for cause in causes for opened in cause.opened}
    one = types.pop() if len(types) == 1 else "resource"
    shown = short_number(number)
    return f"{shown} {one}{'' if shown == '1' else 's'}"


def _origin(causes: list[Cause]) -> str:
    if not causes:
        return ""
    first = causes[0]
    place = first.python_where or first.where
    file = None if place is None or place.file is None else short_file(place.file)
    at = f", created at {file}:{place.line}" if place is not None and file and place.line else ""
    more = f" and at {count_words(len(causes) - 1, 'more place')}" if at and len(causes) > 1 else ""
    newest = f"; the newest is {printable(first.newest)}" if first.newest else ""
    return f"{at}{more}{newest}"
