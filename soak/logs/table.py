"""What every reader of a format makes of a log: named columns and rows of texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from soak.logs.reading.source import Source

Row = tuple[int, Sequence[str]]
"""The number of the line, counted from 1, and its fields: one per column; missing ones at the end are blanks."""


@dataclass(frozen=True)
class Column:
    """One column. ``unit`` is what a bare number in it means, where the format says so; ``name`` may be empty."""

    name: str
    unit: str | None = None


@dataclass(frozen=True)
class Table:
    """A log as columns and rows; the rows can be read once."""

    format: str
    """What the format is called in messages."""
    columns: tuple[Column, ...]
    rows: Iterator[Row]
    separator: str = ""
    """Between fields, where one character stands there: with a semicolon a comma may be the sign of decimals."""

    has_order: bool = True
    """The columns stand in an order that somebody chose: a first one without a known name may be the axis."""

    @property
    def names(self) -> list[str]:
        """The names of the columns; one without a name has its number."""
        return [column.name or f"column {position + 1}" for position, column in enumerate(self.columns)]


class LogFormat(Protocol):
    """A format of logs."""

    def recognises(self, head: str) -> bool:
        """Say whether a log that begins with this text has this format."""

    def read(self, source: Source) -> Table:
        """Read the columns now and the rows as they are asked for. Raises SeriesError that names the line."""
