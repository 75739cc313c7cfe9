"""All raw readings of a run as CSV, for whoever wants to draw or judge them elsewhere."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

from soak.measurements import SIGNALS, Reading

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(components: Sequence[str], readings: Callable[[str], Iterable[Reading]], out: TextIO) -> None:
    """Write ``component,cycle,at_s`` and one column per signal, a row per checkpoint, components in the given order.

    ``readings`` is asked twice for each component (first for the columns, then for the rows), so that a long run
    need not fit into memory. A signal that was not read at a checkpoint is an empty field; one that no component has
    gets no column. Columns stand in the order of ``SIGNALS``, unknown signals after them by name. A component's
    name that begins like a formula gets an apostrophe before it.
    """
    columns = _signals({name for component in components for reading in readings(component) for name in reading.values})
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["component", "cycle", "at_s", *columns])
    for component in components:
        for reading in readings(component):
            values = (_field(reading.values.get(column)) for column in columns)
            rows.writerow([_text(component), reading.cycle, f"{reading.at_s:.6f}", *values])


def _signals(present: set[str]) -> list[str]:
    return [name for name in SIGNALS if name in present] + sorted(present - SIGNALS.keys())


def _text(name: str) -> str:
    """Return a text that a spreadsheet does not take for a formula, which it would compute when the file is opened."""
    return f"'{name}" if name.startswith(_FORMULA) else name


def _field(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return ""
    return str(int(value)) if value == int(value) else repr(float(value))
