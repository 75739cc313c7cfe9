"""The second pass of a component that grows: the same cycles under tracemalloc, in a process of its own.

Never in the run whose memory is judged: tracemalloc adds tens of bytes to every block that stays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import marshal
from dataclasses import dataclass
from pathlib import Path

from soak.analysis.series import SeriesJudge
from soak.measurements import Reading
from soak.running.component.supervisor import RunContext, soak_component
from soak.settings import ComponentPlan
from soak.verdict import SeriesVerdict

FRAMES = 12
CYCLES = 4096
LONGEST_S = 6.0
_N_MIN = 1024


@dataclass(frozen=True)
class TracedLine:
    """Growth at one line between the two snapshots; ``size`` in bytes."""

    file: str
    line: int
    size: int
    blocks: int
    stack: tuple[tuple[str, int], ...]
    """(file, line) of the largest part of it, innermost first."""


@dataclass(frozen=True)
class Trace:
    """What the second pass showed."""

    frames: int
    iterations: int
    """Cycles between the two snapshots; 0 when they were not taken."""
    top: tuple[TracedLine, ...]
    bytes_per_iteration: SeriesVerdict | None
    """Growth of all that tracemalloc sees: requested bytes per cycle."""


def trace_growth(plan: ComponentPlan, context: RunContext, file: Path) -> Trace:
    """Run the second pass; the raw snapshots stay in ``file`` (the last) and ``file``.baseline (the first)."""
    readings: list[Reading] = []
    second = dataclasses.replace(
        plan, iterations=CYCLES, budget_s=LONGEST_S, early_stop=False, n_min=None, interval_s=plan.interval_s
    )
    soak_component(second, context, on_readings=readings.extend, tracemalloc_frames=FRAMES, tracemalloc_file=file)
    iterations, lines = _read_top(file.with_name(f"{file.name}.top"))
    return Trace(FRAMES, iterations, lines, _judge_traced(readings))


def _read_top(file: Path) -> tuple[int, tuple[TracedLine, ...]]:
    with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
        iterations, top = marshal.loads(file.read_bytes())
        file.unlink()
        return iterations, tuple(
            TracedLine(path, line, size, blocks, tuple(map(tuple, stack))) for path, line, size, blocks, stack in top
        )
    return 0, ()


def _judge_traced(readings: list[Reading]) -> SeriesVerdict | None:
    """Judge the traced total; after the first snapshot, which itself leaves a few objects behind."""
    judge = SeriesJudge(1.0, _N_MIN)
    for reading in readings:
        if "traced" in reading.values:
            judge.add(reading.cycle, reading.values["traced"])
    verdict = judge.finish()
    return verdict if verdict.rate is not None else None
