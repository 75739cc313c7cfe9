"""``mprof run`` of memory_profiler: ``MEM 28.632812 1764000000.0000``, in MiB, with a line per reading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from soak.logs.reading.source import Source
from soak.logs.table import Column, Row, Table

_LINE = re.compile(r"(?:MEM|CHLD \d+) +[\d.]+ +\d+\.\d+")


class Mprof:
    """A ``.dat`` of mprof: the process itself and, with --multiprocess, its children."""

    def recognises(self, head: str) -> bool:
        """Say whether a line near the top is a reading of mprof."""
        return any(_LINE.match(line) for line in head.splitlines()[:50])

    def read(self, source: Source) -> Table:
        """Read the memory of the process and, with --multiprocess, of each child; lines of functions are left out."""
        return Table("mprof", (Column("time"), Column("process"), Column("memory", "MiB")), _rows(source))


def _rows(source: Source) -> Iterator[Row]:
    for number, line in enumerate(source.lines(), start=1):
        fields = line.split()
        if len(fields) == 3 and fields[0] == "MEM":
            yield number, [fields[2], "main", fields[1]]
        elif len(fields) == 4 and fields[0] == "CHLD":
            yield number, [fields[3], f"child {fields[1]}", fields[2]]
