"""The second pass of a component that grows: the same cycles under tracemalloc, in a process of its own.

Never in the run whose memory is judged: tracemalloc adds tens of bytes to every block that stays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import marshal
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from soak.analysis.series import SeriesJudge
from soak.measurements import Reading
from soak.running.component.observations import ComponentProgress, Observations
from soak.running.component.stopping import BESIDE_SHARE
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext
from soak.settings import ComponentPlan
from soak.verdict import SeriesVerdict

FRAMES = 12
CYCLES = 4096
LONGEST_S, _SHORTEST_S, _BUDGET_SHARE = 6.0, 2.0, 0.25
"""Its cycles take a quarter of the budget, within these."""
_FEWEST_CYCLES = 4
"""At least this many lie before and between the two snapshots; with fewer they show nothing."""
_SHORTEST_IN_ALL_S = 5.0
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


def cycles_s_of_second_pass(plan: ComponentPlan, first: Observations) -> float:
    """Return how long its cycles may take, 0 if too few of them fit into that. ``first``: of the first pass."""
    longest_s = LONGEST_S if plan.budget_s is None else min(LONGEST_S, max(_SHORTEST_S, _BUDGET_SHARE * plan.budget_s))
    cycle_s = first.seconds / first.iterations if first.iterations else math.inf
    return longest_s if _FEWEST_CYCLES * cycle_s <= longest_s else 0.0


def trace_growth(
    plan: ComponentPlan,
    context: RunContext,
    file: Path,
    *,
    cycles_s: float = LONGEST_S,
    on_progress: Callable[[ComponentProgress], None] = lambda _: None,
) -> Trace:
    """Run the second pass; the raw snapshots stay in ``file`` (the last) and ``file``.baseline (the first).

    ``cycles_s``: how long its cycles may take. With its setup and the snapshots it may take half of the budget, where
    that is a time, and is cut off then.
    """
    readings: list[Reading] = []
    second = dataclasses.replace(
        plan, iterations=CYCLES, budget_s=cycles_s, early_stop=False, n_min=None, interval_s=plan.interval_s
    )
    soak_component(
        second,
        context,
        on_readings=readings.extend,
        on_progress=on_progress,
        tracemalloc_frames=FRAMES,
        tracemalloc_file=file,
        longest_s=math.inf if plan.budget_s is None else max(_SHORTEST_IN_ALL_S, BESIDE_SHARE * plan.budget_s),
    )
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
