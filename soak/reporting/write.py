"""Puts a run's reports into its folder, each complete or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from soak.errors import SoakError
from soak.measurements import Reading
from soak.reporting.figures.audit_figure import audit_figure
from soak.reporting.figures.component_figure import component_figure, parts_figure
from soak.reporting.figures.flame import flame_graph
from soak.reporting.formats.html import render_html
from soak.reporting.formats.json_report import render_json
from soak.reporting.formats.junit import render_junit
from soak.reporting.formats.markdown import render_markdown
from soak.results import RunResult

_FEWEST_POINTS = 100
_MOST_POINTS = 600
_POINTS_IN_ALL = 20_000


def write_reports(result: RunResult, readings: Callable[[str], Sequence[Reading]], folder: Path) -> None:
    """Write report.json, report.md, junit.xml, report.html and an SVG per component that has readings into ``folder``.

    ``readings`` gives a component's readings by its name, in order; empty for one that has none. Each file replaces
    its predecessor in one step, so a reader sees the old one or the new one, whole. Text first: should drawing fail,
    the verdicts are there. Raises SoakError when a file cannot be written.
    """
    write_text(folder / "report.json", render_json(result))
    write_text(folder / "report.md", render_markdown(result))
    write_text(folder / "junit.xml", render_junit(result))
    points = points_for(len(result.components))
    figures, audit_figures = {}, {}
    for position, component in enumerate(result.components):
        series = readings(component.name)
        figure = component_figure(
            component, series, tolerance_bytes=component.tolerance_bytes, points=points, prefix=f"c{position}"
        )
        if figure is not None:
            figures[component.name] = figure
            write_text(folder / figure_name(component.name), figure)
        flames = flame_graph(component.causes)
        if flames is not None:
            write_text(folder / figure_name(f"{component.name}.survivors"), flames)
        where_rss_went = None if component.audit is None else audit_figure(component.audit, prefix=f"a{position}")
        if where_rss_went is not None:
            audit_figures[component.name] = where_rss_went
            write_text(folder / figure_name(f"{component.name}.rss"), where_rss_went)
    parts = None if result.parts is None else parts_figure(result.parts)
    write_text(folder / "report.html", render_html(result, figures, parts, audit_figures))


def points_for(components: int) -> int:
    """Give the points per line of a figure, such that a page of many components stays one that can be opened."""
    return min(_MOST_POINTS, max(_FEWEST_POINTS, _POINTS_IN_ALL // max(1, components)))


def figure_name(component: str) -> str:
    """Give the file name of a component's figure; characters that some file system or uploader refuses become ``_``."""
    return re.sub(r"[/\\:*?\"<>|\x00-\x1f]|^\.", "_", component)[:200] + ".svg"


def write_text(path: Path, text: str) -> None:
    """Write a file in one step: it is replaced by its complete successor or stays as it is.

    Raises SoakError, naming the file and the reason, when that fails; nothing half-written is left behind.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        unfinished.write_text(text, encoding="utf-8", errors="backslashreplace")
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise SoakError(f"cannot write {path}: {error.strerror or error}") from error
