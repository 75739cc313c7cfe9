"""The file of nmon: ``MEM,T0001,15912.3,…`` below a heading for such lines, with the times in lines of their own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from soak.errors import SeriesError
from soak.logs.reading.source import Source
from soak.logs.table import Column, Row, Table

_TIME = re.compile(r"ZZZZ,T\d+,(\d\d:\d\d:\d\d),(\d\d-[A-Za-z]{3}-\d{4})")
_KIND = "MEM"


class Nmon:
    """The memory of the machine, in MiB, as nmon writes it with ``-f``."""

    def recognises(self, head: str) -> bool:
        """Say whether a line near the top is the heading of nmon's memory."""
        return head.startswith("AAA,") and f"\n{_KIND}," in head

    def read(self, source: Source) -> Table:
        """Take the columns from the heading. Raises SeriesError if there is none."""
        lines = ((number, line.strip().split(",")) for number, line in enumerate(source.lines(), start=1))
        of_memory = (one for one in lines if one[1][0] in (_KIND, "ZZZZ"))
        heading = next((fields for _, fields in of_memory if fields[0] == _KIND), [])
        if len(heading) < 3:
            raise SeriesError(f"{source.name} has no readings of {_KIND}")
        columns = (Column("time"), *(Column(name, "MiB") for name in heading[2:]))
        return Table("nmon", columns, _rows(of_memory))


def _rows(lines: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
    stamp = ""
    for number, fields in lines:
        time = _TIME.fullmatch(",".join(itertools.islice(fields, 4)))
        if time is not None:
            stamp = f"{time[2].title()} {time[1]}"
        elif fields[0] == _KIND:
            yield number, [stamp, *fields[2:]]
