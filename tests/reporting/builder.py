"""Builds results and readings of imaginary runs, with just the fields that a test needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from soak.grounds import Ground, GroundKind
from soak.measurements import SIGNALS, Reading
from soak.results import (
    Blank,
    Cause,
    ComponentResult,
    Controls,
    Failure,
    Growth,
    Pacing,
    Part,
    Parts,
    Place,
    RunResult,
    SignalResult,
    Spike,
    TracemallocLine,
    TracemallocResult,
    TrackerState,
)
from soak.verdict import SeriesState, Verdict

MIB = 2.0**20
_STATES = {
    Verdict.LEAK: SeriesState.STEADY,
    Verdict.CLEAN: SeriesState.FLAT,
    Verdict.SETTLING: SeriesState.SLOWING,
    Verdict.INCONCLUSIVE: SeriesState.UNDECIDED,
}


def a_component(name: str = "decoder", **changes: Any) -> ComponentResult:
    """Give a CLEAN component; ``changes`` replace its fields."""
    clean = ComponentResult(
        name=name,
        target=f"standalone_tests/drive_{name}.py",
        verdict=Verdict.CLEAN,
        decided_by="counter:heap",
        iterations=20_480,
        seconds=8.5,
        iterations_to_verdict=16_384,
        seconds_to_verdict=6.8,
        since=None,
        needed_iterations=None,
        n_min=16_384,
        stopped_by="verdict",
        gate=True,
        growth=growth(0.0, -0.02, 0.21),
        signals={
            "heap": signal("heap", 0.0, -0.02, 0.21, decided_at=16_384),
            "python_blocks": signal("python_blocks", 0.0, 0.0, 0.002, decided_at=16_384),
            "fds": signal("fds", 0.0, 0.0, 0.0, decided_at=16_384),
            "rss": signal("rss", 0.3, -0.4, 0.9, verdict=Verdict.INCONCLUSIVE, decided_at=16_384),
        },
        causes=(),
        tracemalloc=None,
        tracker=TrackerState(active=True, reason=None, covers=("native", "python")),
        pacing=Pacing(interval_s=None, mean_period_s=415e-6, missed_deadlines=0, worst_lag_s=0.0),
        failure=None,
        messages=(),
        checkpoints=160,
        checkpoint_share=0.021,
        python="3.11.4",
        grounds=(Ground(GroundKind.NO_GROWTH, ("heap", "python_blocks", "fds")),),
    )
    return dataclasses.replace(clean, **changes)


def a_leak(name: str = "numpy_conversion", **changes: Any) -> ComponentResult:
    """Give a component that leaks 106 requested, 128 allocated bytes per cycle, with everything known about it."""
    leaking = a_component(
        name,
        verdict=Verdict.LEAK,
        decided_by="counter:heap",
        grounds=(Ground(GroundKind.STEADY_MEMORY, ("heap",)),),
        since=4_096,
        growth=growth(128.0, 127.9, 128.1, requested=106.0),
        signals={
            "heap": signal("heap", 128.0, 127.9, 128.1, verdict=Verdict.LEAK, since=4_096, decided_at=16_384),
            "python_blocks": signal("python_blocks", 0.0, 0.0, 0.002, decided_at=16_384),
            "rss": signal("rss", 121.0, 80.0, 160.0, verdict=Verdict.INCONCLUSIVE, decided_at=16_384),
        },
        causes=(a_cause(),),
        tracemalloc=TracemallocResult(
            frames=10,
            iterations=2_000,
            top=(
                TracemallocLine("decoder/conversion.py", 42, 106.0, 1.0),
                TracemallocLine("decoder/header.py", 17, 0.2, 0.0),
            ),
        ),
    )
    return dataclasses.replace(leaking, **changes)


def a_cause(**changes: Any) -> Cause:
    """Give a confirmed, lost native cause of 106 bytes per call."""
    lost = Cause(
        kind="native",
        confirmed=True,
        state="lost",
        fingerprint="9f2c41d07a",
        bytes_per_iteration=106.0,
        blocks_per_iteration=1.0,
        requested_size=106,
        every=1.0,
        since=1,
        where=Place("PyArray_NewFromDescr", None, None, "_multiarray_umath.so", "numpy 2.3.1"),
        python_where=Place("to_numpy", "decoder/conversion.py", 42),
        frames=(
            Place("malloc", None, None, "libc.so.6"),
            Place("PyArray_NewFromDescr", None, None, "_multiarray_umath.so"),
            Place("to_numpy", "decoder/conversion.py", 42),
        ),
    )
    return dataclasses.replace(lost, **changes)


def a_failure(name: str = "decompressor", **changes: Any) -> ComponentResult:
    """Give a component whose driver raised in cycle 7."""
    failed = a_component(
        name,
        verdict=Verdict.FAILED,
        grounds=(Ground(GroundKind.DRIVER_FAILED), Ground(GroundKind.NOTHING_READ)),
        decided_by=None,
        iterations=6,
        seconds=0.03,
        iterations_to_verdict=None,
        seconds_to_verdict=None,
        growth=None,
        signals={},
        stopped_by="failure",
        checkpoints=1,
        failure=Failure(
            phase="cycle",
            cycle=7,
            reason="exception",
            detail="decoder.errors.DecodeError: appendedFrameSize at offset 184 is 12, expected 4,177,920",
            stack=(
                'File "standalone_tests/drive_decompressor.py", line 21, in cycle',
                'File "decoder/decompressor.py", line 88, in decompress',
            ),
        ),
        output_tail="frame 5 ok\nframe 6 ok\n",
    )
    return dataclasses.replace(failed, **changes)


def an_undecided(name: str = "get", **changes: Any) -> ComponentResult:
    """Give an INCONCLUSIVE component that needs 12,000 more cycles."""
    undecided = a_component(
        name,
        verdict=Verdict.INCONCLUSIVE,
        grounds=(Ground(GroundKind.UNDECIDED, ("rss",)),),
        decided_by=None,
        iterations=4_000,
        needed_iterations=12_000,
        iterations_to_verdict=None,
        seconds_to_verdict=None,
        stopped_by="budget",
    )
    return dataclasses.replace(undecided, **changes)


def a_settling(name: str = "cache", **changes: Any) -> ComponentResult:
    """Give a SETTLING component."""
    settling = a_component(
        name,
        verdict=Verdict.SETTLING,
        grounds=(Ground(GroundKind.SLOWING, ("heap",)),),
        growth=growth(12.0, 8.0, 16.0),
        needed_iterations=61_440,
        stopped_by="budget",
    )
    return dataclasses.replace(settling, **changes)


def growth(rate: float, low: float, high: float, *, requested: float | None = None, signal: str = "heap") -> Growth:
    """Give a growth as its signal counts it."""
    unit = SIGNALS[signal].unit
    in_bytes = unit == "bytes"
    return Growth(
        signal=signal,
        measures="allocated" if in_bytes else None,
        bytes_per_iteration=rate if in_bytes else None,
        low=low,
        high=high,
        requested_bytes_per_iteration=requested,
        allocated_bytes_per_iteration=rate if in_bytes else None,
        unit=unit,
        per_iteration=rate,
    )


def signal(
    name: str,
    rate: float | None,
    low: float | None,
    high: float | None,
    *,
    verdict: Verdict = Verdict.CLEAN,
    **changes: Any,
) -> SignalResult:
    """Give one signal's judgement."""
    known = SIGNALS[name]
    return SignalResult(
        unit=known.unit,
        per_iteration=rate,
        low=low,
        high=high,
        verdict=verdict,
        role=str(known.role),
        state=_STATES[verdict],
        tolerance=1.0,
        **changes,
    )


def controls(**blank: Any) -> Controls:
    """Give controls that passed; ``blank`` replaces fields of the blank."""
    passed = Blank(
        ok=True, limit_of_detection_bytes=0.04, rate=0.0, low=-0.01, high=0.01, iterations=50_000, detail="flat"
    )
    return Controls(
        blank=dataclasses.replace(passed, **blank),
        spike=Spike(
            ok=True,
            planted_requested=106,
            planted_allocated=128,
            recovered_requested=106.0,
            recovered_allocated=128.0,
            iterations=50_000,
            detail="recovered",
        ),
    )


def parts() -> Parts:
    """Give a sum of parts that explains the full cycle."""
    return Parts(
        sum=106.0,
        full_cycle=106.1,
        unexplained=0.1,
        low=-0.5,
        high=0.7,
        each=(
            Part("get", 0.0, -0.3, 0.3),
            Part("decompressor", 0.0, -0.2, 0.2),
            Part("numpy_conversion", 106.0, 105.6, 106.4),
        ),
    )


def a_run(*components: ComponentResult, **changes: Any) -> RunResult:
    """Give a finished run of these components with controls that passed."""
    run = RunResult(
        schema=1,
        run="20250301-190000",
        folder="reports/20250301-190000",
        started="2025-03-01T19:00:00+01:00",
        finished="2025-03-01T19:01:00+01:00",
        soak="0.1.0",
        environment={"platform": "Linux x86_64", "python": "3.11.4", "allocator": "glibc 2.36", "processors": 2},
        settings={"command": ["soak", "run", "standalone_tests"], "tolerance": "1B", "budget": "60s"},
        controls=controls(),
        parts=None,
        components=components,
    )
    return dataclasses.replace(run, **changes)


def readings(
    count: int = 160,
    *,
    every: int = 128,
    rate: float = 0.0,
    noise: float = 64.0,
    period_s: float = 415e-6,
    seed: int = 1,
) -> list[Reading]:
    """Give a series of checkpoints whose heap grows by ``rate`` bytes per cycle, with RSS following in pages.

    RSS stays flat until the growth has used up 1 MiB of free heap, as it does under glibc.
    """
    random = np.random.default_rng(seed)
    cycles = np.arange(count) * every
    heap = 5 * MIB + rate * cycles + 16 * np.floor(random.random(count) * noise / 16)
    free = np.maximum(0.2 * MIB, MIB - rate * cycles)
    rss = 4096 * np.floor((24 * MIB + heap + free) / 4096)
    return [
        Reading(
            cycle=int(cycles[i]),
            at_s=float(cycles[i] * period_s),
            values={
                "threads": 1.0,
                "fds": 6.0,
                "heap": float(heap[i]),
                "heap_free": float(free[i]),
                "python_blocks": 41_250.0,
                "rss": float(rss[i]),
            },
        )
        for i in range(count)
    ]


def sawtooth(count: int = 8_000, *, every: int = 54, period: int = 40_000, height: float = 3 * MIB) -> list[Reading]:
    """Give the series of a long clean run: a cache that fills to 400 kB, and a sawtooth of garbage."""
    return [
        dataclasses.replace(
            reading,
            at_s=reading.cycle * 0.1,
            values=reading.values
            | {
                name: reading.values[name]
                + 400e3 * (1 - np.exp(-reading.cycle / 20_000))
                + height * (reading.cycle % period) / period
                for name in ("heap", "rss")
            },
        )
        for reading in readings(count, every=every)
    ]


def from_table(table: dict[str, Sequence[Reading]]) -> Callable[[str], Sequence[Reading]]:
    """Give the readings of each component from a table; none for a component that it lacks."""
    return lambda component: table.get(component, ())
