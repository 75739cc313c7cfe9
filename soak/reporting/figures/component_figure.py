"""The figures, drawn by matplotlib as SVG: a component's series, and the sum of the parts.

Only ``Figure`` objects on the SVG canvas are used: no pyplot, no window, no current figure.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from soak.measurements import SIGNALS, Reading
from soak.reporting.figures.palette import FIGURE
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
from soak.reporting.figures.svg import restyle
from soak.reporting.words import component_sentence, parts_sentence, printable, short_number
from soak.results import ComponentResult, Parts, SignalResult
from soak.units import format_count, format_size
from soak.verdict import Verdict

_INK, _MUTED, _RULE = FIGURE["ink"].light, FIGURE["muted"].light, FIGURE["rule"].light
_SERIES, _FIT, _FREE = FIGURE["series"].light, FIGURE["fit"].light, FIGURE["free"].light
_OLDER, _NEWER, _FAN = FIGURE["older"].light, FIGURE["newer"].light, FIGURE["fan"].light
FIGURE_SETTINGS: dict[Any, Any] = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titley": 1.0,  # where it is put; looking for a free place takes a quarter of the time
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's own fonts
    "text.parse_math": False,  # a dollar in a name is a dollar
    "svg.hashsalt": "soak",  # ids depend on nothing but the drawing
}
_LABEL_SHARE = 0.15
"""Of a figure's width, that a label in it takes."""
_FEW_READINGS = 40
"""Up to so many readings are drawn as dots on their line."""
_MEMORY_LINES = (
    ("rss", _INK, "resident (RSS)"),
    ("heap", _SERIES, "heap in use"),
    ("heap_free", _FREE, "heap kept free"),
)
_BYTE_SCALES = ((2**30, 2**30, "GiB"), (2**20, 2**20, "MiB"), (2**10, 2**10, "KiB"), (0, 1, "B"))
_COUNT_SCALES = ((10**7, 10**6, "million "), (10**4, 10**3, "thousand "), (0, 1, ""))
"""From which value on an axis is labelled in which unit, so that no tick has more than four digits."""
_LEAST_MEMORY_SPAN_BYTES = 256 * 1024.0
"""Resident memory that moves by less than this looks flat, as it is."""


@mpl.rc_context(FIGURE_SETTINGS)
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
    figure = Figure(figsize=(10, 4.8 if lines else 3.0))
    rows = figure.subplots(2 if lines else 1, 1, sharex=True, squeeze=False, height_ratios=[5, 3] if lines else None)
    # The same margins for all, so that the figures of a page stand in line; a layout engine takes half the time.
    figure.subplots_adjust(left=0.06, right=0.955, top=0.9, bottom=0.09, hspace=0.38)
    _draw_decision(rows[0, 0], name, series, component, tolerance_bytes, points)
    if lines:
        _draw_memory(rows[1, 0], lines, points)
    rows[-1, 0].set_xlabel("cycle", color=_MUTED, loc="right")
    return as_svg(figure, title=component_sentence(component), prefix=prefix)


@mpl.rc_context(FIGURE_SETTINGS)
def parts_figure(parts: Parts, *, prefix: str = "parts") -> str:
    """Draw each part's growth, their sum, the full cycle and what stays unexplained, with intervals, as SVG text."""
    rows: list[tuple[str, float, tuple[float, float] | None, str]] = [
        (printable(part.name), part.rate, (part.low, part.high), _SERIES) for part in parts.each
    ]
    rows += [
        ("sum of the parts", parts.sum, None, _MUTED),
        ("full cycle", parts.full_cycle, None, _INK),
        ("unexplained", parts.unexplained, (parts.low, parts.high), _FIT),
    ]
    figure = Figure(figsize=(10, 0.5 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for position, (_, rate, interval, colour) in enumerate(rows):
        axes.barh(position, rate, height=0.55, color=colour)
        if interval is not None:
            axes.plot(interval, (position, position), color=_INK, linewidth=1.2, marker="|", markersize=6)
        label = short_number(rate)
        right = max(rate, interval[1] if interval else rate, 0.0)
        axes.annotate(label, (right, position), (6, 0), textcoords="offset points", va="center", color=_INK)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
    axes.invert_yaxis()
    axes.axvline(0, color=_MUTED, linewidth=0.8)
    axes.margins(x=0.08)
    axes.set_xlabel("allocated bytes per cycle", color=_MUTED, loc="right")
    _quiet(axes, grid="x")
    axes.tick_params(axis="y", labelcolor=_INK)
    return as_svg(figure, title=parts_sentence(parts), prefix=prefix)


def _draw_decision(
    axes: Axes, name: str, series: Series, component: ComponentResult, tolerance_bytes: float, points: int
) -> None:
    signal = component.signals.get(name)
    unit = SIGNALS[name].unit if name in SIGNALS else (signal.unit if signal is not None else "")
    title = SIGNALS[name].title if name in SIGNALS else name
    change, last = series.change, float(series.cycles[-1])
    windows = windows_of(signal, last)
    fitted = signal is not None and signal.per_iteration is not None and math.isfinite(signal.per_iteration)
    if fitted:
        _shade(axes, windows)
    _line(axes, thin(change, points), _SERIES, "readings")
    tolerance = tolerance_of(name, last, tolerance_bytes)
    span = max(last - float(series.cycles[0]), 1.0)
    low, high = float(change.values.min()), float(change.values.max())
    if tolerance is not None:
        # Where a rate is fitted the tolerance begins with it: the two lines part as far as growth is from tolerated.
        start = windows.start if fitted else float(series.cycles[0])
        level = _fitted_at(change, signal, windows, start) if signal is not None and fitted else 0.0
        label = f"{short_number(tolerance)} {_short_unit(unit)} per cycle, the tolerance"
        end_level = level + tolerance * (last - start)
        axes.plot((start, last), (level, end_level), color=_MUTED, linewidth=1.2, linestyle=(0, (1, 2)), label=label)
        high = max(high, end_level)
    if signal is not None and fitted:
        _fit(axes, change, signal, windows, _short_unit(unit), tolerance or 0.0)
    room = max(high - low, (tolerance or 0.0) * span, 4 * SIGNALS[name].grain if name in SIGNALS else 0.0, 1e-9)
    axes.set_ylim(low - 0.06 * room, max(high, low + room) + 0.06 * room)
    first = format_size(float(series.values[0])) if unit == "bytes" else format_count(round(float(series.values[0])))
    axes.set_title(f"{title}, change since {first} at the first reading", loc="left", color=_INK, pad=24)
    label_values(axes, unit)
    _legend(axes)


def _draw_memory(axes: Axes, lines: Sequence[tuple[Series, str, str]], points: int) -> None:
    for series, colour, label in lines:
        _line(axes, thin(series, points), colour, label)
    low = min(float(series.values.min()) for series, *_ in lines)
    high = max(float(series.values.max()) for series, *_ in lines)
    room = max(high - low, _LEAST_MEMORY_SPAN_BYTES)
    axes.set_ylim(low - 0.06 * room, max(high, low + room) + 0.06 * room)
    axes.set_title("resident memory and malloc's heap, change since the first reading", loc="left", color=_INK, pad=24)
    label_values(axes, "bytes")
    _legend(axes)


def _shade(axes: Axes, windows: DrawnWindows) -> None:
    newer = "window"
    if windows.start < windows.middle:
        newer = "newer window"
        axes.axvspan(windows.start, windows.middle, color=_OLDER, linewidth=0, zorder=0, label="older window")
    axes.axvspan(windows.middle, windows.end, color=_NEWER, linewidth=0, zorder=0, label=newer)


def _fitted_at(change: Series, signal: SignalResult, windows: DrawnWindows, cycle: float) -> float:
    """Return the level of the fitted line at a cycle."""
    rate = signal.per_iteration
    assert rate is not None, "the caller draws a fit only where there is a rate"
    return level_at_zero(change, rate, windows) + rate * cycle


def _fit(axes: Axes, change: Series, signal: SignalResult, windows: DrawnWindows, unit: str, tolerance: float) -> None:
    rate = signal.per_iteration
    assert rate is not None, "the caller draws a fit only where there is a rate"
    start, end = windows.start, windows.end
    level = _fitted_at(change, signal, windows, 0.0)
    middle = (start + end) / 2
    if signal.low is not None and signal.high is not None:
        at = [start, middle, end]
        pivot = level + rate * middle
        edges = [[pivot + slope * (cycle - middle) for cycle in at] for slope in (signal.low, signal.high)]
        axes.fill_between(at, edges[0], edges[1], color=_FAN, linewidth=0, zorder=1)
    label = f"fitted rate, {short_number(rate)} {unit} per cycle"
    axes.plot((start, end), (level + rate * start, level + rate * end), color=_FIT, linewidth=2.2, label=label)
    last = float(change.cycles[-1])
    if last > end:  # where the same rate leads: what was read later lies on it, or does not
        goes_on = (level + rate * end, level + rate * last)
        axes.plot((end, last), goes_on, color=_FIT, linewidth=1.1, linestyle=(0, (6, 4)), zorder=3)
    if signal.verdict is Verdict.LEAK:
        axes.axvline(end, color=_FIT, linewidth=0.8, linestyle=(0, (4, 3)))
        # Where no line is: between the fitted line and the tolerance late in the series, above both early.
        late = end > 0.6 * float(change.cycles[-1])
        beside = max(end - _LABEL_SHARE * float(change.cycles[-1]), start)
        between = level + (rate * beside + rate * start + tolerance * (beside - start)) / 2
        axes.annotate(
            f"decided at cycle {format_count(round(end))}",
            xy=(end, between if late else 1),
            xytext=(-5, 0) if late else (5, -12),
            xycoords=("data", "data" if late else "axes fraction"),
            textcoords="offset points",
            ha="right" if late else "left",
            va="center" if late else "baseline",
            color=_INK,  # it may stand on a shaded window
        )


def _line(axes: Axes, series: Series, colour: str, label: str) -> None:
    marker = "o" if len(series.values) <= _FEW_READINGS else ""
    width = 2.6 if colour == _INK else 1.3  # seen on both sides of a line that runs over it
    axes.plot(series.cycles, series.values, color=colour, linewidth=width, marker=marker, markersize=3, label=label)


def _short_unit(unit: str) -> str:
    return "B" if unit == "bytes" else unit


def label_values(axes: Axes, unit: str) -> None:
    """Label the value axis in one unit for all its ticks, and quieten the rest."""
    largest = max(abs(limit) for limit in axes.get_ylim())
    scales = _BYTE_SCALES if unit == "bytes" else _COUNT_SCALES
    factor, prefix = next((factor, prefix) for least, factor, prefix in scales if largest >= least)
    axes.yaxis.set_major_locator(_ScaledLocator(factor))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / factor:,.10g}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.set_ylabel(prefix if unit == "bytes" else f"{prefix}{unit}", color=_MUTED)
    _quiet(axes, grid="y")


class _ScaledLocator(MaxNLocator):
    """Ticks at round numbers of KiB or MiB rather than of bytes."""

    def __init__(self, factor: int) -> None:
        super().__init__(5, steps=[1, 2, 5, 10])
        self._factor = factor

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        return [tick * self._factor for tick in super().tick_values(vmin / self._factor, vmax / self._factor)]


def _quiet(axes: Axes, *, grid: str) -> None:
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.grid(axis="y" if grid == "y" else "x", color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=_MUTED)
    axes.patch.set_visible(False)
    axes.margins(x=0.0)


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=5,
        frameon=False,
        borderpad=0,
        borderaxespad=0.4,
        handlelength=1.4,
        columnspacing=1.6,
        labelcolor=_MUTED,
    )


def as_svg(figure: Figure, *, title: str, prefix: str) -> str:
    """Give a drawn figure as SVG text in the page's style; ``title`` is what a screen reader says."""
    figure.patch.set_visible(False)
    out = io.StringIO()
    figure.set_canvas(FigureCanvasSVG(figure))
    figure.savefig(out, format="svg", metadata={"Date": None})
    return restyle(out.getvalue(), title=title, prefix=prefix)
