"""One series out of a table: pieces between restarts, in bounded memory, and what was left out on the way."""

from __future__ import annotations

import itertools
import math
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from soak.errors import SeriesError, UsageError
from soak.logs.choice import Asked, Choice, axis_reader, axis_text, choose, listed
from soak.logs.formats import read_table
from soak.logs.names import means_left, means_memory, means_resident
from soak.logs.reading.numbers import SIZES, NumberReader, decimal_sign
from soak.logs.reading.source import Source
from soak.logs.table import Row, Table

FloatArray = NDArray[np.float64]

MOST_KEPT = 2**19
"""At most this many readings of a piece are kept: of more, the lowest of every two, four, eight … in a row."""
PAGES_OF_BYTES, PAGES_OF_KIB = "pages of 4096 bytes", "pages of 4 KiB"
"""All values are whole pages, in bytes or in KiB."""
_HEAD_ROWS = 200
_MOST_RESTARTS = 1000
_LONGEST_FAULT = 300
_FEWEST_FALLS = 3
"""Times: with fewer it may be a clock that was set back."""
_MOST_OWNERS = 10_000
"""A log of more processes is not read to its end: one of them must be chosen in any case."""
_LARGEST_CLOCK_STEP_S = 7_300.0
"""A clock that is set back by more than two hours is none: the rows are not sorted."""
_LEAST_RSS_KIB = 512
_PAGE_BYTES = 4096.0


@dataclass(frozen=True)
class Piece:
    """Readings between two restarts: ``at`` ascending and ``values``, both ``(m,)`` float64."""

    at: FloatArray
    values: FloatArray
    why: str = ""
    """Why it begins: ``pid``, ``axis`` (it fell), ``clock`` (set back), ``value`` (it fell); empty: the first."""
    line: int = 0


@dataclass(frozen=True)
class LogSeries:
    """What a log says about one value."""

    file: str
    format: str
    column: str
    noun: str
    """What one step of ``at`` is called; ``second`` where it is a time."""
    unit: str
    """``bytes``, or empty if it is not known or no memory."""
    unit_from: str
    """How the unit is known: ``named``, ``asked``, ``pages of 4 KiB``, ``pages of 4096 bytes`` or empty."""
    grain: float
    """How finely the values are known."""
    pieces: tuple[Piece, ...]
    blanks: int = 0
    same_time: int = 0
    """Readings at the time of another one; the lower of both is kept."""
    readings: int = 0
    is_cut_short: bool = False
    """The pipe fell silent before its end."""
    is_left: bool = False
    """The column is memory that is left; the values are how far it is below its highest."""
    unread_time: str = ""
    """A text of a column of times that could not be read."""
    assumed_time: str = ""
    """A time that was taken for hours and minutes, and may be minutes and seconds."""

    @property
    def is_over_time(self) -> bool:
        """Whether ``at`` is in seconds."""
        return self.noun == "second"


def read_series(source: Source, asked: Asked) -> LogSeries:
    """Read one series of a log. Raises UsageError if a column must be chosen, SeriesError naming a bad line."""
    table = read_table(source)
    rows = iter(table.rows)
    head = list(itertools.islice(rows, _HEAD_ROWS))
    if not head:
        raise SeriesError(f"{source.name} has no readings")
    choice = choose(table, head, asked, source.name)
    reading = _Reading(source.name, table, choice, head, asked)
    for row in itertools.chain(head, rows):
        reading.add(row)
    return reading.finish(is_cut_short=source.has_fallen_silent)


_PROGRAMS = frozenset(("command", "cmd", "args", "process_name"))
"""Columns that say what a process runs."""


@dataclass
class _Kept:
    """The readings of one piece while it grows."""

    why: str = ""
    line: int = 0
    at: array[float] = field(default_factory=lambda: array("d"))
    values: array[float] = field(default_factory=lambda: array("d"))

    stride: int = 1
    """One reading is kept of this many."""
    seen: int = 0

    def add(self, at: float, value: float) -> None:
        if self.seen % self.stride == 0:
            if len(self.at) == 2 * MOST_KEPT:
                self._keep_half()
            self.at.append(at)
            self.values.append(value)
        else:
            self.lower_to(at, value)
        self.seen += 1

    def lower_to(self, at: float, value: float) -> None:
        """Put a reading in the place of the last one, where it is lower."""
        if value < self.values[-1]:
            self.at[-1], self.values[-1] = at, value

    def _keep_half(self) -> None:
        ats, values = np.array(self.at), np.array(self.values)
        lower = np.arange(0, len(values), 2) + (values[1::2] < values[::2])
        self.at, self.values = array("d", ats[lower]), array("d", values[lower])
        self.stride *= 2

    def piece(self, factor: float, highest: float | None = None, *, second: float = 1.0) -> Piece:
        """Return what was kept, multiplied by ``factor``; ``second``: how long one of its times is."""
        values = np.array(self.values) if highest is None else highest - np.array(self.values)
        return Piece(np.array(self.at) * second, values * factor, self.why, self.line)


def _falls(choice: Choice, table: Table, head: Sequence[Row], pairs: str) -> bool:
    """Say whether the times fall from row to row, as where a service gives the newest reading first."""
    reader = axis_reader(choice, table, head, pairs)
    if reader is None or not reader.is_absolute:
        return False
    texts = [text for _, row in head if (text := axis_text(choice, row))]
    try:
        times = [reader.read(text) for text in texts]
    except ValueError:
        return False  # the row is named when it is read
    return len(set(times)) >= _FEWEST_FALLS and all(after <= before for before, after in itertools.pairwise(times))


def _turned(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return pieces that were read from the newest reading to the oldest, with their times negated, in their order."""
    whys = ["", *(piece.why for piece in pieces[:0:-1])]
    return tuple(
        Piece(-piece.at[::-1], piece.values[::-1], why, piece.line)
        for piece, why in zip(reversed(pieces), whys, strict=True)
    )


class _Reading:
    """Takes in row after row."""

    def __init__(self, file: str, table: Table, choice: Choice, head: Sequence[Row], asked: Asked) -> None:
        self._file, self._table, self._choice, self._asked = file, table, choice, asked
        texts = [row[choice.value] for _, row in head if choice.value < len(row)]
        self._named_unit = asked.unit or table.columns[choice.value].unit or ""
        sign = asked.decimal or decimal_sign(texts, table.separator, self._named_unit or None)
        self._numbers = NumberReader(sign, self._named_unit)
        self._times = axis_reader(choice, table, head, asked.pairs)
        self._axis_numbers = NumberReader(self._numbers_decimal(head))
        self._is_newest_first = _falls(choice, table, head, asked.pairs)
        self._name = table.names[choice.value]
        self._pieces = [_Kept()]
        self._owner: tuple[str, ...] | None = None
        self._owners: Counter[tuple[str, ...]] = Counter()
        self._is_mixed = False
        self._last = -math.inf
        self._blanks = self._same = self._rows = 0
        self._divisor = 0
        self._highest = -math.inf

    def _numbers_decimal(self, head: Sequence[Row]) -> str:
        return self._asked.decimal or decimal_sign([axis_text(self._choice, row) for _, row in head], "")

    def add(self, numbered: Row) -> None:
        """Take in one row. Raises SeriesError that names its line."""
        number, row = numbered
        if self._choice.only and any(at >= len(row) or row[at].strip() != text for at, text in self._choice.only):
            return
        value = self._value(number, row)
        if math.isnan(value):
            self._blanks += 1
            return
        at = self._at(number, row)
        if math.isnan(at):
            self._blanks += 1
            return
        if not self._is_still_one(row, at):
            return
        self._place(number, at, value)

    def _value(self, number: int, row: Sequence[str]) -> float:
        if len(row) <= self._choice.value:
            raise self._fault(number, f"{len(row)} fields, but the value should be in field {self._choice.value + 1}")
        text = row[self._choice.value]
        try:
            value = self._numbers.read(text)
        except ValueError:
            raise self._fault(number, f"the value {text!r} is not a finite number") from None
        if value < 0 and means_memory(self._name):
            raise self._fault(number, f"{self._name} is {text}; memory is never negative (a counter that overflowed?)")
        return value

    def _at(self, number: int, row: Sequence[str]) -> float:
        self._rows += 1
        if self._choice.axis is None:
            return float(self._rows)
        text = axis_text(self._choice, row)
        try:
            at = self._times.read(text) if self._times else self._axis_numbers.read(text)
            return -at if self._is_newest_first else at
        except ValueError:
            if not text.strip():
                return math.nan
            noun = "time" if self._choice.is_over_time else self._choice.noun
            fault = "is not a finite number" if noun != "time" else "is not a time like those before"
            raise self._fault(number, f"the {noun} {text!r} {fault}") from None

    def _is_still_one(self, row: Sequence[str], at: float) -> bool:
        """Say whether the row is of the same process; a new one that goes on in time is a restart."""
        if not self._choice.owners:
            return True
        owner = tuple(row[at].strip() if at < len(row) else "" for at in self._choice.owners)
        if owner == self._owner:
            return not self._is_mixed
        self._owners[owner] += 1
        if self._owner is not None:
            is_new = len(self._owners) <= _MOST_RESTARTS and self._owners[owner] == 1
            why = self._why_another(owner)
            self._is_mixed = self._is_mixed or not (is_new and why and (at > self._last or why == "exec"))
            if len(self._owners) >= _MOST_OWNERS:
                raise UsageError(self._mixed())
            if not self._is_mixed:
                self._pieces.append(_Kept(why))
        self._owner = owner
        return not self._is_mixed

    def _why_another(self, owner: tuple[str, ...]) -> str:
        """Say why what goes on may be a restart: another process, or the same one that runs another program by exec."""
        names = [self._table.names[position].lower() for position in self._choice.owners]
        assert self._owner is not None, "called when another one was seen before"
        differing = {name for name, old, new in zip(names, self._owner, owner, strict=False) if old != new}
        if "pid" in differing or "container id" in differing:
            return "pid"
        return "exec" if "pid" in names and differing <= _PROGRAMS else ""

    def _place(self, number: int, at: float, value: float) -> None:
        if self._pieces[-1].line == 0:
            self._pieces[-1].line = number
        elif at <= self._last:
            if at == self._last and self._choice.is_over_time:
                self._same += 1
                self._pieces[-1].lower_to(at, value)
                return
            self._pieces.append(_Kept(self._why_it_fell(number, at), number))
        self._last = at
        self._highest = max(self._highest, value)
        self._pieces[-1].add(at, value)
        self._divisor = math.gcd(self._divisor, int(value)) if value == int(value) else 1

    def _why_it_fell(self, number: int, at: float) -> str:
        """Say why an axis falls: a restart, a clock that was set back. Raises SeriesError for rows out of order."""
        if len(self._pieces) > _MOST_RESTARTS:
            raise SeriesError(f"{self._file}: the rows are not in order; sort them by time")
        if self._times and self._times.is_absolute:
            if (self._last - at) * self._times.factor <= _LARGEST_CLOCK_STEP_S:
                return "clock"
            raise self._fault(number, "its time is before that of the row above; sort the rows")
        if at <= self._pieces[-1].at[0] and len(self._pieces[-1].at) > 1:
            return "axis"
        twice = "appears twice" if at == self._last else f"comes after {self._last:.15g}; sort the readings"
        raise self._fault(number, f"{self._choice.noun} {at:.15g} {twice}")

    def _fault(self, number: int, what: str) -> SeriesError:
        shown = what if len(what) <= _LONGEST_FAULT else f"{what[:_LONGEST_FAULT]}…"
        return SeriesError(f"{self._file}, line {number}: {shown}")

    def finish(self, *, is_cut_short: bool) -> LogSeries:
        """Return the series.

        Raises UsageError if the rows are of several processes, SeriesError where there are no two readings.
        """
        if self._is_mixed:
            raise UsageError(self._mixed())
        readings = sum(kept.seen for kept in self._pieces)
        if readings < 2:
            raise SeriesError(
                f"{self._file} has {'one reading' if readings else 'no readings'}; a verdict needs at least 64"
            )
        unit, unit_from = self._unit()
        is_left = means_left(self._name)
        second = self._times.factor if self._times else 1.0
        factor = SIZES[unit] if unit and not (self._named_unit or self._numbers.has_units) else 1.0
        highest = self._highest if is_left else None
        pieces = tuple(kept.piece(factor, highest, second=second) for kept in self._pieces)
        return LogSeries(
            file=self._file,
            format=self._table.format,
            column=self._name,
            noun=self._choice.noun,
            unit="bytes" if unit else "",
            unit_from=unit_from,
            grain=self._grain(factor, is_resident=unit_from.startswith("pages") or means_resident(self._name)),
            pieces=_turned(pieces) if self._is_newest_first else pieces,
            blanks=self._blanks,
            same_time=self._same,
            readings=readings,
            is_cut_short=is_cut_short,
            is_left=is_left,
            unread_time=self._choice.unread_time,
            assumed_time=self._times.assumed if self._times else "",
        )

    def _unit(self) -> tuple[str, str]:
        """Tell the unit of the values: as asked, from them, from the heading, or because all are whole pages."""
        if self._asked.unit:
            return self._asked.unit, "asked"
        if self._named_unit or self._numbers.has_units:
            return self._named_unit or "B", "named"
        is_unnamed = not self._table.columns[self._choice.value].name
        if self._divisor % 4096 == 0 and (means_memory(self._name) or is_unnamed) and self._divisor:
            return "B", PAGES_OF_BYTES
        least = min(min(kept.values) for kept in self._pieces if kept.values)
        if (
            self._divisor == 4
            and least >= _LEAST_RSS_KIB
            and (means_resident(self._name) or means_left(self._name) or is_unnamed)
        ):
            return "KiB", PAGES_OF_KIB
        return "", ""

    def _grain(self, factor: float, *, is_resident: bool) -> float:
        """Return how finely the values are known: as printed, resident memory in pages, whole numbers exactly."""
        step = self._numbers.step * factor
        exact = 0.0 if step == 1.0 else step
        return max(exact, _PAGE_BYTES) if is_resident and self._numbers_are_bytes(factor) else exact

    def _numbers_are_bytes(self, factor: float) -> bool:
        is_named_larger = self._named_unit not in ("", "B")
        return factor > 1 or is_named_larger or self._numbers.has_units or self._divisor % 4096 == 0

    def _mixed(self) -> str:
        """Say that the rows are of several, and how to choose one of them."""
        names = [self._table.names[position] for position in self._choice.owners]
        by_column = [list(dict.fromkeys(values)) for values in zip(*self._owners, strict=False)]
        name, values = next((name, values) for name, values in zip(names, by_column, strict=True) if len(values) > 1)
        several = "several" if len(self._owners) < _MOST_OWNERS else "very many"
        which = f"choose one with --only '{name}={values[0]}'"
        return f"{self._file} has {several} in column {name}: {listed(values)}; {which}"
