"""What is read at a checkpoint: each row once, lost ones counted, and what is read beside them with the newest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from soak.inside import ring
from soak.measurements import Reading
from soak.native.ledger import LedgerFile, Packing
from soak.probes.outside import ScriptedReader
from soak.running.child.child_ring import ScriptedRing
from soak.running.clock import ScriptedClock
from soak.running.component.reading.checkpoints import Beside, OutsideProbe, RowReader, is_soon_exhausted
from soak.running.component.reading.ledger_reader import LedgerReader


def written(*readings: Reading) -> ScriptedRing:
    shared = ScriptedRing()
    for reading in readings:
        shared.write_reading(reading)
    return shared


def counted(cycle: int, **values: float) -> Reading:
    return Reading(cycle, cycle / 1000, {"heap": 1e6 + cycle, "python_blocks": 500.0, **values})


def test_rows_become_readings_once():
    shared = written(counted(0), counted(8))
    rows = RowReader(shared)

    first = rows.read(shared.rows_written, Beside())
    shared.write_reading(counted(16))
    second = rows.read(shared.rows_written, Beside())

    assert first == [counted(0), counted(8)]
    assert second == [counted(16)]
    assert (rows.rows_read, rows.rows_lost) == (3, 0)


def test_what_was_not_read_inside_is_absent():
    """No malloc that can be asked: the heap is no zero."""
    shared = written(Reading(8, 0.008, {"python_blocks": 500.0}))

    (reading,) = RowReader(shared).read(1, Beside())

    assert reading.values == {"python_blocks": 500.0}


def test_what_is_read_from_outside_belongs_to_the_newest_row():
    shared = written(counted(0), counted(8))

    first, second = RowReader(shared).read(2, Beside({"rss": 3e7, "fds": 5.0}))

    assert (first, second) == (counted(0), counted(8, rss=3e7, fds=5.0))


def test_rows_that_were_overwritten_are_counted_as_lost():
    """As many as came beyond the ring's capacity while nobody read; the others are there, the last ones."""
    too_many = ring.ROW_CAPACITY + 10
    shared = written(*map(counted, range(too_many)))
    rows = RowReader(shared)

    readings = rows.read(shared.rows_written, Beside())

    assert rows.rows_lost == 10
    assert [readings[0].cycle, readings[-1].cycle, len(readings)] == [10, too_many - 1, ring.ROW_CAPACITY]


@pytest.mark.parametrize(
    ("packing", "resident"),
    [
        ([Packing(), Packing()], {"rss": 3e7, "pss": 2e7}),
        ([Packing(4096, 2), Packing(4096, 2)], {"rss": 3e7 + 4096, "pss": 2e7 + 4096}),
        ([Packing(-512, 2), Packing(-512, 2)], {"rss": 3e7 - 512, "pss": 2e7 - 512}),
        ([Packing(4096, 2), Packing(8192, 4)], {}),  # the process was at another checkpoint meanwhile
        ([Packing(4096, 3), Packing(4096, 3)], {}),
    ],
)
def test_what_packed_tables_save_is_still_resident_for_who_judges(packing: list[Packing], resident: dict[str, float]):
    reader = LedgerReader(lambda: PackingLedger(iter(packing)), str, 1.0)
    read = {"rss": 3e7, "pss": 2e7, "fds": 5.0}

    assert reader.read_beside(lambda: read) == {**resident, "fds": 5.0}
    assert read["rss"] == 3e7, "what the process really has is still known"


def test_without_a_ledger_resident_memory_is_what_it_is():
    assert LedgerReader(lambda: None, str, 1.0).read_beside(lambda: {"rss": 3e7}) == {"rss": 3e7}


class PackingLedger(LedgerFile):
    """Says what it is given of packing."""

    def __init__(self, packing: Iterator[Packing]) -> None:
        self._packing = packing

    def packing(self) -> Packing:
        return next(self._packing)


def test_the_tracker_is_no_part_of_what_is_mapped():
    """Its own bytes are taken out at the ledger's cycle; where they are not known nothing is said of mapped memory."""
    shared = written(counted(0), counted(8))
    ledger = {"tracked": 100.0, "tracked_blocks": 2.0, "own_mapped": 3e7}

    rows = RowReader(shared)
    (at_ledger,) = rows.read(1, Beside({"mapped": 9e7}, 0, ledger, tracker_is_mapped=True))
    (without,) = rows.read(2, Beside({"mapped": 9e7}, None, {}, tracker_is_mapped=True))

    assert at_ledger == counted(0, mapped=6e7, tracked=100.0, tracked_blocks=2.0)
    assert without == counted(8)


def test_only_the_newest_row_is_late_where_the_child_had_gone_on():
    rows = RowReader(written(counted(0), counted(8)))

    readings = rows.read(2, Beside({"fds": 5.0}, is_late=True))

    assert [reading.is_late for reading in readings] == [False, True]


def test_a_cycle_takes_what_its_checkpoints_do_not():
    shared = ScriptedRing()
    rows = RowReader(shared)
    shared.write_reading(Reading(0, 0.0))
    rows.read(1, Beside())
    assert rows.cycle_s is None

    shared.write_reading(Reading(100, 0.5), checkpoint_s=0.3)
    rows.read(2, Beside())

    assert rows.cycle_s == pytest.approx(0.002)


def test_the_most_garbage_is_kept_but_not_what_importing_left():
    shared = ScriptedRing()
    for cycle, found in enumerate([5000, 7, 90, 3]):
        shared.write_reading(Reading(cycle, float(cycle)), gc_found=found)
    rows = RowReader(shared)

    rows.read(4, Beside())

    assert rows.most_garbage == 90


def test_details_are_read_once_a_second():
    """They are a walk over all pages."""
    clock = ScriptedClock()
    probe = OutsideProbe(ScriptedReader(({"rss": 1.0} for _ in range(25)), ({"pss": 2.0} for _ in range(25))), clock)

    seen = []
    for _ in range(25):
        seen.append("pss" in probe.read())
        clock.advance(0.125)

    assert [number for number, has_details in enumerate(seen) if has_details] == [0, 8, 16, 24]
    assert probe.latest == {"rss": 1.0, "pss": 2.0}


@pytest.mark.parametrize(
    ("values", "is_soon"),
    [({"fds": 12.0}, False), ({"fds": 13.0}, True), ({"threads": 9.0}, True), ({"rss": 1e12}, False), ({}, False)],
)
def test_what_grows_by_a_few_may_run_out_soon(values: dict[str, float], is_soon: bool):
    """Descriptors and threads run out within a thousand cycles."""
    assert is_soon_exhausted(values, {"fds": 5.0, "threads": 1.0}) is is_soon


def test_what_was_never_read_does_not_run_out():
    assert not is_soon_exhausted({"fds": 500.0}, {})
