"""The figure of a log that was judged: its pieces, and the fitted rate of the one that decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from soak.logs.judging import JudgedPiece, LogVerdict
from soak.logs.series import LogSeries
from soak.reporting.figures.component_figure import label_values
from soak.reporting.figures.plot import WIDTH, Box, Plot, figure
from soak.reporting.figures.series import DrawnWindows, Series, level_at_zero, thin
from soak.verdict import Verdict

_POINTS = 1200
_BOX = Box(58.0, 48.0, WIDTH - 101.0, 260.0)
_TIME_SCALES = (
    (2 * 86_400.0, 86_400.0, "days"),
    (7200.0, 3600.0, "hours"),
    (120.0, 60.0, "minutes"),
    (0.0, 1.0, "seconds"),
)
"""From which span the axis of time is in which unit."""


def log_figure(series: LogSeries, judged: LogVerdict, *, title: str) -> str:
    """Draw all readings, one piece after the other, and the fitted rate; SVG text. ``title`` is for screen readers."""
    scale, axis = _axis(series, judged)
    drawn = list(_drawn(judged.judged, scale))
    lows, highs = [float(one.values.min()) for one in drawn], [float(one.values.max()) for one in drawn]
    room = 0.06 * ((max(highs) - min(lows)) or 1.0)
    across = (float(drawn[0].cycles[0]), float(drawn[-1].cycles[-1]))
    plot = Plot(_BOX, across, (min(lows) - room, max(highs) + room), "log-clip")
    label_values(plot, series.unit)
    for piece, line in zip(judged.judged, drawn, strict=True):
        thinned = thin(line, _POINTS)
        plot.line(thinned.cycles.tolist(), thinned.values.tolist(), "series", 1.7)
        if piece is judged.telling:
            _draw_rate(plot, piece, line, scale)
    plot.label_across(axis)
    plot.title(series.column)
    plot.legend()
    return figure([plot], _BOX.bottom + 41.0, title)


def _axis(series: LogSeries, judged: LogVerdict) -> tuple[float, str]:
    """Return what one unit of the axis is in steps of the series, and its name."""
    if not series.is_over_time:
        return 1.0, series.noun
    span = sum(float(one.piece.at[-1] - one.piece.at[0]) for one in judged.judged)
    return next((unit_s, f"{name} since the start") for least, unit_s, name in _TIME_SCALES if span >= least)


def _drawn(judged: Sequence[JudgedPiece], scale: float) -> Iterator[Series]:
    """Yield each piece as it is drawn; a counter that begins again follows what was before it."""
    shift = -float(judged[0].piece.at[0]) if scale != 1.0 else 0.0
    end = -float("inf")
    for one in judged:
        shift += max(end - float(one.piece.at[0]) - shift, 0.0)
        end = float(one.piece.at[-1]) + shift
        yield Series((one.piece.at + shift) / scale, one.piece.values)


def _draw_rate(plot: Plot, judged: JudgedPiece, line: Series, scale: float) -> None:
    rate = judged.found.rate
    if rate is None or len(line.cycles) < 2:
        return
    start, end = float(line.cycles[0]), float(line.cycles[-1])
    level = level_at_zero(line, rate * scale, DrawnWindows(start, (start + end) / 2, end))
    ends = (start, end)
    is_undecided = judged.found.verdict is Verdict.INCONCLUSIVE
    label = "the rate so far (not decided)" if is_undecided else "the rate that the verdict names"
    plot.line(ends, [level + rate * scale * at for at in ends], "fit", 2.9, label=label)
