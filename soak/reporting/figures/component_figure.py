"""The figures of the series: those of a component, and the sum of the parts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from soak.measurements import SIGNALS, Reading
from soak.reporting.figures.plot import WIDTH, Box, Plot, figure
from soak.reporting.figures.series import (
    DrawnWindows,
    Series,
    level_at_zero,
    series_of,
    telling_signal,
    thin,
    tolerance_of,
    windows_of,
)
from soak.reporting.words import component_sentence, parts_sentence, printable, short_number
from soak.results import ComponentResult, Parts, SignalResult
from soak.units import format_count, format_size
from soak.verdict import Verdict

_LEFT, _RIGHT, _TOP, _BELOW = 58.0, 43.0, 48.0, 41.0
"""Margins in pixels, the same for all, so that the figures of a page stand in line."""
_DECISION_HEIGHT, _MEMORY_HEIGHT, _BETWEEN = 196.0, 118.0, 60.0
_LABEL_SHARE = 0.15
"""Of a figure's width, that a label in it takes."""
_FEW_READINGS = 40
"""Up to this many readings are drawn as dots on their line."""
_MEMORY_LINES = (
    ("rss", "ink", "resident (RSS)"),
    ("heap", "series", "heap in use"),
    ("heap_free", "free", "heap kept free"),
)
_BYTE_SCALES = ((2**30, 2**30, "GiB"), (2**20, 2**20, "MiB"), (2**10, 2**10, "KiB"), (0, 1, "B"))
_COUNT_SCALES = ((10**7, 10**6, "million "), (10**4, 10**3, "thousand "), (0, 1, ""))
"""From which value on an axis is labelled in which unit, so that no tick has more than four digits."""
_LEAST_MEMORY_SPAN_BYTES = 256 * 1024.0
"""Resident memory that moves by less than this looks flat, as it is."""
_DOTTED, _DASHED, _LONG_DASHED = "1.6,3.2", "4.3,3.2", "8.8,5.9"


def component_figure(
    component: ComponentResult,
    readings: Sequence[Reading],
    *,
    tolerance_bytes: float = 1.0,
    points: int = 600,
    prefix: str = "figure",
) -> str | None:
    """Draw the series that decided a component's verdict, and below it RSS and malloc's heap, as SVG text.

    Shown as change since the first reading, with the fitted rate, its interval as a fan, the windows it rests on, and
    the tolerance as a dotted line, so that what is flat looks flat. At most about ``points`` readings per line, peaks
    and troughs kept. None when nothing was read. ``prefix`` must be unique among the figures of one page.
    """
    name = telling_signal(component, readings, tolerance_bytes)
    series = None if name is None else series_of(readings, name)
    if name is None or series is None:
        return None
    memory = [(series_of(readings, signal), colour, label) for signal, colour, label in _MEMORY_LINES]
    lines = [(line.change, colour, label) for line, colour, label in memory if line is not None]
    every = [series, *(line for line, *_ in lines)]
    across = (min(float(one.cycles[0]) for one in every), max(float(one.cycles[-1]) for one in every))
    place = Box(_LEFT, _TOP, WIDTH - _LEFT - _RIGHT, _DECISION_HEIGHT)
    plots = [_Decision(name, series, component, tolerance_bytes).draw(place, across, f"{prefix}-clip", points)]
    if lines:
        place = Box(place.left, place.bottom + _BETWEEN, place.width, _MEMORY_HEIGHT)
        plots.append(_draw_memory(lines, place, across, f"{prefix}-clip-memory", points))
    plots[-1].label_across("cycle")
    return figure(plots, place.bottom + _BELOW, component_sentence(component))


def parts_figure(parts: Parts, *, prefix: str = "parts") -> str:
    """Draw each part's growth, their sum, the full cycle and what stays unexplained, with intervals, as SVG text."""
    rows: list[tuple[str, float, tuple[float, float] | None, str]] = [
        (printable(part.name), part.rate, (part.low, part.high), "series") for part in parts.each
    ]
    rows += [
        ("sum of the parts", parts.sum, None, "muted"),
        ("full cycle", parts.full_cycle, None, "ink"),
        ("unexplained", parts.unexplained, (parts.low, parts.high), "fit"),
    ]
    ends = [0.0, *(end for _, rate, interval, _ in rows for end in (rate, *(interval or ())))]
    room = 0.08 * ((max(ends) - min(ends)) or 1.0)
    left = 24.0 + 7.2 * max(len(name) for name, *_ in rows)
    place = Box(left, 8.0, WIDTH - left - _RIGHT, 29.0 * len(rows))
    plot = Plot(place, (min(ends) - room, max(ends) + room), (float(len(rows)), 0.0), f"{prefix}-clip")
    for position, (name, rate, interval, colour) in enumerate(rows):
        low, middle, high = position + 0.22, position + 0.5, position + 0.78
        plot.area((0.0, rate), (low, low), (high, high), colour)
        if interval is not None:
            plot.line(interval, (middle, middle), "ink", 1.6)
        right = max(rate, interval[1] if interval else rate, 0.0)
        plot.text(plot.x(right) + 8, plot.y(middle) + 4.4, short_number(rate), "ink")
        plot.text(place.left - 8, plot.y(middle) + 4.4, name, "ink", anchor="end")
    plot.line((0.0, 0.0), plot.up, "muted", 1.1)
    plot.label_across("allocated bytes per cycle")
    return figure([plot], place.bottom + _BELOW, parts_sentence(parts))


class _Decision:
    """The upper axes: the series that the verdict rests on."""

    def __init__(self, name: str, series: Series, component: ComponentResult, tolerance_bytes: float) -> None:
        signal = component.signals.get(name)
        known = SIGNALS.get(name)
        self.unit = known.unit if known is not None else (signal.unit if signal is not None else "")
        self.title = known.title if known is not None else name
        self.grain = known.grain if known is not None else 0.0
        self.series, self.change = series, series.change
        self.first, self.last = float(series.cycles[0]), float(series.cycles[-1])
        self.windows = windows_of(signal, self.last)
        is_fitted = signal is not None and signal.per_iteration is not None and math.isfinite(signal.per_iteration)
        self.fitted = signal if is_fitted else None
        self.tolerance = tolerance_of(name, self.last, tolerance_bytes)
        self.decides = component.verdict is Verdict.LEAK

    def draw(self, place: Box, across: tuple[float, float], clip_id: str, points: int) -> Plot:
        """Draw windows, fit, readings and tolerance."""
        plot = Plot(place, across, self._up(), clip_id)
        if self.fitted is not None:
            _shade(plot, self.windows)
        label_values(plot, self.unit)
        if self.fitted is not None:
            _fan(plot, self.change, self.fitted, self.windows)
        _line(plot, thin(self.change, points), "series", "readings")
        if self.tolerance is not None:
            label = f"{short_number(self.tolerance)} {_short_unit(self.unit)} per cycle, the tolerance"
            start, level, end_level = self._tolerated()
            plot.line((start, self.last), (level, end_level), "muted", 1.6, dash=_DOTTED, label=label)
        if self.fitted is not None:
            _fit(plot, self, self.fitted)
        value = float(self.series.values[0])
        first = format_size(value) if self.unit == "bytes" else format_count(round(value))
        plot.title(f"{self.title}, change since {first} at the first reading")
        plot.legend()
        return plot

    def _tolerated(self) -> tuple[float, float, float]:
        """Return where the line of the tolerance begins, its level there, and its level at the last reading.

        Where a rate is fitted it begins with it: the two lines part as far as growth is from tolerated.
        """
        start = self.windows.start if self.fitted is not None else self.first
        level = 0.0 if self.fitted is None else _fitted_at(self.change, self.fitted, self.windows, start)
        return start, level, level + (self.tolerance or 0.0) * (self.last - start)

    def _up(self) -> tuple[float, float]:
        """Return the range of the values, in which what is flat looks flat."""
        low, high = float(self.change.values.min()), float(self.change.values.max())
        if self.tolerance is not None:
            high = max(high, self._tolerated()[2])
        span = max(self.last - self.first, 1.0)
        return _with_room(low, high, max((self.tolerance or 0.0) * span, 4 * self.grain, 1e-9))


def _with_room(low: float, high: float, least: float) -> tuple[float, float]:
    """Return a range that is at least so high, and a little more at both ends."""
    room = max(high - low, least)
    return low - 0.06 * room, max(high, low + room) + 0.06 * room


def _draw_memory(
    lines: Sequence[tuple[Series, str, str]], place: Box, across: tuple[float, float], clip_id: str, points: int
) -> Plot:
    low = min(float(series.values.min()) for series, *_ in lines)
    high = max(float(series.values.max()) for series, *_ in lines)
    plot = Plot(place, across, _with_room(low, high, _LEAST_MEMORY_SPAN_BYTES), clip_id)
    label_values(plot, "bytes")
    for series, colour, label in lines:
        _line(plot, thin(series, points), colour, label)
    plot.title("resident memory and malloc's heap, change since the first reading")
    plot.legend()
    return plot


def _shade(plot: Plot, windows: DrawnWindows) -> None:
    newer = "window"
    if windows.start < windows.middle:
        newer = "newer window"
        plot.stretch(windows.start, windows.middle, "older", "older window")
    plot.stretch(windows.middle, windows.end, "newer", newer)


def _fitted_at(change: Series, signal: SignalResult, windows: DrawnWindows, cycle: float) -> float:
    """Return the level of the fitted line at a cycle."""
    rate = signal.per_iteration
    assert rate is not None, "the caller draws a fit only where there is a rate"
    return level_at_zero(change, rate, windows) + rate * cycle


def _fan(plot: Plot, change: Series, signal: SignalResult, windows: DrawnWindows) -> None:
    """Draw the interval of the fitted rate, around the middle of the windows."""
    if signal.low is None or signal.high is None:
        return
    middle = (windows.start + windows.end) / 2
    pivot = _fitted_at(change, signal, windows, middle)
    at = (windows.start, middle, windows.end)
    low, high = ([pivot + slope * (cycle - middle) for cycle in at] for slope in (signal.low, signal.high))
    plot.area(at, low, high, "fan")


def _fit(plot: Plot, drawn: _Decision, signal: SignalResult) -> None:
    rate, change, windows, tolerance = signal.per_iteration, drawn.change, drawn.windows, drawn.tolerance or 0.0
    assert rate is not None, "the caller draws a fit only where there is a rate"
    start, end, last = windows.start, windows.end, float(change.cycles[-1])
    level = _fitted_at(change, signal, windows, 0.0)
    label = f"fitted rate, {short_number(rate)} {_short_unit(drawn.unit)} per cycle"
    plot.line((start, end), (level + rate * start, level + rate * end), "fit", 2.9, label=label)
    if signal.verdict is Verdict.LEAK:
        plot.line((end, end), plot.up, "fit", 1.1, dash=_DASHED)
        # Where no line is: between the fitted line and the tolerance late in the series, above both early.
        # A series that grows decides nothing if it may be a cache that fills.
        text = f"{'decided at' if drawn.decides else 'fitted up to'} cycle {format_count(round(end))}"
        if end > 0.6 * last:
            beside = max(end - _LABEL_SHARE * last, start)
            between = level + (rate * beside + rate * start + tolerance * (beside - start)) / 2
            plot.text(plot.x(end) - 7, plot.y(between) + 4.4, text, "ink", anchor="end")
        else:
            plot.text(plot.x(end) + 7, plot.box.top + 16, text, "ink")
    if last > end:  # where the same rate leads: what was read later lies on it, or does not
        plot.line((end, last), (level + rate * end, level + rate * last), "fit", 1.5, dash=_LONG_DASHED)


def _line(plot: Plot, series: Series, colour: str, label: str) -> None:
    width = 3.5 if colour == "ink" else 1.7  # seen on both sides of a line that runs over it
    at, values = series.cycles.tolist(), series.values.tolist()
    plot.line(at, values, colour, width, label=label)
    if len(values) <= _FEW_READINGS:
        plot.dots(at, values, colour, 2.0)


def _short_unit(unit: str) -> str:
    return "B" if unit == "bytes" else unit


def label_values(plot: Plot, unit: str) -> None:
    """Label the value axis in one unit for all its ticks."""
    largest = max(abs(limit) for limit in plot.up)
    scales = _BYTE_SCALES if unit == "bytes" else _COUNT_SCALES
    factor, prefix = next((factor, prefix) for least, factor, prefix in scales if largest >= least)
    plot.label_up(prefix if unit == "bytes" else f"{prefix}{unit}", factor)
