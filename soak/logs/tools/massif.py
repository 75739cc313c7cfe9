"""The file of valgrind's massif: the heap at moments that it chooses, over time, instructions or allocated bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from soak.logs.reading.source import Source
from soak.logs.table import Column, Row, Table

_TIME_UNIT = re.compile(r"^time_unit: *(\w+)", re.MULTILINE)
_VALUE = re.compile(r"(time|mem_heap_B|mem_stacks_B)=(\d+)\s*")
_SNAPSHOT = "snapshot="
_Snapshot = tuple[int, int, str, str]
"""Its line, its time in massif's unit, the heap and the stacks in bytes."""


class Massif:
    """One reading a snapshot: what the program has asked for, without what the allocator adds."""

    def recognises(self, head: str) -> bool:
        """Say whether massif's first lines are on top of it."""
        return head.startswith("desc:") and _TIME_UNIT.search(head) is not None and f"\n{_SNAPSHOT}" in head

    def read(self, source: Source) -> Table:
        """Make columns of the axis, the heap and the stacks.

        With ``--time-unit=ms`` the axis is the time. Nobody thinks in the instructions that massif counts else. So
        the axis is then the snapshots, each as far from the one before as massif's clock says, one apart on average.
        """
        unit = _TIME_UNIT.search(source.head)
        is_time = unit is not None and unit[1] == "ms"
        snapshots = list(_snapshots(source))
        columns = (Column("time" if is_time else "snapshot"), Column("heap", "B"), Column("stacks total", "B"))
        return Table("massif", columns, _rows(snapshots, 1e3 if is_time else _mean_step(snapshots)))


def _snapshots(source: Source) -> Iterator[_Snapshot]:
    at, time, heap = 0, 0, ""
    for number, line in enumerate(source.lines(), start=1):
        if line.startswith(_SNAPSHOT):
            at = number
            continue
        value = _VALUE.fullmatch(line)
        if value is None:
            continue
        if value[1] == "time":
            time = int(value[2])
        elif value[1] == "mem_heap_B":
            heap = value[2]
        else:
            yield at, time, heap, value[2]


def _mean_step(snapshots: Sequence[_Snapshot]) -> float:
    return (snapshots[-1][1] - snapshots[0][1]) / (len(snapshots) - 1) if len(snapshots) > 1 else 1.0


def _rows(snapshots: Sequence[_Snapshot], unit: float) -> Iterator[Row]:
    for at, time, heap, stacks in snapshots:
        yield at, [repr(time / unit if unit else 0.0), heap, stacks]
