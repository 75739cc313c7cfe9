"""Logs with a record a line, each value with its name: JSON objects, or ``rss=29320 kB`` as logging libraries write."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

from soak.errors import SeriesError
from soak.logs.names import unit_in
from soak.logs.reading.source import Source
from soak.logs.reading.speakers import speakers_of
from soak.logs.reading.times import split_stamp
from soak.logs.table import Column, Table

_NAMED = re.compile(r"(?<![\w.])([A-Za-z_][\w.]*)\s*=\s*(\"[^\"]*\"|[^\s,]+(?:,\d[^\s,]*)*(?:\s+[kKMG]i?B\b)?)")
_OF_INFLUX = re.compile(r"([^\s=]+,\S+=\S+ \S+=\S+) (\d{10,19})")
"""InfluxDB's line protocol: names and values, and the time at the end; whole numbers end in i."""
_WITHIN = re.compile(r"\{[\"']?[A-Za-z_]\w*[\"']?\s*:\s*[^{}]*\}")
"""An object at the end of a line of text, as Monolog of PHP writes its context."""
_OF_RUBY = re.compile(r"[{,]\s*(?::(\w+)|[\"'](\w+)[\"'])\s*=>\s*([\d.]+)")
"""``{:heap_live_slots=>40960}`` of Ruby before 3.4."""
_PAIR = r"[A-Za-z_]\w*\s+\d[\d.]*(?:[KMGT]i?B?)?"
_LABELS = re.compile(rf"\s*{_PAIR}(?:\s+{_PAIR})+\s*")
"""``SwapUse 0 CachUse 3877000 MemUse 61440`` of ``free -L``."""
_LABEL = re.compile(r"([A-Za-z_]\w*)\s+(\S+)")
_PRINTED = re.compile(r"[{,]\s*[\"']?([A-Za-z_]\w*)[\"']?\s*:\s*[\"']?([^\s,{}\"']+(?:\s+[kKMG]i?B\b)?)")
"""``{ rss: 30023680, heapUsed: 4638040 }`` of Node and ``{'rss': 30023680}`` of Python."""
_LONGEST_OF_INFLUX = 4096
"""Characters: the time of the search grows with the square of them."""


class Records:
    """JSON lines and ``name=value`` pairs."""

    def recognises(self, head: str) -> bool:
        """Say whether most of the first ten lines are such records."""
        lines = [line for line in head.splitlines()[:-1] or head.splitlines() if line.strip()][:10]
        return bool(lines) and sum(bool(_record(line)) for line in lines) >= 0.7 * len(lines)

    def read(self, source: Source) -> Table:
        """Take the names near the top as columns."""
        return table_of("records", _records(source))


def table_of(form: str, records: Iterator[tuple[int, dict[str, str]]]) -> Table:
    """Make a table of numbered records; its columns are the names near the top."""
    begun = list(itertools.islice(records, 100))
    names = list(dict.fromkeys(name for _, record in begun for name in record))
    columns = tuple(Column(name, unit_in(name)) for name in names)
    rows = ((at, [record.get(name, "") for name in names]) for at, record in itertools.chain(begun, records))
    return Table(form, columns, rows, has_order=names[:1] == ["column 1"])


def _records(source: Source) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(source.lines(), start=1):
        record = _record(line)
        if record:
            yield number, record
        elif line.lstrip().startswith("{"):
            raise SeriesError(f"{source.name}, line {number}: not a JSON object")


def _record(line: str) -> dict[str, str]:
    """Return the values of a line by name; empty if it is not a record."""
    if line.lstrip().startswith("{"):
        try:
            return flat(json.loads(line))
        except (ValueError, RecursionError):
            return _printed(line) if line.rstrip().endswith("}") else {}
    of_influx = _OF_INFLUX.fullmatch(line.strip()) if len(line) <= _LONGEST_OF_INFLUX else None
    stamp, rest = split_stamp(line) if of_influx is None else (of_influx[2], re.sub(r"(?<=\d)i\b", "", of_influx[1]))
    pairs = {name: value.strip('"') for name, value in _NAMED.findall(rest)}
    pairs = pairs or _named_in(rest)
    if not pairs:
        return {}
    named = {**speakers_of(rest.partition("=")[0]), **pairs} if of_influx is None else pairs
    return {"time": stamp, **named} if stamp and "time" not in named else named


def _printed(line: str) -> dict[str, str]:
    """Return what an object has that a program of Node, Python or Ruby printed."""
    of_ruby = {symbol or name: value for symbol, name, value in _OF_RUBY.findall(line)} if "=>" in line else {}
    return of_ruby or dict(_PRINTED.findall(line))


def _named_in(text: str) -> dict[str, str]:
    """Return what the objects in a line of text have, or what stands in it label by label."""
    if "{" in text:
        return {name: value for part in _WITHIN.findall(text) for name, value in _printed(part).items()}
    return dict(_LABEL.findall(text)) if len(text) <= _LONGEST_OF_INFLUX and _LABELS.fullmatch(text) else {}


def flat(record: object, prefix: str = "") -> dict[str, str]:
    """Name what is nested by the way to it: ``data.value``; also what a list has whose only entry is an object."""
    if not isinstance(record, dict):
        return {}
    found: dict[str, str] = {}
    for name, value in record.items():
        if isinstance(value, list) and len(value) == 1:
            found.update(flat(value[0], f"{prefix}{name}."))
        elif isinstance(value, dict):
            found.update(flat(value, f"{prefix}{name}."))
        elif isinstance(value, str | int | float) or value is None:
            found[f"{prefix}{name}"] = "" if value is None else str(value)
    return found
