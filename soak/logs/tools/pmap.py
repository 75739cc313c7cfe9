"""What pmap prints of a process, again and again: its mappings, and below them their sum, which is the reading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from soak.logs.reading.source import Source
from soak.logs.reading.times import split_stamp
from soak.logs.table import Column, Row, Table

_SUM = re.compile(r"total +(?:kB +(?P<kb>\d+(?: +(?:\d+|-))*)|(?P<size>\d+)K)")
_PROCESS = re.compile(r"(\d+): +\S.*")
_EXTENDED = ("address space", "RSS", "dirty")
_BEFORE_SIZES = ("Address", "Perm", "Offset", "Device", "Inode")
"""The columns of ``pmap -X`` that have no sum."""
_RULED, _LAST = re.compile(r"\s*=+(?: =+)+\s*"), "Mapping"
_SUM_OF_ALL = re.compile(r"\s*(\d+(?: +\d+)+) KB\s*")
_FEWEST = 2


class Pmap:
    """``pmap``, ``pmap -x`` and ``-X``, or only the lines of their sums."""

    def recognises(self, head: str) -> bool:
        """Say whether two sums are near the top; one where it begins with the line of the process."""
        if _names_of_all(head):
            return True
        if "total" not in head:
            return False  # most logs are others
        sums = sum(_SUM.fullmatch(split_stamp(line)[1]) is not None for line in head.splitlines())
        return sums >= _FEWEST or (sums > 0 and _PROCESS.fullmatch(head.partition("\n")[0].strip()) is not None)

    def read(self, source: Source) -> Table:
        """Make columns of the numbers of a sum; without ``-x`` it is the address space alone."""
        names = _names_of_all(source.head)
        if names:
            columns = (Column("pid"), *(Column(name, "KiB") for name in names))
            return Table("pmap", columns, _sums_of_all(source.lines(), len(names)))
        rows = list(_sums(source.head.splitlines()))
        known = _EXTENDED[: max((len(row[1]) for row in rows), default=3) - 2]
        columns = (Column("time"), Column("pid"), *(Column(name, "KiB") for name in known))
        return Table("pmap", columns, _sums(source.lines()))


def _names_of_all(head: str) -> list[str]:
    """Return the columns that have a sum below the line of ``pmap -X``; empty if that is not what it is."""
    words = next((line.split() for line in head.splitlines()[:3] if line.split()[:5] == [*_BEFORE_SIZES]), [])
    return [word for word in words[5:] if word != _LAST]


def _sums_of_all(lines: Iterator[str], count: int) -> Iterator[Row]:
    pid, is_next = "", False
    for number, line in enumerate(lines, start=1):
        process, found = _PROCESS.fullmatch(line.strip()), _SUM_OF_ALL.fullmatch(line) if is_next else None
        pid = process[1] if process else pid
        is_next = _RULED.fullmatch(line) is not None
        if found is not None:
            sums = found[1].split()
            yield number, [pid, *sums[:count]]


def _sums(lines: Iterator[str] | list[str]) -> Iterator[Row]:
    since = pid = ""
    for number, line in enumerate(lines, start=1):
        stamp, rest = split_stamp(line)
        since = stamp or since
        found, process = _SUM.fullmatch(rest), _PROCESS.fullmatch(rest)
        if process is not None:
            pid = process[1]
        if found is not None:
            yield number, [since, pid, *(found["kb"].split() if found["kb"] else [found["size"]])]
