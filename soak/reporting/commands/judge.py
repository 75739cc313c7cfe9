"""The page of a log that was judged."""

from __future__ import annotations

from collections.abc import Sequence

from soak.logs.judging import LogVerdict
from soak.logs.series import LogSeries
from soak.reporting.figures.log_figure import log_figure
from soak.reporting.figures.plot import inline
from soak.reporting.templating import render


def judged_page(series: LogSeries, judged: LogVerdict, said: Sequence[str]) -> str:
    """Write the verdict, what was said about it and the series drawn as one page without a network."""
    return render(
        "judge.html",
        title=f"{judged.verdict.value}: {series.file}",
        verdict=judged.verdict.value,
        said=said,
        figure=inline(log_figure(series, judged, title=said[0])),
    )
