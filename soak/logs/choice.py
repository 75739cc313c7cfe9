"""Which column is judged over which: chosen by name, or asked for; never guessed among several."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from soak.errors import UsageError
from soak.logs.names import (
    is_a_bound,
    means_count,
    means_cycles,
    means_memory,
    means_owner,
    means_time,
    never_a_value,
    noun_of,
)
from soak.logs.reading.numbers import BLANKS, NumberReader
from soak.logs.reading.times import TimeReader, is_time
from soak.logs.table import Row, Table

_MOST_NAMED = 12
"""At most this many columns are named in a message."""


@dataclass(frozen=True)
class Asked:
    """What the user said about the columns; empty where nothing was said."""

    column: str = ""
    axis: str = ""
    only: Sequence[tuple[str, str]] = ()
    """Columns and the value that a row must have in them."""
    unit: str = ""
    decimal: str = ""


@dataclass(frozen=True)
class Choice:
    """The columns that make the series, by position."""

    value: int
    axis: int | None
    """None: the readings are counted."""
    noun: str
    """What one step of the axis is called; ``second`` for times."""
    owners: tuple[int, ...] = ()
    """Columns that must not change while it is the same series."""
    only: tuple[tuple[int, str], ...] = ()
    dates: tuple[int, ...] = field(default=())
    """A date that stands in a column of its own, before the axis."""

    @property
    def is_over_time(self) -> bool:
        """Whether the axis is a time in seconds."""
        return self.noun == "second"


def choose(table: Table, head: Sequence[Row], asked: Asked, file: str) -> Choice:
    """Choose the columns of a table by their names and by some rows of it.

    Raises UsageError, with the columns and the option to say it with, where the names do not tell.
    """
    names = table.names
    only = tuple((_find(names, name, file), text) for name, text in asked.only)
    numeric = [at for at in range(len(names)) if _is_numeric(head, at)]
    value = _find(names, asked.column, file) if asked.column else None
    axis = _find(names, asked.axis, file) if asked.axis else _axis(table, head, numeric, value)
    if value is None:
        value = _value(names, [at for at in numeric if at != axis], file)
    if value == axis:
        axis = None
    noun = "reading" if axis is None else _noun(names[axis], head, axis)
    return Choice(
        value,
        axis,
        noun,
        owners=tuple(at for at, name in enumerate(names) if means_owner(name) and at not in (value, axis)),
        only=only,
        dates=_date_before(names, axis),
    )


def _find(names: Sequence[str], name: str, file: str) -> int:
    """Find a column by its whole name, else by a part of it that no other has."""
    if name in names:
        return list(names).index(name)
    found = [at for at, other in enumerate(names) if name.lower() in other.lower()]
    if len(found) != 1:
        which = f"{len(found)} columns with" if found else "no column"
        raise UsageError(f"{file} has {which} {name!r}; its columns are {listed(names)}")
    return found[0]


def listed(names: Sequence[str]) -> str:
    """Write names for a message; of many the first ones."""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _is_numeric(head: Sequence[Row], at: int) -> bool:
    """Say whether at least half of the fields that are there are numbers."""
    texts = [row[at].strip() for _, row in head if at < len(row)]
    given = [text for text in texts if text.lower() not in BLANKS]
    readable = sum(_reads_as_number(text) for text in given)
    return bool(given) and readable >= 0.5 * len(given)


def _reads_as_number(text: str) -> bool:
    for decimal in ".,":
        try:
            NumberReader(decimal).read(text)
            return True
        except ValueError:
            continue
    return False


def _axis(table: Table, head: Sequence[Row], numeric: Sequence[int], value: int | None) -> int | None:
    """Find the counter of cycles, else the time; without a name that says it the first column, where it rises."""
    names = table.names
    others = [at for at in range(len(names)) if at != value]
    counts = [at for at in others if means_count(names[at]) and at in numeric and _rises(head, at)]
    cycles = [at for at in counts if means_cycles(names[at])]
    times = [at for at in others if means_time(names[at]) and _reads_as_time(head, at)]
    of_dates = [at for at in times if _date_before(names, at)]
    unnamed = [at for at in others[:1] if at == 0 and len(names) > 1 and _may_be_axis(table, head, numeric)]
    return next(iter((*cycles, *of_dates, *times, *counts, *unnamed)), None)


def _may_be_axis(table: Table, head: Sequence[Row], numeric: Sequence[int]) -> bool:
    name = table.names[0]
    if never_a_value(name) or means_memory(name) or is_a_bound(name) or table.columns[0].unit or _has_units(head, 0):
        return False
    return is_time(head[0][1][0]) if 0 not in numeric else True


def _has_units(head: Sequence[Row], at: int) -> bool:
    reader = NumberReader()
    for _, row in head:
        with contextlib.suppress(ValueError):
            reader.read(row[at])
    return reader.has_units


def _rises(head: Sequence[Row], at: int) -> bool:
    texts = [row[at] for _, row in head if at < len(row) and row[at].strip()]
    return len(set(texts)) > 1 or len(texts) < 2


def _reads_as_time(head: Sequence[Row], at: int) -> bool:
    texts = [row[at] for _, row in head if at < len(row) and row[at].strip()]
    return bool(texts) and (is_time(texts[0]) or _reads_as_number(texts[0]))


def _noun(name: str, head: Sequence[Row], axis: int) -> str:
    texts = [row[axis] for _, row in head if axis < len(row)]
    first = next((text for text in texts if text.strip()), "")
    if means_count(name):
        return noun_of(name)
    return "second" if is_time(first) or means_time(name) else "iteration"


def _value(names: Sequence[str], numeric: Sequence[int], file: str) -> int:
    memory = [at for at in numeric if means_memory(names[at])]
    if len(memory) == 1:
        return memory[0]
    others = memory or [
        at for at in numeric if not (never_a_value(names[at]) or means_time(names[at]) or means_count(names[at]))
    ]
    if len(others) > 1:
        others = [at for at in others if not is_a_bound(names[at])] or others
    if len(others) == 1:
        return others[0]
    if not others:
        raise UsageError(f"{file} has no column of numbers to judge; its columns are {listed(names)}")
    candidates = listed([names[at] for at in others])
    raise UsageError(f"{file} has several columns that could be judged: {candidates}; choose one with --column NAME")


def _date_before(names: Sequence[str], axis: int | None) -> tuple[int, ...]:
    if axis and names[axis].lower() == "time" and names[axis - 1].lower() == "date":
        return (axis - 1,)
    return ()


def axis_reader(choice: Choice, table: Table, head: Sequence[Row]) -> TimeReader | None:
    """Return what reads the axis where it is a time; None where it is a number or the readings are counted."""
    if not choice.is_over_time or choice.axis is None:
        return None
    texts = [axis_text(choice, row) for _, row in head]
    return TimeReader(texts, table.names[choice.axis])


def axis_text(choice: Choice, row: Sequence[str]) -> str:
    """Return the text of the axis in a row: the date before it too, where that has a column of its own."""
    if choice.axis is None or choice.axis >= len(row):
        return ""
    if not choice.dates:
        return row[choice.axis].strip()
    return " ".join(row[at].strip() for at in (*choice.dates, choice.axis))
