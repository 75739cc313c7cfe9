"""One JSON document: a list of records, a list of lists, or lists of values by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from soak.errors import SeriesError
from soak.logs.reading.records import flat, table_of
from soak.logs.reading.source import Source
from soak.logs.table import Table

MOST_CHARACTERS = 2**24
"""A document is read whole. What is longer should be written as a record a line."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")
_BEGINS = re.compile(r'\s*(?:\[\s*[{\[]|\{\s*"[^"]*"\s*:\s*(?:\[|.*:\s*\[))', re.DOTALL)


class Document:
    """``[{"time": 5, "rss": 1}, …]``, ``[[5, 1], …]`` or ``{"time": [5, …], "rss": [1, …]}``."""

    def recognises(self, head: str) -> bool:
        """Say whether the text begins as such a document does, and is not an object a line."""
        first, _, rest = head.lstrip().partition("\n")
        return _BEGINS.match(head) is not None and not (rest.strip() and first.rstrip().endswith("}"))

    def read(self, source: Source) -> Table:
        """Read the whole document. Raises SeriesError if it is none, or has no such list."""
        try:
            document = json.loads(source.whole(MOST_CHARACTERS))
        except (ValueError, RecursionError) as error:
            raise SeriesError(f"{source.name} is not a whole JSON document") from error
        return table_of("JSON", iter(_in_order(list(_records(document, source.name)))))


def _records(document: object, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the records of a document with their numbers. An object may have them in its only list."""
    document = _unwrapped(document)
    if isinstance(document, dict):
        lists = {name: value for name, value in document.items() if isinstance(value, list)}
        if len(lists) == 1 and all(isinstance(one, list | dict) for one in next(iter(lists.values()))):
            document = next(iter(lists.values()))
        else:
            lengths = {len(value) for value in lists.values()}
            if len(lengths) != 1:
                raise SeriesError(f"{file} has no lists of one length to judge")
            document = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    if not isinstance(document, list):
        raise SeriesError(f"{file} has no list of records to judge")
    for number, one in enumerate(document, start=1):
        record = {f"column {at}": value for at, value in enumerate(one, start=1)} if isinstance(one, list) else one
        if not isinstance(record, dict):
            raise SeriesError(f"{file}, record {number}: not an object or a list")
        yield number, flat(record)


def _in_order(records: list[tuple[int, dict[str, str]]]) -> list[tuple[int, dict[str, str]]]:
    """Return the records in the order of their times, where each has one of its own: CloudWatch gives them in none."""
    names = records[0][1] if records else {}
    for name in names:
        times = [record.get(name, "") for _, record in records]
        if all(map(_MOMENT.match, times)):
            is_ordered = len(set(times)) < len(times) or len({len(time) for time in times}) > 1
            return records if is_ordered else sorted(records, key=lambda one: one[1][name])
    return records


def _has_rows(values: list[object]) -> bool:
    return sum(isinstance(one, list) for one in values) > 1


def _unwrapped(document: object) -> object:
    """Go down to the only list of records, and through what has one object or list in it, as what sadf writes."""
    while isinstance(document, dict) or (isinstance(document, list) and len(document) == 1):
        values = document.values() if isinstance(document, dict) else document
        inner = [value for value in values if isinstance(value, dict | list) and value]
        of_records = [
            value for value in inner if isinstance(value, list) and sum(isinstance(x, dict) for x in value) > 1
        ]
        of_records = of_records or [value for value in inner if isinstance(value, list) and _has_rows(value)]
        if len(of_records) == 1:
            return of_records[0]
        if len(inner) != 1 or (isinstance(inner[0], list) and not any(isinstance(x, dict | list) for x in inner[0])):
            break
        document = inner[0]
    return document
