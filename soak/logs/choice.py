"""Which column is judged over which: chosen by name, or asked for; never guessed among several."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from soak.errors import UsageError
from soak.logs.names import (
    is_a_bound,
    may_tell_apart,
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

_OF_KUBERNETES, _MILLICORES = re.compile(r"\d+[KMG]i"), re.compile(r"\d+m")
"""Memory and processor as ``kubectl top`` prints them; elsewhere ``12m`` may be MiB."""
_DATE = re.compile(r"\d{4}[-/.]\d\d[-/.]\d\d|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}")
_EPOCH = re.compile(r"\d{9,19}(?:\.\d+)?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?")
_LONGEST_CLOCK = len("12:00:00.000 PM")
_MOSTLY = 0.9
_PAGE_BYTES = 4096
_FEWEST_TURNS = 4
_FEWEST_COUNTED = 8
_MOST_NAMED = 12
"""At most this many columns are named in a message."""


@dataclass(frozen=True)
class Asked:
    """What the user said about the columns; empty if nothing was said."""

    column: str = ""
    axis: str = ""
    only: Sequence[tuple[str, str]] = ()
    """Columns and the value that a row must have in them."""
    unit: str = ""
    decimal: str = ""
    pairs: str = ""
    """What times such as ``12:34`` are: ``hh:mm`` or ``mm:ss``."""


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
    unread_time: str = ""
    """A text of a column of times that is written in no way that is known; empty if there is none."""

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
    rows = [row for row in head if all(at < len(row[1]) and row[1][at].strip() == text for at, text in only)]
    axis = _find(names, asked.axis, file) if asked.axis else _axis(table, rows, numeric, value)
    if value is None:
        value = _value(table, rows, [at for at in numeric if at != axis], file)
    if value == axis:
        axis = None
    if not asked.column and axis in numeric and _may_be_times(table, rows, value) and _has_no_name(table, axis):
        raise UsageError(_several([names[axis], names[value]], file))
    noun = "reading" if axis is None else _noun(names[axis], head, axis)
    return Choice(
        value,
        axis,
        noun,
        owners=_owners_of(table, rows, value, axis),
        only=only,
        dates=_date_before(names, rows, axis),
        unread_time="" if axis is not None else _unread_time(names, rows, value),
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
    if given and all(map(_DATE.fullmatch, given)):
        return False  # 24.11.2025 is not a number in thousands
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
    times = [at for at in others if means_time(names[at]) and _reads_as_time(head, at, names[at])]
    of_dates = [at for at in others if _date_before(names, head, at)]
    moments = [at for at in others if at not in numeric and _rises(head, at) and _are_moments(head, at)]
    epochs = [at for at in others if at and _may_be_times(table, head, at)]
    epochs = epochs if len(epochs) == 1 and not _counts_up(head, 0) else []
    unnamed = [at for at in others[:1] if at == 0 and len(names) > 1 and _may_be_axis(table, head, numeric)]
    brackets = [at for at in others if means_owner(names[at]) and _counts_up(head, at)]
    return next(iter((*cycles, *of_dates, *times, *moments, *counts, *epochs, *unnamed, *brackets)), None)


def _texts(rows: Sequence[Row], at: int) -> list[str]:
    """Return what a column says in some rows, without blanks."""
    return [text for _, row in rows if at < len(row) and (text := row[at].strip())]


def _are_moments(head: Sequence[Row], at: int) -> bool:
    """Say whether a column has dates with a time of day, whatever its name is."""
    texts = _texts(head, at)
    return bool(texts) and all(len(text) > _LONGEST_CLOCK and ":" in text and is_time(text) for text in texts[:5])


def _unread_time(names: Sequence[str], head: Sequence[Row], value: int) -> str:
    """Return a text of a column that is a time by its name, where none could be read."""
    found = [_texts(head, at) for at in range(len(names)) if at != value and means_time(names[at])]
    return next((texts[0] for texts in found if len(set(texts)) > 1 and not _reads_as_number(texts[0])), "")


def _may_be_axis(table: Table, head: Sequence[Row], numeric: Sequence[int]) -> bool:
    name = table.names[0]
    if never_a_value(name) or means_memory(name) or is_a_bound(name) or table.columns[0].unit or _has_units(head, 0):
        return False
    if 0 not in numeric:
        return bool(head) and is_time(head[0][1][0])
    if len(table.columns) > 1 and _has_epochs(head, 0):
        return True
    # Records have their values in any order, and a value that wanders is no count.
    return table.has_order and _mostly_ascends(head, 0)


def _has_epochs(head: Sequence[Row], at: int) -> bool:
    """Say whether a column has seconds since 1970 that do not fall; several readings may be of one second.

    Memory in bytes may be as large a number, but in whole pages.
    """
    texts = _texts(head, at)
    if not all(_EPOCH.fullmatch(text) and is_time(text) for text in texts):
        return False
    numbers = [float(text) for text in texts]
    are_pages = all(number % _PAGE_BYTES == 0 for number in numbers)
    return len(numbers) > 1 and not are_pages and all(after >= before for before, after in itertools.pairwise(numbers))


def _has_no_name(table: Table, at: int) -> bool:
    """Say whether a column has at most a number for a name."""
    return not table.columns[at].name or table.columns[at].name == f"column {at + 1}"


def _mostly_ascends(head: Sequence[Row], at: int) -> bool:
    """Say whether a column of numbers goes up from row to row; it may begin anew now and then."""
    reader = NumberReader()
    numbers = []
    for text in _texts(head, at):
        with contextlib.suppress(ValueError):
            numbers.append(reader.read(text))
    steps = [after - before for before, after in itertools.pairwise(numbers)]
    return sum(step > 0 for step in steps) >= _MOSTLY * len(steps)


def _counts_up(head: Sequence[Row], at: int) -> bool:
    """Say whether a column goes up by one step from row to row: then it has no process ids, as in ``[17] rss=…``."""
    try:
        numbers = [int(text) for text in _texts(head, at)]
    except ValueError:
        return False
    steps = {after - before for before, after in itertools.pairwise(numbers)}
    return len(numbers) >= _FEWEST_COUNTED and len(steps) == 1 and steps.pop() > 0


def _is_all(form: re.Pattern[str], head: Sequence[Row], at: int) -> bool:
    """Say whether a column has values of one form alone."""
    texts = _texts(head, at)
    return bool(texts) and all(map(form.fullmatch, texts))


def _has_units(head: Sequence[Row], at: int) -> bool:
    reader = NumberReader()
    for text in _texts(head, at):
        with contextlib.suppress(ValueError):
            reader.read(text)
    return reader.has_units


def _rises(head: Sequence[Row], at: int) -> bool:
    texts = [row[at] for _, row in head if at < len(row) and row[at].strip()]
    return len(set(texts)) > 1 or len(texts) < 2


def _reads_as_time(head: Sequence[Row], at: int, name: str) -> bool:
    texts = [row[at] for _, row in head if at < len(row) and row[at].strip()]
    return bool(texts) and (is_time(texts[0], name) or _reads_as_number(texts[0]))


def _noun(name: str, head: Sequence[Row], axis: int) -> str:
    texts = [row[axis] for _, row in head if axis < len(row)]
    first = next((text for text in texts if text.strip()), "")
    if means_count(name):
        return noun_of(name)
    return "second" if is_time(first) or means_time(name) else "iteration"


def _value(table: Table, head: Sequence[Row], numeric: Sequence[int], file: str) -> int:
    names = table.names
    memory = [at for at in numeric if means_memory(names[at])]
    if len(memory) == 1:
        return memory[0]
    others = memory or [
        at for at in numeric if not (never_a_value(names[at]) or means_time(names[at]) or means_count(names[at]))
    ]
    if len(others) > 1:
        others = [at for at in others if not is_a_bound(names[at])] or others
    if len(others) > 1 and not any(table.columns[at].name for at in others):
        # Where none has a name, the unit of memory in its values says as much.
        others = [at for at in others if _has_units(head, at)] or others
        if any(_is_all(_OF_KUBERNETES, head, at) for at in others):
            others = [at for at in others if not _is_all(_MILLICORES, head, at)]
    if len(others) == 1:
        return others[0]
    if not others:
        raise UsageError(f"{file} has no column of numbers to judge; its columns are {listed(names)}")
    raise UsageError(_several([names[at] for at in others], file))


def _several(names: Sequence[str], file: str) -> str:
    return f"{file} has several columns that could be judged: {listed(names)}; choose one with --column NAME"


def _may_be_times(table: Table, head: Sequence[Row], at: int) -> bool:
    """Say whether a column without a name may as well have the times: of seconds since 1970 that rise."""
    return _has_no_name(table, at) and _has_epochs(head, at)


def _date_before(names: Sequence[str], head: Sequence[Row], axis: int | None) -> tuple[int, ...]:
    """Return the column before the axis where it has the dates of these times of day."""
    if not axis:
        return ()
    if names[axis].lower() == "time" and names[axis - 1].lower() == "date":
        return (axis - 1,)
    dates, clocks = _texts(head, axis - 1)[:5], _texts(head, axis)[:5]
    are_both = bool(dates) and all(map(_DATE.fullmatch, dates)) and bool(clocks) and all(map(_CLOCK.fullmatch, clocks))
    return (axis - 1,) if are_both else ()


def _owners_of(table: Table, head: Sequence[Row], value: int, axis: int | None) -> tuple[int, ...]:
    """Return the columns that say whose reading a row is: by their names, or because they tell rows of one time apart.

    The second finds ``gpu`` in ``time,gpu,used``: of each time there are several rows, and it differs in each.
    """
    names = table.names
    by_name = [at for at, name in enumerate(names) if means_owner(name) and at not in (value, axis)]
    if any(len(set(_texts(head, at))) > 1 for at in by_name):
        return tuple(by_name)
    others = [at for at in range(len(names)) if at not in (value, axis, *by_name) and may_tell_apart(names[at])]
    return (*by_name, *[at for at in others if _tells_apart(head, at, axis)][:1])


def _tells_apart(head: Sequence[Row], at: int, axis: int | None) -> bool:
    """Say whether a column takes the same few values in turn, as the names of what is measured do."""
    texts = _texts(head, at)
    turn = list(dict.fromkeys(texts))
    if not 2 <= len(turn) <= len(texts) // _FEWEST_TURNS or len(texts) != len(head):
        return False
    if axis is None:
        # Numbers may go round too: a processor's load, a counter of a few values.
        are_names = not any(map(_reads_as_number, turn))
        return are_names and all(text == turn[at % len(turn)] for at, text in enumerate(texts))
    of_a_time: dict[str, list[str]] = {}
    for (_, row), text in zip(head, texts, strict=True):
        of_a_time.setdefault(row[axis].strip() if axis < len(row) else "", []).append(text)
    # The last time may have been cut off.
    whole = list(of_a_time.values())[:-1]
    return len(whole) >= _FEWEST_TURNS and all(len(some) > 1 and len(set(some)) == len(some) for some in whole)


def axis_reader(choice: Choice, table: Table, head: Sequence[Row], pairs: str = "") -> TimeReader | None:
    """Return what reads the axis where it is a time; None if it is a number or the readings are counted."""
    if not choice.is_over_time or choice.axis is None:
        return None
    texts = [axis_text(choice, row) for _, row in head]
    return TimeReader(texts, table.names[choice.axis], pairs=pairs)


def axis_text(choice: Choice, row: Sequence[str]) -> str:
    """Return the text of the axis in a row: the date before it too, where that has a column of its own."""
    if choice.axis is None or choice.axis >= len(row):
        return ""
    if not choice.dates:
        return row[choice.axis].strip()
    return " ".join(row[at].strip() for at in (*choice.dates, choice.axis))
