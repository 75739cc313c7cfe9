"""The controls of every run: a blank (nothing grows) and a spike (a planted leak of known size)."""

from __future__ import annotations

from dataclasses import replace

from soak.measurements import SIGNALS
from soak.results import Blank, Controls, Spike
from soak.running.supervisor import Course, Supervisor, Surroundings
from soak.settings import ComponentPlan, Injection
from soak.targets import EMPTY
from soak.units import format_number

PLANTED_BYTES = 106
RECOVERED_WITHIN = 0.02
BLANK_RATE_BYTES = 0.05
_ITERATIONS = 16384
_N_MIN = 2048
_CHUNK_ALIGNMENT, _CHUNK_HEADER = 16, 8


def allocated_bytes(requested: int) -> int:
    """Return the size of the chunk glibc's malloc takes for a request on a 64-bit machine: 128 for 105 to 120."""
    return max(32, -(-(requested + _CHUNK_HEADER) // _CHUNK_ALIGNMENT) * _CHUNK_ALIGNMENT)


def run_controls(surroundings: Surroundings) -> Controls:
    """Measure both controls, each in a fresh process; about half a second in all."""
    plan = ComponentPlan(
        target=EMPTY,
        interval_s=0.0,
        iterations=_ITERATIONS,
        budget_s=None,
        full_budget=True,
        early_stop=False,
        tolerance_bytes=1.0,
        n_min=_N_MIN,
        checkpoint_every=_N_MIN // 32,
        cycle_timeout_s=60.0,
        max_rss_bytes=None,
        gate=True,
        settings={},
        injection=None,
    )
    blank = Supervisor(plan, surroundings).run()
    spike = Supervisor(replace(plan, injection=Injection("native", PLANTED_BYTES)), surroundings).run()
    return Controls(_judge_blank(blank), _judge_spike(spike))


def _judge_blank(course: Course) -> Blank:
    heap = course.judgement.series.get("heap")
    if course.failure is not None or heap is None or heap.rate is None or heap.low is None or heap.high is None:
        return Blank(False, None, None, None, None, course.iterations, _unmeasured(course))
    # Between two readings the counter resolves no less than its grain, over the half of the run that is compared.
    limit = max(abs(heap.low), abs(heap.high)) + 2 * SIGNALS["heap"].grain / (course.iterations / 2)
    others = [name for name, series in course.judgement.series.items() if series.verdict == "LEAK"]
    ok = abs(heap.rate) < BLANK_RATE_BYTES and not others
    detail = f"an empty cycle grows by {format_number(heap.rate)} B"
    if others:
        detail += f"; {', '.join(others)} grow"
    return Blank(ok, limit, heap.rate, heap.low, heap.high, course.iterations, detail)


def _judge_spike(course: Course) -> Spike:
    planted = allocated_bytes(PLANTED_BYTES)
    heap = course.judgement.series.get("heap")
    if course.failure is not None or heap is None or heap.rate is None:
        return Spike(False, PLANTED_BYTES, planted, None, None, course.iterations, _unmeasured(course))
    ok = heap.verdict == "LEAK" and abs(heap.rate - planted) <= RECOVERED_WITHIN * planted
    detail = f"{format_number(heap.rate)} B per cycle recovered of {planted} B planted, {heap.verdict.value}"
    tracked = course.judgement.series.get("tracked")
    requested = tracked.rate if tracked is not None else None
    if requested is not None:
        ok = ok and abs(requested - PLANTED_BYTES) <= RECOVERED_WITHIN * PLANTED_BYTES
        detail += f"; {format_number(requested)} B of {PLANTED_BYTES} B requested"
    return Spike(ok, PLANTED_BYTES, planted, requested, heap.rate, course.iterations, detail)


def _unmeasured(course: Course) -> str:
    if course.failure is not None:
        return f"the control's process failed: {course.failure.detail}"
    return "malloc's heap in use could not be read: no glibc, or an allocator in its place"
