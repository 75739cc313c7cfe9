"""What a program tells Prometheus, scraped again and again: ``process_resident_memory_bytes 3.0e+07``.

A loop of ``curl -s localhost:8000/metrics``; lines with times may stand between. OpenMetrics has the time in seconds
behind the value, Prometheus in milliseconds. ``promtool query range`` writes each series below its name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from soak.logs.names import unit_in
from soak.logs.reading.source import Source
from soak.logs.reading.times import split_stamp
from soak.logs.table import Column, Row, Table

_NAME = r"[A-Za-z_:][\w:]*"
_LABELS = r"\{[^{}]*\}"
_NUMBER = r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|NaN|Inf)"
_SAMPLE = re.compile(rf"({_NAME}(?:{_LABELS})?|{_LABELS}) +({_NUMBER})(?: +(\d{{10,16}}(?:\.\d+)?))?")
_PROMTOOL_HEAD = re.compile(rf"({_NAME}(?:{_LABELS})?|{_LABELS}) =>(?: +({_NUMBER}) @\[([\d.]+)\])?")
_PROMTOOL_VALUE = re.compile(rf"({_NUMBER}) @\[([\d.]+)\]")
_COMMENT = re.compile(r"# (?:HELP|TYPE|UNIT|EOF)\b")
_HEAD_SAMPLES = 2000
"""This many samples are looked at for the names of the series, and as many more as the first scrape has."""

_Sample = tuple[int, str, str, str]
"""The number of the line, the time or nothing, the name with its labels, the value."""


class Exposition:
    """The text that Prometheus scrapes, and what promtool prints."""

    def recognises(self, head: str) -> bool:
        """Say whether there are lines only such a text has, and half of the others are samples."""
        lines = [line.strip() for line in head.splitlines()[:200]]
        comments = sum(_COMMENT.match(line) is not None for line in lines)
        rests = [split_stamp(line)[1] for line in lines if line and not line.startswith("#")]
        samples = [match for rest in rests if (match := _SAMPLE.fullmatch(rest))]
        has_labels = any("{" in match[1] or match[3] for match in samples)
        if any(map(_PROMTOOL_HEAD.fullmatch, rests)):
            return True
        return bool(samples) and (comments > 0 or has_labels) and len(samples) >= 0.5 * sum(map(bool, rests))

    def read(self, source: Source) -> Table:
        """Make a column of each series of the first scrape; a scrape ends where a series comes again."""
        samples = _samples(source)
        begun: list[_Sample] = []
        names: dict[str, None] = {}
        for sample in samples:
            begun.append(sample)
            names[sample[2]] = None
            if len(begun) > _HEAD_SAMPLES and len(names) < len(begun):
                break
        labels = list(names)
        columns = (Column("time"), *(Column(label, unit_in(label.partition("{")[0])) for label in labels))
        rows = _rows(begun, samples, labels)
        if any(at for _, at, _, _ in begun):
            return Table("metrics", columns, rows)
        return Table("metrics", columns[1:], ((number, row[1:]) for number, row in rows), has_order=False)


def _samples(source: Source) -> Iterator[_Sample]:
    since = series = ""
    for number, raw in enumerate(source.lines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        stamp, rest = split_stamp(line)
        since = stamp or since
        if match := _SAMPLE.fullmatch(rest):
            yield number, match[3] or since, match[1], match[2]
        elif match := _PROMTOOL_HEAD.fullmatch(rest):
            series = match[1]
            if match[2]:
                yield number, match[3], series, match[2]
        elif series and (match := _PROMTOOL_VALUE.fullmatch(rest)):
            yield number, match[2], series, match[1]


def _rows(begun: list[_Sample], more: Iterator[_Sample], names: list[str]) -> Iterator[Row]:
    position = {name: at for at, name in enumerate(names, start=1)}
    row: dict[int, str] = {}
    began, when = 0, ""
    for samples in (begun, more):
        for number, at, name, value in samples:
            column = position.get(name)
            if column is None:
                continue
            if column in row or (row and at != when):
                yield began, _filled(row, when, len(names))
                row = {}
            if not row:
                began, when = number, at
            row[column] = value
    if row:
        yield began, _filled(row, when, len(names))


def _filled(row: dict[int, str], when: str, count: int) -> list[str]:
    return [when, *(row.get(at, "") for at in range(1, count + 1))]
