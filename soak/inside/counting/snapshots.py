"""The second pass of a component that grows: two tracemalloc snapshots and their difference for each line."""

from __future__ import annotations

import marshal
import os
import tracemalloc

from soak.inside.clock import RealTime
from soak.inside.counting.real_gc import RealGc

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from soak.inside.loop import Loop

    _Line = tuple[str, int, int, int, list[tuple[str, int]]]

BASELINE_AFTER_S = 1.0
BASELINE_AFTER_CYCLES = 500
TOP_LINES = 25
_INSIDE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def start(frames: int) -> Callable[[], int]:
    """Start tracing; return a function that reads the traced bytes."""
    tracemalloc.start(frames)
    return lambda: tracemalloc.get_traced_memory()[0]


def run_between(soaking: Loop, cycle: Callable[..., Any], arguments: tuple[Any, ...], path: str) -> None:
    """Run the loop, with one snapshot after a warm-up and one at the end. Call `start` first.

    Writes ``path`` (the last snapshot), ``path`` + ``.baseline`` (the first) and ``path`` + ``.top``: marshal of
    (cycles between them, [(file, line, more bytes, more blocks, stack), ...] largest first). ``stack`` is
    [(file, line), ...] of the largest part, innermost first. Writes nothing when a run of very few cycles ended before
    the first snapshot.
    """
    baseline = _Baseline(cycle, path + ".baseline")
    soaking.run(baseline.cycle, arguments)
    if baseline.taken_after is None:
        return
    last = _snapshot()
    tracemalloc.stop()  # with it, the following lines would take a minute
    first, last = _without_own(tracemalloc.Snapshot.load(path + ".baseline")), _without_own(last)
    first.dump(path + ".baseline")
    last.dump(path)
    top = _sum_by_line(last.compare_to(first, "traceback"))[:TOP_LINES]
    with open(path + ".top", "wb") as file:
        marshal.dump((baseline.cycles - baseline.taken_after, top), file, 2)


def _sum_by_line(differences: list[tracemalloc.StatisticDiff]) -> list[_Line]:
    """Add up the differences of all stacks with the same innermost line. Return the lines that grew, largest first."""
    lines: dict[tuple[str, int], _Line] = {}
    # Largest first, so that each line keeps the stack of its largest part.
    for difference in sorted(differences, key=lambda difference: -difference.size_diff):
        stack = [(frame.filename, frame.lineno) for frame in reversed(difference.traceback)]
        place = stack[0]
        component_stack = [frame for frame in stack if not frame[0].startswith(_INSIDE + os.sep)] or [place]
        file, line, size, blocks, kept = lines.get(place, (*place, 0, 0, component_stack))
        lines[place] = (file, line, size + difference.size_diff, blocks + difference.count_diff, kept)
    return sorted((line for line in lines.values() if line[2] > 0), key=lambda line: -line[2])


class _Baseline:
    """Counts cycles, and takes the first snapshot between two of them after the warm-up."""

    def __init__(self, cycle: Callable[..., Any], path: str) -> None:
        self._cycle = cycle
        self._path = path
        self._due_s = RealTime.monotonic() + BASELINE_AFTER_S
        self.cycles = 0
        self.taken_after: int | None = None

    def cycle(self, *arguments: Any) -> None:
        """Take the first snapshot when it is due, then run one cycle."""
        if self.taken_after is None and (self.cycles >= BASELINE_AFTER_CYCLES or RealTime.monotonic() >= self._due_s):
            _snapshot()  # the first one leaves memory behind that does not belong to the component
            _snapshot().dump(self._path)
            self.taken_after = self.cycles
        self._cycle(*arguments)
        self.cycles += 1


def _snapshot() -> tracemalloc.Snapshot:
    RealGc.collect()
    return tracemalloc.take_snapshot()


def _without_own(snapshot: tracemalloc.Snapshot) -> tracemalloc.Snapshot:
    """Return a snapshot without the allocations of soak itself, but with the leaks that it plants.

    Without tracemalloc's filters, which match a pattern for each of a hundred thousand traces, 20 µs each.
    """
    own = {
        os.path.join(folder, name) for folder, _, names in os.walk(_INSIDE) for name in names if name.endswith(".py")
    }
    own.remove(os.path.join(_INSIDE, "injection.py"))
    own.add(tracemalloc.__file__)
    traces: tuple[Any, ...] = snapshot.traces._traces  # type: ignore[attr-defined]
    # A trace is (domain, size, frames, …); a frame is (file, line), innermost first.
    return tracemalloc.Snapshot([trace for trace in traces if trace[2][0][0] not in own], snapshot.traceback_limit)
