"""What allocators print of themselves: ``malloc_stats()`` of glibc, ``malloc_stats_print()`` of jemalloc."""

from __future__ import annotations

import re
from collections.abc import Iterator

from soak.logs.reading.source import Source
from soak.logs.reading.times import split_stamp
from soak.logs.table import Column, Row, Table

_OF_JEMALLOC = re.compile(r"Allocated: \d+, active: \d+, metadata: \d+")
_PAIR = re.compile(r"(\w+): (\d+)")
_OF_GLIBC = re.compile(r"(system|in use) bytes\s+=\s+(\d+)")
_TOTAL, _SECTION = "Total (incl. mmap):", re.compile(r"(?:Arena \d+|Total \(incl\. mmap\)):")


class Jemalloc:
    """The line in which jemalloc adds up what it has."""

    def recognises(self, head: str) -> bool:
        """Say whether it is near the top."""
        return _OF_JEMALLOC.search(head) is not None

    def read(self, source: Source) -> Table:
        """Take its names as columns; all are in bytes. Allocated and resident memory are two: soak asks which."""
        line = next(line for line in source.head.splitlines() if _OF_JEMALLOC.match(line))
        names = [name.lower() for name, _ in _PAIR.findall(line)]
        named = [Column(f"{name} memory" if name in ("allocated", "resident") else name, "B") for name in names]
        return Table("jemalloc", (Column("time"), *named), _lines_of_jemalloc(source))


class Glibc:
    """The totals of all arenas."""

    def recognises(self, head: str) -> bool:
        """Say whether they are near the top."""
        return _TOTAL in head and _OF_GLIBC.search(head) is not None

    def read(self, source: Source) -> Table:
        """Make a column of what the allocator has, and one of what the program has of it."""
        columns = (Column("time"), Column("system bytes", "B"), Column("in use bytes", "B"))
        return Table("malloc_stats", columns, _totals_of_glibc(source))


def _lines_of_jemalloc(source: Source) -> Iterator[Row]:
    since = ""
    for number, line in enumerate(source.lines(), start=1):
        stamp, rest = split_stamp(line)
        since = stamp or since
        if _OF_JEMALLOC.match(rest):
            yield number, [since, *(value for _, value in _PAIR.findall(rest))]


def _totals_of_glibc(source: Source) -> Iterator[Row]:
    since = section = ""
    found: dict[str, str] = {}
    for number, line in enumerate(source.lines(), start=1):
        stamp, rest = split_stamp(line)
        since = stamp or since
        if _SECTION.fullmatch(rest):
            section, found = rest, {}
        elif section == _TOTAL and (pair := _OF_GLIBC.match(rest)):
            found[pair[1]] = pair[2]
            if len(found) == 2:
                yield number, [since, found["system"], found["in use"]]
                section = ""
