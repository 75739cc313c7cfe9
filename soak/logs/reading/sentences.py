"""Lines of text with the size of memory in them: ``12:00:01 INFO worker: memory usage 117.2 MB after 40 requests``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from soak.logs.reading.source import Source
from soak.logs.reading.speakers import speakers_of
from soak.logs.reading.times import split_stamp
from soak.logs.table import Column, Row, Table

_SIZE = r"(?<![\d.,])\d[\d.,]*\s*(?:[kKMGT]i?B|[kKMG]ib|[Bb]ytes)\b"
_NAME = r"(?:[a-z]+[ _-])?(?:memory|mem|rss|uss|pss|heap|working set)\b[a-z _-]{0,30}?"
_NAMED_SIZE = re.compile(rf"(?i:\b({_NAME}))[\s:=(]*(?:is|at|of)?\s*({_SIZE})")
_SIZE_OF = re.compile(rf"({_SIZE}) (?:of )?((?:resident )?(?:memory|rss|heap))\b")
_FEWEST_LINES = 3
_LONGEST_SENTENCE = 1000
"""Characters: what is behind them in a line is not looked at."""


class Sentences:
    """The log of a program that tells its memory now and then, among other lines."""

    def recognises(self, head: str) -> bool:
        """Say whether three of the first lines name memory and its size with a unit."""
        return sum(bool(_sizes(split_stamp(line)[1])) for line in head.splitlines()) >= _FEWEST_LINES

    def read(self, source: Source) -> Table:
        """Make a column of each name that most of those lines near the top have."""
        found = [_sizes(split_stamp(line)[1]) for line in source.head.splitlines()]
        counts = Counter(name for sizes in found for name in sizes)
        names = [name for name, count in counts.items() if count >= 0.5 * max(counts.values())]
        columns = (Column("time"), Column("pid"), Column("worker"), *map(Column, names))
        return Table("log", columns, _rows(source, names))


def _rows(source: Source, names: list[str]) -> Iterator[Row]:
    for number, line in enumerate(source.lines(), start=1):
        stamp, rest = split_stamp(line)
        sizes = _sizes(rest)
        if sizes.keys() & set(names):
            speakers = speakers_of(rest[:_LONGEST_SENTENCE])
            whose = [speakers.get("pid", ""), speakers.get("worker", "")]
            yield number, [stamp, *whose, *(sizes.get(name, "") for name in names)]


def _sizes(line: str) -> dict[str, str]:
    """Return the sizes of memory that a line tells, by their names."""
    said = line[:_LONGEST_SENTENCE]
    named = {" ".join(name.split()).lower(): size for name, size in _NAMED_SIZE.findall(said)}
    return named or {name.lower(): size for size, name in _SIZE_OF.findall(said)}
