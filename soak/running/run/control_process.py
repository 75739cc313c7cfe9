"""The process of the controls: an empty cycle, after which first nothing and then leaks of known size are planted."""

from __future__ import annotations

from dataclasses import dataclass, field

from soak.inside.injection import CONTROL, CONTROL_CYCLES
from soak.measurements import Reading
from soak.probes.mappings import maps_reader
from soak.results import Failure
from soak.running.child.child import Child
from soak.running.child.failures import describe_failure
from soak.running.child.process import MeasuredProcess, child_settings
from soak.running.clock import SystemClock
from soak.running.component.reading.checkpoints import Beside, RowReader
from soak.running.component.reading.ledger_reader import LedgerReader
from soak.running.context import RunContext
from soak.settings import ComponentPlan
from soak.targets import EMPTY

_WAIT_S = 0.02
_LONGEST_S = 60.0
"""The process takes less than a second; one that takes this long hangs."""


@dataclass(frozen=True)
class Stretch:
    """What was read during one stretch of the control process; its cycles are counted from its beginning."""

    planted: tuple[tuple[str, int, int], ...]
    """Kind, size, and cycles between two leaks."""
    cycles: int
    readings: list[Reading] = field(default_factory=list)
    failure: Failure | None = None


def measure_stretches(context: RunContext) -> list[Stretch]:
    """Run the control process and return what was read of each stretch. Raises OSError when it cannot be started."""
    settings = {
        **child_settings(ComponentPlan(EMPTY, iterations=CONTROL_CYCLES), context.folder),
        "checkpoint_every": None,
        "checkpoint_share": None,
        "nice": 0,
        "inject": ("control", 1, 1),
        "tracemalloc_file": "",
    }
    child = MeasuredProcess(context.interpreter, settings, context.folder, context.tracker_library)
    try:
        readings, is_hung = _read_all(child)
        return split(readings, describe_failure(child, hung=is_hung))
    finally:
        child.close()


def split(readings: list[Reading], failure: Failure | None) -> list[Stretch]:
    """Return the stretches of what was read; ``failure``: of the process, and so of each of them."""
    stretches, begin = [], 0
    for cycles, _, planted in CONTROL:
        end = begin + cycles
        own = [
            Reading(reading.cycle - begin, reading.at_s, reading.values)
            for reading in readings
            if begin <= reading.cycle <= end
        ]
        stretches.append(Stretch(planted, cycles, own, failure))
        begin = end
    return stretches


def _read_all(child: Child) -> tuple[list[Reading], bool]:
    """Read the process until it ends; tell also whether it had to be ended."""
    rows = RowReader(child.ring)
    ledger = LedgerReader(child.open_ledger, maps_reader(child.pid), tolerance_bytes=1.0)
    readings: list[Reading] = []
    clock = SystemClock()
    ends_at_s = clock.now_s() + _LONGEST_S
    try:
        while child.exit_status() is None:
            child.wait_for_row(rows.rows_read, _WAIT_S)
            written = child.ring.rows_written
            if written > rows.rows_read:
                outside = child.outside.read_counts
                counts = ledger.read_beside(outside) if child.is_tracked else outside()
                cycle, sums = ledger.read_sums() if child.is_tracked else (None, {})
                is_mapped = ledger.latest is not None
                beside = Beside(counts, cycle, sums, tracker_is_mapped=is_mapped)
                readings += rows.read(written, beside)
                child.ring.acknowledge(written)
            if child.ring.waits_for_list:
                child.ring.release_from_list()
            if clock.now_s() > ends_at_s:
                child.abort()
                return readings, True
    finally:
        ledger.close()
    return readings, False
