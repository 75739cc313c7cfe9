"""What a figure draws of a series: its readings thinned, the windows a verdict rests on, the fitted line.

Pure functions of arrays; no drawing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from soak.measurements import SIGNALS, Reading, Role
from soak.results import ComponentResult, SignalResult
from soak.verdict import Verdict

Array = NDArray[np.float64]

_FALLBACKS = ("heap", "python_blocks", "rss")


@dataclass(frozen=True)
class Series:
    """One signal's readings: ``cycles`` and ``values``, both (n,) float64, in order, all finite, n >= 1."""

    cycles: Array
    values: Array

    @property
    def change(self) -> Series:
        """The same readings as change since the first."""
        return Series(self.cycles, self.values - self.values[0])


@dataclass(frozen=True)
class DrawnWindows:
    """The stretches of cycles a verdict rests on: ``start`` to ``middle`` the older, ``middle`` to ``end`` the newer.

    ``start`` equals ``middle`` where the verdict rests on one window only.
    """

    start: float
    middle: float
    end: float


def series_of(readings: Sequence[Reading], signal: str) -> Series | None:
    """Collect one signal's finite readings, or None when it has none."""
    pairs = [(reading.cycle, reading.values[signal]) for reading in readings if signal in reading.values]
    if not pairs:
        return None
    table = np.array(pairs, dtype=np.float64)
    table = table[np.isfinite(table[:, 1])]
    return Series(table[:, 0], table[:, 1]) if len(table) else None


def thin(series: Series, points: int) -> Series:
    """Keep at most ``points`` readings such that every peak and trough stays: the extremes of equal runs of readings.

    A series that has no more readings than that is returned as it is. The first and the last reading always stay.
    """
    count = len(series.values)
    if count <= points:
        return series
    edges = np.linspace(0, count, max(1, (points - 2) // 2) + 1).astype(int)
    keep = {0, count - 1}
    for first, last in itertools.pairwise(edges.tolist()):
        run = series.values[first:last]
        keep.update((first + int(run.argmin()), first + int(run.argmax())))
    index = np.array(sorted(keep))
    return Series(series.cycles[index], series.values[index])


def telling_signal(component: ComponentResult, readings: Sequence[Reading], tolerance_bytes: float) -> str | None:
    """Name the signal whose series shows best what was found, among those that were read; None when there is none.

    That is the one the verdict rests on; where it rests on a ledger, which has no series, the malloc heap. Where
    nothing is decided it is the first, in the order in which signals explain, that rose by more than its tolerance
    allows after the first half, so that a warm-up does not count; else the malloc heap.
    """
    read = {name for reading in readings for name in reading.values}
    named = [component.growth.signal] if component.growth is not None else []
    named.append((component.decided_by or "").removeprefix("counter:"))
    if component.verdict in (Verdict.FAILED, Verdict.INCONCLUSIVE):
        named = [
            name
            for name, signal in SIGNALS.items()
            if signal.role is Role.DECIDES and name in read and _rose(readings, name, tolerance_bytes)
        ]
    return next((name for name in (*named, *_FALLBACKS, *SIGNALS, *sorted(read)) if name in read), None)


def tolerance_of(name: str, cycles: float, tolerance_bytes: float) -> float | None:
    """Give the growth per cycle that a signal may show over ``cycles`` cycles, in its unit; None if none is set."""
    signal = SIGNALS.get(name)
    if signal is None or (signal.tolerance is None and signal.unit != "bytes"):
        return None
    if signal.tolerance is None:
        return tolerance_bytes
    return signal.tolerance(cycles) if callable(signal.tolerance) else signal.tolerance


def _rose(readings: Sequence[Reading], name: str, tolerance_bytes: float) -> bool:
    series = series_of(readings, name)
    if series is None:
        return False
    middle = len(series.values) // 2
    cycles = float(series.cycles[-1] - series.cycles[middle])
    allowed = max((tolerance_of(name, cycles, tolerance_bytes) or 0.0) * cycles, SIGNALS[name].grain)
    return bool(series.values[-1] - series.values[middle] > allowed)


def windows_of(signal: SignalResult | None, last_cycle: float) -> DrawnWindows:
    """Find the windows that a signal's verdict rests on (docs/verdict.md: O = (n-1.5w, n-w], N = (n-w, n]).

    n is the look that found the leak, of any other verdict the latest, else the end of the series. A leak that shows
    at a finer scale has shorter windows; its ``since`` tells which. CLEAN rests on the newer half alone.
    """
    looked_at = None if signal is None else signal.decided_at
    if signal is not None and signal.verdict is not Verdict.LEAK:
        looked_at = signal.judged_at or looked_at
    end = min(float(looked_at), last_cycle) if looked_at else last_cycle
    scale = 1
    if signal is not None and signal.verdict is Verdict.LEAK and signal.since is not None and 0 <= signal.since < end:
        scale = min(3, max(1, round(math.log2(1.5 * end / (end - signal.since)))))
    width = end / 2**scale
    clean = signal is not None and signal.verdict is Verdict.CLEAN
    return DrawnWindows(end - width if clean else end - 1.5 * width, end - width, end)


def level_at_zero(series: Series, rate: float, windows: DrawnWindows) -> float:
    """Place a line of slope ``rate`` on the series: its level at cycle 0.

    The line runs through the troughs of the newer window, as the rule's rate does, so that a sawtooth or what waits
    for garbage collection does not lift it.
    """
    inside = (series.cycles > windows.middle) & (series.cycles <= windows.end)
    residual = (series.values - rate * series.cycles)[inside if inside.any() else slice(None)]
    lowest = sorted(float(block.min()) for block in np.array_split(residual, min(8, len(residual))))
    # np.median would import numpy.ma.
    return (lowest[(len(lowest) - 1) // 2] + lowest[len(lowest) // 2]) / 2
