"""What garbage collectors print of each collection: those of Go, Java and Node.

The lines are those of ``GODEBUG=gctrace=1`` (https://pkg.go.dev/runtime), of ``java -Xlog:gc`` (JEP 158 and 271) and
``-verbose:gc`` of Java 8, and of ``node --trace-gc`` (``Heap::PrintShortHeapStatistics`` and ``gc-tracer.cc`` of V8).
Each has the heap before and after a collection. What is left after it is what the program holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from soak.logs.reading.source import Source
from soak.logs.table import Column, Row, Table


@dataclass(frozen=True)
class _Printed:
    """The lines of one collector.

    Groups of ``line``: ``left`` and ``unit`` are the heap after a collection. Where they are printed, ``at`` and
    ``time_unit`` are the time since the start, ``date`` is the time of day, and ``pid`` is the process.
    """

    form: str
    marks: tuple[str, ...]
    """Texts that each such line has."""
    line: re.Pattern[str]

    def search(self, line: str) -> re.Match[str] | None:
        """Find a collection in a line. Most lines are others, so what costs little is asked first."""
        if len(line) > _LONGEST or not all(mark in line for mark in self.marks):
            return None
        return self.line.search(line)


_LONGEST = 512
"""Characters: the time of a search grows with the square of them."""
_DATE = r"\d{4}-\d\d-\d\dT[\d:.,]+(?:Z|[+-]\d{4})?"
_COLLECTORS = (
    _Printed(
        "gctrace of Go",
        ("gc ", "->", " MB goal"),
        re.compile(r"\bgc \d+ @(?P<at>[\d.]+)(?P<time_unit>s) .*\d->\d+->(?P<left>\d+) (?P<unit>MB),"),
    ),
    _Printed(
        "trace-gc of Node",
        (" ms: ", ") -> ", ") MB,"),
        re.compile(
            r"\[(?P<pid>\d+)(?::0x[0-9a-f]+)?(?::\d+)?\]\s+(?P<at>\d+) (?P<time_unit>ms): "
            r"(?:Scavenge|Mark-sweep|Mark-Compact|Minor Mark-Compact)\b.*?"
            r"[\d.]+ \([\d.]+\) -> (?P<left>[\d.]+) \([\d.]+\) (?P<unit>MB)"
        ),
    ),
    _Printed(
        "gc log of Java",
        (" GC(", "->"),
        re.compile(
            rf"(?:\[(?P<date>{_DATE})\])?(?:\[(?P<at>[\d.,]+)(?P<time_unit>m?s)\])?(?:\[[^\]]*\])*\s*GC\(\d+\) "
            r"(?:Pause|Garbage Collection|Concurrent|Major|Minor).*?\d[KMG](?:\(\d+%\))?"
            r"->(?P<left>\d+)(?P<unit>[KMG])\(\d+[KMG%][^)]*\)"
        ),
    ),
    _Printed(
        "gc log of Java",
        ("GC", "K->", "secs]"),
        re.compile(
            rf"(?:(?P<date>{_DATE}): )?(?:(?P<at>\d+[.,]\d+): )?\[(?:Full )?GC\b.*"
            r"\s\d+K->(?P<left>\d+)(?P<unit>K)\(\d+K\)(?=[^()]*secs\])"
        ),
    ),
)
_BINARY = {"K": "KiB", "M": "MiB", "G": "GiB", "MB": "MiB"}
"""All four count in powers of 1,024 whatever they call them."""


class Collections:
    """The heap after each collection, in whichever of these forms, between other lines of the program."""

    def recognises(self, head: str) -> bool:
        """Say whether a collection is near the top."""
        return _collector_of(head) is not None

    def read(self, source: Source) -> Table:
        """Make columns of the time, of the process where it is printed, and of what was left."""
        collector = _collector_of(source.head)
        assert collector is not None  # recognises has said so
        columns = (Column("time"), Column("pid"), Column("heap after a collection"))
        return Table(collector.form, columns, _rows(collector, source))


def _collector_of(head: str) -> _Printed | None:
    return next((one for one in _COLLECTORS if any(map(one.search, head.splitlines()))), None)


def _rows(collector: _Printed, source: Source) -> Iterator[Row]:
    for number, line in enumerate(source.lines(), start=1):
        found = collector.search(line)
        if found is not None:
            yield (
                number,
                [_time_of(found), found.groupdict().get("pid") or "", f"{found['left']} {_BINARY[found['unit']]}"],
            )


def _time_of(found: re.Match[str]) -> str:
    """Return the date of a line, else its time since the start in s; empty if it has neither."""
    groups = found.groupdict()
    if groups.get("date") or not groups.get("at"):
        return groups.get("date") or ""
    at = float(groups["at"].replace(",", "."))
    return f"{at / 1000 if groups.get('time_unit') == 'ms' else at:.3f}"
