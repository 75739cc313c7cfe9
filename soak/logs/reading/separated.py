"""Files of separated fields: comma, semicolon, tab or bar, with a heading or without. Grafana, k6, locust, soak."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator

from soak.errors import SeriesError
from soak.logs.names import bracketed_unit, means_memory, unit_in
from soak.logs.reading.numbers import BLANKS, NumberReader, unit_of
from soak.logs.reading.source import Source
from soak.logs.reading.times import is_time
from soak.logs.table import Column, Row, Table
from soak.measurements import SIGNALS

_SEPARATORS = ";\t|,"
_LONGEST_PREAMBLE = 20
"""Up to this many lines may stand above the heading, as in what CloudWatch and other services export."""
_RULED = re.compile(r"[-=+:| ,;]*-{3}[-=+:| ,;]*|\(\d+ rows?\)")
"""The line below the heading of a table in Markdown or of psql, and what psql says below it."""
_BEGINS_RULED = ("", "-", "=", "+", ":", " ", "(")
_PRINTED_LIST = re.compile(r"\s*(?:\(.*\)|\[.*\])\s*")
_SHORTEST_MOMENT = len("1/1/25 0:00")
_OF_PSRECORD = ["elapsed_time", "nproc", "cpu", "mem_real", "mem_virtual"]
"""So the CSV of psrecord begins; its memory is in MiB."""
_OWN_COLUMNS = ["component", "cycle", "at_s"]
"""With these the CSV of ``soak export`` begins; its signals have the units of soak."""


class Separated:
    """Any CSV. Quoted fields, a line ``sep=;`` on top, comments, and several kinds of separators."""

    def recognises(self, head: str) -> bool:
        """Say whether most of the first lines have the same separator as often."""
        return _separator(head) != ""

    def read(self, source: Source) -> Table:
        """Read the heading; without one the columns have no names."""
        separator = _separator(source.head)
        rows = _rows(_bare(source), separator, source.name)
        first, rows = _from_heading(rows)
        if first is None:
            raise SeriesError(f"{source.name} has no readings")
        fields = [field.strip() for field in first[1]]
        second = next(rows, None)
        rows = rows if second is None else itertools.chain([second], rows)
        if _is_row(fields, [field.strip() for field in second[1]] if second else []):
            rows = _without_messages(itertools.chain([first], rows), len(fields))
            return Table("CSV", tuple(Column("") for _ in fields), rows, separator)
        names = [field.lstrip("#").strip() for field in fields]
        if names[:5] == _OF_PSRECORD:
            columns = tuple(Column(name, "MiB" if name.startswith("mem_") else None) for name in names)
        else:
            columns = tuple(Column(name, _unit(name, is_own=names[:3] == _OWN_COLUMNS)) for name in names)
        rows = (row for row in rows if row[1] != first[1])
        return Table("CSV", columns, _without_messages(rows, len(columns)), separator)


def _bare(source: Source) -> Iterator[str]:
    """Yield the lines; without the brackets where each is a list or tuple that a program printed: ``(17, 29320)``."""
    begun = [line for line in source.head.splitlines()[:-1] or source.head.splitlines() if line.strip()]
    are_lists = all(map(_PRINTED_LIST.fullmatch, begun[:_LONGEST_PREAMBLE]))
    return (line.strip().strip("[(])") for line in source.lines()) if are_lists else source.lines()


def _from_heading(rows: Iterator[Row]) -> tuple[Row | None, Iterator[Row]]:
    """Return the heading, or the first row where there is none, and the rows after it; what is above is left out."""
    begun = list(itertools.islice(rows, _LONGEST_PREAMBLE))
    of_console = _of_console(begun)
    if of_console is not None:
        at, heading = of_console
        return heading, itertools.chain(begun[at:], rows)
    reading = next((at for at, (_, row) in enumerate(begun) if any(_is_value(field) for field in row)), 0)
    above = [at for at in range(reading) if len(begun[at][1]) == len(begun[reading][1])]
    at = above[-1] if above else reading if reading and len(begun[reading][1]) > 1 else 0
    return (begun[at] if begun else None), itertools.chain(begun[at + 1 :], rows)


def _of_console(begun: list[Row]) -> tuple[int, Row] | None:
    """Return where the readings begin and a heading for them, where CloudWatch's console says above what they are.

    Above them stand rows of a word and what it is: of ``Label`` the names, of ``Unit`` the units.
    """
    first = next((at for at, (_, row) in enumerate(begun) if _is_moment(row[0].strip())), None)
    above = {row[0]: row[1:] for _, row in begun[:first] if len(row) > 1}
    if first is None or not above.keys() >= {"Label", "Period"}:
        return None
    units = itertools.chain(above.get("Unit", []), itertools.repeat(""))
    names = [f"{name} ({unit})" if unit_of(unit) else name for name, unit in zip(above["Label"], units, strict=False)]
    return first, (begun[first][0], ["time", *names])


def _is_row(first: list[str], second: list[str]) -> bool:
    """Say whether the first row is no heading: all of it are readings, or it differs from the next in readings only."""
    if all(map(_is_reading, first)) or any(map(_is_moment, first)):
        return True
    if first == second and any(map(_is_value, first)):
        return True
    is_alike = len(first) == len(second) and all(
        one == other or (_is_reading(one) and _is_reading(other)) for one, other in zip(first, second, strict=True)
    )
    return is_alike and any(one != other and _is_value(one) for one, other in zip(first, second, strict=True))


def _without_messages(rows: Iterable[Row], columns: int) -> Iterator[Row]:
    """Leave out lines of text in between, such as the last one of typeperf."""
    return (row for row in rows if columns == 1 or len(row[1]) > 1 or _is_reading(row[1][0].strip()))


def _unit(name: str, *, is_own: bool) -> str | None:
    if is_own and name in SIGNALS:
        return "B" if SIGNALS[name].unit == "bytes" else None
    return unit_in(name) if means_memory(name) else bracketed_unit(name)


def _separator(head: str) -> str:
    """Return the separator of the first lines; nothing if there is none."""
    lines = [line for line in head.splitlines()[:-1] or head.splitlines() if line.strip()]
    lines = ([line for line in lines if line[0] != "#" and not _RULED.fullmatch(line.strip())] or lines)[:20]
    if lines and lines[0].lower().startswith("sep="):
        return lines[0][4:5]
    for separator in _SEPARATORS:
        # Spaces beside it are not counted: a log of free text has commas too.
        try:
            counts = [len(fields) for fields in csv.reader(lines, delimiter=separator)]
        except csv.Error:  # a field of more characters than any log has
            continue
        if counts and min(counts[0], max(counts)) > 1 and counts.count(counts[0]) >= 0.6 * len(counts):
            return separator
    return ""


def _rows(lines: Iterable[str], separator: str, name: str) -> Iterator[Row]:
    """Yield the rows that are not empty."""
    reader = csv.reader(lines, delimiter=separator)
    has_begun = False  # a heading may be a comment too
    try:
        for row in reader:
            if not row or (not row[0] and not any(field.strip() for field in row)):
                continue
            is_comment = row[0][:1] == "#"
            may_be_ruled = row[0][:1] in _BEGINS_RULED and _is_ruled(row, separator)
            if may_be_ruled or (is_comment and (len(row) == 1 or has_begun)):
                continue
            has_begun = has_begun or not is_comment
            if reader.line_num > 1 or not row[0].lower().startswith("sep="):
                yield reader.line_num, row
    except csv.Error as error:
        raise SeriesError(f"{name}, line {reader.line_num}: {error}") from error


def _is_ruled(row: list[str], separator: str) -> bool:
    return _RULED.fullmatch(separator.join(row).strip()) is not None


def _is_moment(field: str) -> bool:
    """Say whether a field is a date with a time of day, which no column is called."""
    return len(field) >= _SHORTEST_MOMENT and ":" in field and is_time(field)


def _is_value(field: str) -> bool:
    return field.strip().lower() not in BLANKS and _is_reading(field.strip())


def _is_reading(field: str) -> bool:
    """Say whether a field of the first row is a reading and not the name of a column."""
    if field.lower() in BLANKS or is_time(field):
        return True
    try:
        NumberReader().read(field)
    except ValueError:
        return False
    return True
