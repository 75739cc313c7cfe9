"""The figure of a log that was judged: its pieces, and the fitted rate of the one that decides."""

from __future__ import annotations

import itertools

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from soak.logs.judging import JudgedPiece, LogVerdict
from soak.logs.series import LogSeries
from soak.reporting.figures.component_figure import FIGURE_SETTINGS, as_svg, label_values
from soak.reporting.figures.palette import FIGURE
from soak.reporting.figures.series import DrawnWindows, Series, level_at_zero, thin

_POINTS = 1200
_TIME_SCALES = (
    (2 * 86_400.0, 86_400.0, "days"),
    (7200.0, 3600.0, "hours"),
    (120.0, 60.0, "minutes"),
    (0.0, 1.0, "seconds"),
)
"""From which span the axis of time is in which unit."""


@mpl.rc_context(FIGURE_SETTINGS)
def log_figure(series: LogSeries, judged: LogVerdict, *, title: str) -> str:
    """Draw all readings, one piece after the other, and the fitted rate; SVG text. ``title`` is for screen readers."""
    figure = Figure(figsize=(10, 4.0))
    axes = figure.subplots()
    figure.subplots_adjust(left=0.07, right=0.97, top=0.9, bottom=0.12)
    first = float(judged.judged[0].piece.at[0])
    scale, axis = _axis(series, judged)
    shift = 0.0
    for before, piece in itertools.pairwise((None, *judged.judged)):
        assert piece is not None, "only the first of the row is none"
        if before is not None and piece.piece.at[0] <= before.piece.at[-1]:
            # A counter that begins anew is drawn after what was before it.
            shift += float(before.piece.at[-1] - piece.piece.at[0])
        moved = Series((piece.piece.at - first + shift) / scale, piece.piece.values)
        _draw(axes, piece, moved, scale, is_telling=piece is judged.telling)
    label_values(axes, series.unit)
    axes.set_title(series.column, loc="left", color=FIGURE["ink"].light, pad=12)
    axes.set_xlabel(axis, color=FIGURE["muted"].light, loc="right")
    return as_svg(figure, title=title, prefix="log")


def _axis(series: LogSeries, judged: LogVerdict) -> tuple[float, str]:
    if not series.is_over_time:
        return 1.0, series.noun
    span = sum(float(one.piece.at[-1] - one.piece.at[0]) for one in judged.judged)
    return next((unit_s, f"{name} since the start") for least, unit_s, name in _TIME_SCALES if span >= least)


def _draw(axes: Axes, judged: JudgedPiece, moved: Series, scale: float, *, is_telling: bool) -> None:
    line = thin(moved, _POINTS)
    axes.plot(line.cycles, line.values, color=FIGURE["series"].light, linewidth=1.3)
    rate = judged.found.rate
    if not is_telling or rate is None or len(moved.cycles) < 2:
        return
    start, end = float(moved.cycles[0]), float(moved.cycles[-1])
    middle = (start + end) / 2
    level = level_at_zero(moved, rate * scale, DrawnWindows(start, middle, end))
    ends = (start, end)
    axes.plot(ends, [level + rate * scale * at for at in ends], color=FIGURE["fit"].light, linewidth=2.2)
