"""Logs in which every value has its label: ``VmRSS:   29320 kB``, ``anon 123456``, one or several a reading."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from soak.logs.names import unit_in
from soak.logs.reading.source import Source
from soak.logs.reading.times import split_stamp
from soak.logs.table import Column, Row, Table

_LABELLED = re.compile(r"[\"']?([A-Za-z_][\w()]*)[\"']?:?\s+[\"']?(\d[^\s\"',]*(?:,\d+)*(?:\s+[kKMG]i?B)?)[\"']?,?")
_WORDED = re.compile(
    r"([A-Za-z]\w*(?:[ /-][A-Za-z(]\w*\)?)*(?: \([\w ]+\))?)(?:\s*:\s*|\s+=\s+)(\d[\w.,%]*(?:\s+[kKMG]i?B)?)"
)
"""``Maximum resident set size (kbytes): 29320`` of time -v, ``used_memory:30023680`` of Redis."""
_BYTES_OF_CGROUP = frozenset(("anon", "file", "kernel", "slab", "shmem", "sock", "inactive_anon", "active_anon"))
"""What memory.stat counts in bytes; it counts events too."""
_BRACKET = re.compile(r"[{}\[\]],?")
"""A line of an object that was printed over several lines."""


class Labelled:
    """``grep VmRSS /proc/PID/status``, ``smaps_rollup``, ``memory.stat`` in a loop; ``console.log`` of an object."""

    def recognises(self, head: str) -> bool:
        """Say whether half of the first lines, or all but those of times, are a label and its value."""
        rests = [split_stamp(line)[1] for line in head.splitlines()[:40]]
        lines = [rest for rest in rests if rest and not _BRACKET.fullmatch(rest)]
        return bool(lines) and sum(_pair(line) is not None for line in lines) >= 0.5 * len(lines)

    def read(self, source: Source) -> Table:
        """Take the labels near the top as columns; the first one begins a reading."""
        lines = _stamped_pairs(source)
        begun = list(itertools.islice(lines, 200))
        labels = list(dict.fromkeys(label for _, _, label, _ in begun))
        of_cgroup = set(labels) >= {"anon", "file"}
        units = {label: "B" if of_cgroup and label in _BYTES_OF_CGROUP else unit_in(label) for label in labels}
        columns = (Column("time"), *(Column(label, units[label]) for label in labels))
        if not any(stamp for _, stamp, _, _ in begun):
            columns = columns[1:]
        rows = _rows(itertools.chain(begun, lines), labels)
        rows = ((number, row if len(columns) > len(labels) else row[1:]) for number, row in rows)
        return Table("log", columns, rows, has_order=False)


def _pair(line: str) -> tuple[str, str] | None:
    match = _LABELLED.fullmatch(line) or _WORDED.fullmatch(line)
    return (match.group(1), match.group(2)) if match else None


def _stamped_pairs(source: Source) -> Iterator[tuple[int, str, str, str]]:
    since = ""
    for number, line in enumerate(source.lines(), start=1):
        stamp, rest = split_stamp(line.strip())
        since = stamp or since
        pair = _pair(rest)
        if pair is not None:
            yield number, since, *pair


def _rows(pairs: Iterator[tuple[int, str, str, str]], labels: list[str]) -> Iterator[Row]:
    row: dict[str, str] = {}
    at, when = 0, ""
    for number, stamp, label, value in pairs:
        if label in row:
            yield at, [when, *(row.get(name, "") for name in labels)]
            row = {}
        if not row:
            at, when = number, stamp
        row[label] = value
    if row:
        yield at, [when, *(row.get(name, "") for name in labels)]
