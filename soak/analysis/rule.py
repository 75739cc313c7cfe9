"""Steady doubling windows: the rule that judges a series at one look.

A look after n cycles needs the 128 equal parts of the cycles (0, n] only: their minima (troughs), and how much the
series climbs from one reading to the next in them.
Everything here works on many runs at once, so that what ``benchmarks/calibrate.py`` measures on thousands of
simulated runs is the code that judges one real run. ``docs/verdict.md`` tells the same story for users.

    scale 1   older (n/4, n/2]        newer (n/2, n]        w = n/2
    scale 2   older (5n/8, 3n/4]      newer (3n/4, n]       w = n/4
    scale 3   older (13n/16, 7n/8]    newer (7n/8, n]       w = n/8

Scale 1 shows growth that has been there for most of the run, 2 and 3 growth that began late in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Scalar = TypeVar("Scalar", np.float64, np.int64)

PARTS = 128
"""A look divides its n cycles into this many equal parts: the finest block of the finest scale."""
BLOCKS = 8
"""Every window is eight equal blocks, one trough each."""
SCALES = 3
MIN_READINGS_PER_BLOCK = 2
WIDENING = 4.0
"""How far an interval reaches beyond the smallest and largest slope, in their own distances from the median."""
ONE_RATE = 0.8
"""Rates, levels: "the same" means within this factor either way."""
FINE_SCALE_SPAN = 0.74
"""A fine scale must span this much of n_min, or the ramp of a bounded cache would fit into it."""
MOST_DOUBLINGS = 10
"""Forecasts stop here: further than 1,023 times the present length nothing is promised."""

_EARLIER, _LATER = np.triu_indices(BLOCKS, k=BLOCKS // 2)
"""The ten pairs of blocks at least half a window apart."""


class LookOutcome(IntEnum):
    """What one look found. The last four are all INCONCLUSIVE, for different reasons."""

    LEAK = 0
    CLEAN = 1
    SETTLING = 2
    TOO_FEW = 3
    """Some block of the first scale holds fewer than two readings."""
    EARLY = 4
    """n_min is not reached."""
    UNSTEADY = 5
    """Growing above the tolerance, not (yet) at one rate."""
    UNDECIDED = 6
    """The interval of the rate reaches above the tolerance."""


@dataclass(frozen=True)
class RunParts:
    """What a look knows of the readings in the 128 equal parts of its cycles, in time order.

    ``climbed / climbs`` is the mean rise between a reading and the next, over those that rise.
    """

    minima: FloatArray
    """``(runs, 128)``: the smallest value, inf where a part holds no reading."""
    at: FloatArray
    """``(runs, 128)``: the cycle at which it was read first."""
    readings: IntArray
    """``(128,)``, the same for all runs."""
    climbed: FloatArray
    """``(runs, 128)``: the sum of all rises from one reading to the next."""
    climbs: IntArray
    """``(runs, 128)``: how many of those there were."""


@dataclass(frozen=True)
class Look:
    """What a look found in each run; all arrays are ``(runs,)`` and float64 unless said otherwise."""

    n: float
    """The cycles looked at: the last ``n`` before cycle ``end``."""
    end: float
    tolerance: float
    finding: IntArray
    """Values of `LookOutcome`, int64."""
    rate: FloatArray
    """Growth per cycle; NaN if there were too few readings."""
    low: FloatArray
    high: FloatArray
    since: FloatArray
    """LEAK: the cycle since which growth is steady at the latest; else NaN."""
    needed: FloatArray
    """Cycles beyond ``end`` that would decide; NaN for LEAK and CLEAN."""


@dataclass(frozen=True)
class Fit:
    """The slopes of windows, all of one shape: median, smallest and largest, per cycle."""

    rate: FloatArray
    least: FloatArray
    most: FloatArray

    @property
    def low(self) -> FloatArray:
        """The lower end of the rate's interval."""
        return self.rate - WIDENING * (self.rate - self.least)

    @property
    def high(self) -> FloatArray:
        """The upper end of the rate's interval."""
        return self.rate + WIDENING * (self.most - self.rate)


def look(
    parts: RunParts,
    *,
    n: float,
    tolerance: float,
    n_min: float,
    grain: float = 0.0,
    end: float | None = None,
) -> Look:
    """Judge every run by the parts of the cycles ``(end - n, end]``.

    ``tolerance`` is per cycle; ``grain`` is the resolution of the counter in its own unit; ``end`` is ``n`` unless
    the first cycles are left out. Does not raise.
    """
    end = n if end is None else end
    scales = usable_scales(parts.readings, n=n, n_min=n_min)
    if scales == 0:
        return _too_few(parts, n=n, end=end, tolerance=tolerance, n_min=n_min)

    windows = _windows_of(parts, n, scales)
    grows: BoolArray = np.all(windows.steady.low > tolerance, axis=2)
    leaks = grows & _keeps_one_rate(windows) & (n >= n_min)
    bound = windows.whole_newer.high + 2 * grain / (n / 2)
    finding = _findings(windows, grows, leaks, bound, tolerance=tolerance, reached=n >= n_min)

    leak, clean, scale = finding == LookOutcome.LEAK, finding == LookOutcome.CLEAN, leaks.argmax(axis=1)
    leak_rate, leak_low, leak_high = _leak_interval(windows, scale, grain)
    return Look(
        n=n,
        end=end,
        tolerance=tolerance,
        finding=finding,
        rate=np.where(leak, leak_rate, windows.whole_newer.rate),
        low=np.where(leak, leak_low, windows.whole_newer.low),
        high=np.where(leak, leak_high, np.where(clean, bound, windows.whole_newer.high)),
        since=np.where(leak, end - 1.5 * windows.widths[scale], np.nan),
        needed=_cycles_needed(finding, windows, n=n, end=end, tolerance=tolerance, n_min=n_min, grain=grain),
    )


@dataclass(frozen=True)
class Windows:
    """What the conditions are asked of: the two windows of each scale."""

    widths: FloatArray
    """``(scales,)``: the newer window's cycles; the older one has half as many."""
    troughs: FloatArray
    """``(runs, scales, 2, 8)``: older and newer, nothing set aside."""
    steady: Fit
    """``(runs, scales, 2)``, with one step up set aside in each window."""
    whole_older: Fit
    """``(runs,)``: the window (n/4, n/2], nothing set aside."""
    whole_newer: Fit
    """``(runs,)``: the window (n/2, n], nothing set aside."""
    first_rate: FloatArray
    """``(runs,)``: the rate of (n/4, n/2], or what it is with one step down set aside, if that is more."""
    climb: FloatArray
    """``(runs, scales)``, see `_climb_above_rate`."""


def _windows_of(parts: RunParts, n: float, scales: int) -> Windows:
    widths = np.array([n / 2**scale for scale in range(1, scales + 1)])
    troughs, at = _troughs(parts, scales)
    older, older_at = troughs[:, 0, 0], at[:, 0, 0]
    steady = fit_windows(set_aside_step(troughs), at)
    return Windows(
        widths=widths,
        troughs=troughs,
        steady=steady,
        whole_older=fit_windows(older, older_at),
        whole_newer=fit_windows(troughs[:, 0, 1], at[:, 0, 1]),
        first_rate=np.maximum(steady.rate[:, 0, 0], fit_windows(-set_aside_step(-older), older_at).rate),
        climb=_climb_above_rate(parts, steady.rate[..., 1], widths),
    )


def _findings(
    windows: Windows, grows: BoolArray, leaks: BoolArray, bound: FloatArray, *, tolerance: float, reached: bool
) -> IntArray:
    """Choose each run's `LookOutcome`; what is assigned later takes precedence."""
    older, newer = windows.whole_older, windows.whole_newer
    growing: BoolArray = np.any(grows, axis=1)
    slows = (newer.rate > tolerance) & (newer.most < older.least) & (newer.rate < ONE_RATE * older.rate)

    finding = np.full(len(bound), LookOutcome.UNDECIDED if reached else LookOutcome.EARLY, dtype=np.int64)
    if reached:
        finding[growing | (newer.low > tolerance)] = LookOutcome.UNSTEADY
    finding[slows] = LookOutcome.SETTLING
    if reached:
        finding[(bound < tolerance) & ~growing] = LookOutcome.CLEAN
    finding[np.any(leaks, axis=1)] = LookOutcome.LEAK
    return finding


def _leak_interval(windows: Windows, scale: IntArray, grain: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the rate and interval of each run at its scale ``(runs,)``: the hull of both windows' intervals.

    And of the newer one's as it would be after one more change of the rate like that between them: beside a cache
    that still fills, what stays is less than what either window grows by. It is never narrower than what the counter
    and the readings resolve over half the newer window.
    """
    run, steady = np.arange(len(scale)), windows.steady
    rate = steady.rate[run, scale, 1]
    change = rate - steady.rate[run, scale, 0]
    resolved = np.maximum(windows.climb[run, scale], grain) / (windows.widths[scale] / 2)
    lows, highs = steady.low[run, scale], steady.high[run, scale]
    low = np.minimum(lows.min(axis=1), np.minimum(lows[:, 1] + change, rate - resolved))
    high = np.maximum(highs.max(axis=1), np.maximum(highs[:, 1] + change, rate + resolved))
    return rate, low, high


def usable_scales(readings: IntArray, *, n: float, n_min: float) -> int:
    """How many of the scales 1, 2, 3 may be used: enough readings in every block, wide enough for n_min."""
    usable = 0
    for scale in range(1, SCALES + 1):
        wide_enough = scale == 1 or 1.5 * n / 2**scale >= FINE_SCALE_SPAN * n_min
        older, newer = _cut(readings, scale)
        if not wide_enough or min(older.sum(axis=-1).min(), newer.sum(axis=-1).min()) < MIN_READINGS_PER_BLOCK:
            break
        usable = scale
    return usable


def set_aside_step(troughs: FloatArray) -> FloatArray:
    """Replace one outstanding upward step of each window by the window's median step.

    ``troughs`` is ``(..., 8)``; the result has the same shape. A lazy import or a resized dict is one step up.
    Steps down stay: without them a sawtooth would be a leak.
    """
    steps = np.diff(troughs)
    typical = _median(steps)
    scatter = _median(np.abs(steps - typical[..., None]))
    excess = steps.max(axis=-1) - typical
    excess = np.where(excess > np.maximum(3 * scatter, np.abs(typical)), excess, 0.0)
    after = np.arange(BLOCKS) > steps.argmax(axis=-1)[..., None]
    lowered: FloatArray = troughs - excess[..., None] * after
    return lowered


def fit_windows(troughs: FloatArray, at: FloatArray) -> Fit:
    """Fit windows of eight troughs ``(..., 8)``, read at cycles of the same shape.

    The slopes are those of the ten pairs of blocks at least half a window apart.
    """
    rises = troughs[..., _LATER] - troughs[..., _EARLIER]
    slopes: FloatArray = np.sort(rises / (at[..., _LATER] - at[..., _EARLIER]), axis=-1)
    return Fit(rate=_middle(slopes), least=slopes[..., 0], most=slopes[..., -1])


def _keeps_one_rate(windows: Windows) -> BoolArray:
    """Whether each scale ``(runs, scales)`` grows at one rate: in both windows, over the run and between windows.

    In this order, the conditions stop what changes its rate; growth like log n and sqrt n; a sawtooth whose period
    happens to fit the windows (by the levels, with nothing set aside); a sawtooth whose period is nearly a multiple
    of the spacing of the readings, so that they creep up its slope, by no more than one reading's climb; and a
    cache that filled within the newer window, steep for a few blocks and flat for the others.
    """
    older, newer = windows.steady.rate[..., 0], windows.steady.rate[..., 1]
    middle_step = _median(np.diff(windows.troughs[..., 1, :]))
    level_rise = _median(windows.troughs[..., 1, :]) - _median(windows.troughs[..., 0, :])
    return (
        (newer >= ONE_RATE * older)
        & (newer * ONE_RATE <= older)
        & (newer >= ONE_RATE * windows.first_rate[:, None])
        & (level_rise >= ONE_RATE * newer * 0.75 * windows.widths)
        & (level_rise >= windows.climb)
        & (middle_step >= ONE_RATE * newer * windows.widths / BLOCKS)
    )


def _climb_above_rate(parts: RunParts, rate: FloatArray, widths: FloatArray) -> FloatArray:
    """Return by how much more than ``rate`` explains readings rise, where they do, in both windows of each scale.

    The mean over the rises from one reading to the next, ``(runs, scales)`` and at least 0: how far below a reading
    the series may have been between two of them, and so how exactly a trough is known.
    """
    spans = [slice(PARTS - PARTS // 2**scale * 3 // 2, None) for scale in range(1, len(widths) + 1)]
    climbed = np.stack([parts.climbed[:, span].sum(axis=1) for span in spans], axis=1)
    climbs = np.stack([parts.climbs[:, span].sum(axis=1) for span in spans], axis=1)
    spacing = 1.5 * widths / np.array([parts.readings[span].sum() for span in spans])
    above: FloatArray = np.maximum(climbed / np.maximum(climbs, 1) - rate * spacing, 0)
    return above


def _cycles_needed(
    finding: IntArray, windows: Windows, *, n: float, end: float, tolerance: float, n_min: float, grain: float
) -> FloatArray:
    """How many more cycles would decide, ``(runs,)``: to n_min, or by doubling n until the interval decides."""
    older, newer = windows.whole_older, windows.whole_newer
    settling = finding == LookOutcome.SETTLING
    rate, rate_before = np.where(settling, newer.rate, tolerance), np.where(settling, older.rate, 2 * tolerance)
    until_slow = _doubled(n, np.log(tolerance / rate) / np.log(rate / rate_before))

    tiny = np.finfo(np.float64).tiny
    half_width, distance = np.maximum((newer.high - newer.low) / 2, tiny), np.abs(newer.rate - tolerance)
    until_narrow = _doubled(n, np.log2(half_width) - np.log2(np.maximum(distance, tiny)))
    margin = tolerance - newer.high
    enough = 4 * grain / np.maximum(margin, 4 * grain / (n * 2**MOST_DOUBLINGS) + tiny)
    # What is assigned later takes precedence.
    needed = np.where(margin > 0, enough - n, until_narrow)
    needed[finding == LookOutcome.UNSTEADY] = n
    needed[finding == LookOutcome.EARLY] = n_min - end
    needed = np.where(settling, np.maximum(until_slow, n_min - end), needed)
    return np.where(finding <= LookOutcome.CLEAN, np.nan, np.maximum(needed, 1.0))


def _doubled(n: float, doublings: FloatArray) -> FloatArray:
    """Return the cycles to add to n for so many doublings, rounded up to at least one and at most ten."""
    return n * (2.0 ** np.clip(np.ceil(doublings), 1, MOST_DOUBLINGS) - 1)


def _too_few(parts: RunParts, *, n: float, end: float, tolerance: float, n_min: float) -> Look:
    """Say that nothing can be said, and how many cycles fill the blocks at the present spacing."""
    runs = len(parts.minima)
    unknown = np.full(runs, np.nan)
    smallest_blocks = 4 * BLOCKS  # in n, at scale 1
    times_longer = max(MIN_READINGS_PER_BLOCK * smallest_blocks / max(int(parts.readings.sum()), 1), 2.0)
    needed = np.full(runs, max(n_min - end, n * (times_longer - 1)))
    finding = np.full(runs, LookOutcome.TOO_FEW, dtype=np.int64)
    return Look(n, end, tolerance, finding, unknown, unknown, unknown, unknown, needed)


def lowest(minima: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the smallest of the last axis and the cycle it was read at; the first one where several are equal."""
    shape = minima.shape
    # By flat indices: for a handful of values several times faster than numpy's take_along_axis.
    first = minima.argmin(axis=-1).ravel() + np.arange(0, minima.size, shape[-1])
    return minima.ravel()[first].reshape(shape[:-1]), at.ravel()[first].reshape(shape[:-1])


def _troughs(parts: RunParts, scales: int) -> tuple[FloatArray, FloatArray]:
    """Return the troughs ``(runs, scales, 2, 8)`` of the older and newer windows, and the cycles they were read at."""
    found = [
        lowest(minima, at)
        for scale in range(1, scales + 1)
        for minima, at in zip(_cut(parts.minima, scale), _cut(parts.at, scale), strict=True)
    ]
    troughs, cycles = (np.stack(windows, axis=1) for windows in zip(*found, strict=True))
    shape = (len(parts.minima), scales, 2, BLOCKS)
    return troughs.reshape(shape), cycles.reshape(shape)


def _cut(parts: npt.NDArray[Scalar], scale: int) -> tuple[npt.NDArray[Scalar], ...]:
    """Cut parts ``(..., 128)`` into the older and newer window of a scale, each ``(..., 8, parts per block)``."""
    width = PARTS // 2**scale
    older = parts[..., PARTS - width * 3 // 2 : PARTS - width]
    newer = parts[..., PARTS - width :]
    return tuple(window.reshape(*window.shape[:-1], BLOCKS, -1) for window in (older, newer))


def _median(values: FloatArray) -> FloatArray:
    """Return the median over the last axis; for a handful of values ten times faster than numpy's."""
    return _middle(np.sort(values, axis=-1))


def _middle(ascending: FloatArray) -> FloatArray:
    count = ascending.shape[-1]
    middle: FloatArray = (ascending[..., (count - 1) // 2] + ascending[..., count // 2]) / 2
    return middle
