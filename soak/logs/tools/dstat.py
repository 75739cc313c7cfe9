"""What dstat and pcp-dstat write with ``--output``, and print: groups of columns, each below a name of its own."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator, Sequence

from soak.errors import SeriesError
from soak.logs.reading.numbers import NumberReader
from soak.logs.reading.source import Source
from soak.logs.reading.times import is_time
from soak.logs.table import Column, Row, Table

_FILE = re.compile(r'\ufeff?"?(?:pcp-)?dstat [\d.]+ CSV output', re.IGNORECASE)
_PRINTED = re.compile(r"-+[a-z0-9/_]+(?:[- ][a-z0-9/_]+)*-+(?: -+[a-z0-9/_]+(?:[- ][a-z0-9/_]+)*-+)+", re.MULTILINE)
"""The line of the groups above what is printed: ``----system---- ------memory-usage-----``."""
_TIMES = ("time", "epoch")
_LONGEST_HEADING = 20
_MEMORY = "memory"


class Dstat:
    """The memory of the machine beside whatever else was asked for; a file goes on where dstat was started again."""

    def recognises(self, head: str) -> bool:
        """Say whether dstat's first line is on top of it."""
        return _FILE.match(head) is not None or (_PRINTED.match(head.lstrip()) is not None and "|" in head)

    def read(self, source: Source) -> Table:
        """Name each column by its group too. Raises SeriesError if there are no columns."""
        is_file = _FILE.match(source.head) is not None
        rows = _of_file(source) if is_file else _printed(source)
        begun = list(itertools.islice(rows, _LONGEST_HEADING))
        names = next((_names(above[1], below[1]) for above, below in itertools.pairwise(begun) if _is_head(below)), [])
        if not names:
            raise SeriesError(f"{source.name} has no columns of dstat below a heading")
        columns = tuple(Column(name, "B" if name.startswith(_MEMORY) else None) for name in names)
        readings = (
            row for row in itertools.chain(begun, rows) if len(row[1]) == len(names) and any(map(_is_number, row[1]))
        )
        return Table("dstat", columns, readings)


def _of_file(source: Source) -> Iterator[Row]:
    try:
        yield from enumerate(csv.reader(source.lines()), start=1)
    except csv.Error as error:
        raise SeriesError(f"{source.name}: {error}") from error


def _printed(source: Source) -> Iterator[Row]:
    """Yield the lines that dstat prints, cut into fields; the line of the groups as a file would have it."""
    groups: list[str] = []
    for number, line in enumerate(source.lines(), start=1):
        parts = [_fields(part) for part in line.strip().split("|")]
        if _PRINTED.match(line.strip()):
            groups = [part.strip("-").replace("-", " ") for part in line.split()]
        elif len(groups) == len(parts):
            if not any(_is_number(field) for part in parts for field in part):
                above = [[group, *[""] * (len(part) - 1)] for group, part in zip(groups, parts, strict=True)]
                yield number - 1, list(itertools.chain.from_iterable(above))
            yield number, list(itertools.chain.from_iterable(parts))


def _fields(part: str) -> list[str]:
    return [part.strip()] if is_time(part.strip()) else part.split()


def _is_head(row: Row) -> bool:
    """Say whether a row has the names of columns: short words, and no number."""
    names = set(row[1])
    return len(row[1]) > 1 and "" not in names and ({"used", "free"} <= names or bool({*_TIMES} & names))


def _names(groups: Sequence[str], names: Sequence[str]) -> list[str]:
    found, group = [], ""
    for at, name in enumerate(names):
        group = groups[at] if at < len(groups) and groups[at] else group
        found.append(name if name in _TIMES or not group else f"{group.replace(' usage', '')} {name}")
    return found


def _is_number(text: str) -> bool:
    try:
        value = NumberReader().read(text)
    except ValueError:
        return False
    return value == value
