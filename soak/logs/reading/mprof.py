"""``mprof run`` of memory_profiler: ``MEM 28.632812 1764000000.0000``, in MiB, with a line per reading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from soak.logs.reading.source import Source
from soak.logs.table import Column, Row, Table

_LINE = re.compile(r"(?:MEM|CHLD \d+) +[\d.]+ +\d+\.\d+")


class Mprof:
    """A ``.dat`` of mprof: the process itself and, with --include-children, its children."""

    def recognises(self, head: str) -> bool:
        """Say whether a line near the top is a reading of mprof."""
        return any(_LINE.match(line) for line in head.splitlines()[:50])

    def read(self, source: Source) -> Table:
        """Read the memory of the process itself; lines of functions and of children are not series of it."""
        return Table("mprof", (Column("time"), Column("memory", "MiB")), _rows(source))


def _rows(source: Source) -> Iterator[Row]:
    for number, line in enumerate(source.lines(), start=1):
        fields = line.split()
        if len(fields) == 3 and fields[0] == "MEM":
            yield number, [fields[2], fields[1]]
