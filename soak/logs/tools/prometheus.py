"""The answer of Prometheus to a range query: JSON, one series of times and values per set of labels."""

from __future__ import annotations

import json
from typing import Any

from soak.errors import SeriesError
from soak.logs.names import unit_in
from soak.logs.reading.source import Source
from soak.logs.table import Column, Table

MOST_CHARACTERS = 2**24
"""A range query gives at most 11,000 points of a series; this has room for fifty of them."""


class Prometheus:
    """``/api/v1/query_range``, the ``data`` of it, or only the list of series, as ``promtool -o json`` prints it."""

    def recognises(self, head: str) -> bool:
        """Say whether the text begins as such an answer does."""
        is_answer = '"resultType"' in head or '"values"' in head or ('"status"' in head and '"error"' in head)
        is_list = head.lstrip().startswith("[") and '"metric"' in head and '"values"' in head
        return is_list or (head.lstrip().startswith("{") and is_answer)

    def read(self, source: Source) -> Table:
        """Make a column of each series. Raises SeriesError if the answer is an error or has no range."""
        series = _series(source)
        named = [_label(one.get("metric", {}), [other.get("metric", {}) for other in series]) for one in series]
        columns = (Column("time"), *(Column(name, unit_in(name.partition("{")[0])) for name in named))
        try:
            by_time = _by_time(series)
        except (TypeError, ValueError) as error:
            raise SeriesError(f"{source.name} has values that are no pairs of a time and a number") from error
        rows = ((number, [repr(at), *by_time[at]]) for number, at in enumerate(sorted(by_time), start=1))
        return Table("Prometheus", columns, rows)


def _series(source: Source) -> list[dict[str, Any]]:
    try:
        answer = json.loads(source.whole(MOST_CHARACTERS))
    except (ValueError, RecursionError) as error:
        raise SeriesError(f"{source.name} is not a whole JSON answer of Prometheus") from error
    if isinstance(answer, list):
        answer = {"result": answer}
    if answer.get("status") == "error":
        raise SeriesError(f"{source.name} is an error of Prometheus: {answer.get('error')}")
    data = answer.get("data", answer)
    found = data.get("result") if isinstance(data, dict) else None
    if not isinstance(found, list) or not all(map(_is_series, found)):
        raise SeriesError(f"{source.name} has no range of values; ask Prometheus with query_range")
    if not found:
        raise SeriesError(f"{source.name} has no series: the query found nothing")
    return found


def _label(metric: dict[str, str], every: list[dict[str, str]]) -> str:
    """Name a series by its metric and the labels in which it differs from the others."""
    name = metric.get("__name__", "value")
    differing = {label: value for label, value in metric.items() if any(other.get(label) != value for other in every)}
    differing.pop("__name__", None)
    labels = ",".join(f"{label}={value}" for label, value in differing.items())
    return f"{name}{{{labels}}}" if labels else name


def _is_series(found: object) -> bool:
    return isinstance(found, dict) and "values" in found and isinstance(found.get("metric", {}), dict)


def _by_time(series: list[dict[str, Any]]) -> dict[float, list[str]]:
    """Return the values of all series at each time; one without a value at it has a blank."""
    by_time: dict[float, list[str]] = {}
    for position, one in enumerate(series):
        for at, value in one["values"]:
            by_time.setdefault(float(at), [""] * len(series))[position] = str(value)
    return by_time
