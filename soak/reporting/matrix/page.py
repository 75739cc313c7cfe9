"""``report.html`` of a matrix: the matrix first, then what is not clean, and the hosts. The markup is in a template."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from soak.analysis.matrix import VersionChange
from soak.matrix.merged import CellRun, Host, Matrix, MatrixCell
from soak.reporting import words as say
from soak.reporting.matrix.outcome import components_worst_first, findings
from soak.reporting.templating import render
from soak.reporting.words import matrix as words
from soak.reporting.words import matrix_names as names
from soak.verdict import WORST_FIRST, Verdict

_MOST_ROOMY = 6
"""With more columns than these a cell shows the sign of its verdict only, so that all columns are seen at once."""
_MOST_EXPLAINED = 200
"""Cells that are explained below the matrix; each has a page of its own."""
REPORT_NAME = "report.html"


@dataclass(frozen=True)
class RunView:
    """A verdict in a cell of the table, with the page of its run."""

    verdict: Verdict
    symbol: str
    aside: str
    rate: str
    link: str
    host: str
    """Empty if the cell has one host only."""


@dataclass(frozen=True)
class CellView:
    """A cell of the table; without runs the reason."""

    runs: list[RunView]
    missing: str = ""
    is_disputed: bool = False


@dataclass(frozen=True)
class RowView:
    """A row of the table."""

    component: str
    found: str
    """How many of its cells are not clean; empty if all are."""
    cells: list[CellView | None]


@dataclass(frozen=True)
class Explanation:
    """What is to be said of cells that are not clean, all in the same way."""

    title: str
    run: RunView
    seen_on: str
    """The hosts; empty if there is one only."""
    sentences: list[str]
    report: str
    """The text of the link to the report."""


def render_matrix_page(matrix: Matrix, changes: Sequence[VersionChange]) -> str:
    """Write a matrix as one HTML page that needs no network; cells lead to the reports of their runs."""
    found = findings(matrix)
    seen = {run.result.verdict for run in matrix.runs}
    first, *others = words.headline_sentences(matrix, changes)
    rows = [_row(matrix, component) for component in components_worst_first(matrix)]
    return render(
        "matrix.html",
        title=first,
        others=others,
        about=" · ".join((f"soak {matrix.soak}", f"matrix {matrix.run}", words.counts_sentence(matrix).rstrip("."))),
        alarms=[say.printable(problem) for problem in matrix.problems] + words.missing_sentences(matrix),
        shared=words.shared_sentence(matrix),
        interpreters=_interpreters(matrix),
        versions=[names.versions_title(matrix, column) for column in matrix.columns],
        is_dense=len(matrix.columns) > _MOST_ROOMY,
        signs=[(verdict, say.SYMBOLS[verdict]) for verdict in WORST_FIRST if verdict in seen],
        rows=rows,
        has_links=any(run.link for row in rows for cell in row.cells if cell is not None for run in cell.runs),
        differences=words.differences_below(matrix, changes),
        explanations=[_explanation(matrix, alike) for alike in found[:_MOST_EXPLAINED]],
        more=sum(map(len, found[_MOST_EXPLAINED:])),
        host_titles=words.HOST_TITLES,
        hosts=[words.host_row(host, its_runs) for host, its_runs in runs_by_host(matrix)],
        hosts_sentence=words.hosts_sentence(matrix),
        command=matrix.command,
    )


def runs_by_host(matrix: Matrix) -> list[tuple[Host, list[CellRun]]]:
    """Return the hosts in the order of their names, each with its runs."""
    by_host: dict[Host, list[CellRun]] = {}
    for run in matrix.runs:
        by_host.setdefault(run.host, []).append(run)
    return sorted(by_host.items(), key=lambda item: item[0].name)


def _interpreters(matrix: Matrix) -> list[tuple[str, int]]:
    """Return the upper line of the table's head: each interpreter and over how many columns it stands."""
    titles = [names.interpreter_title(matrix, column) for column in matrix.columns]
    return [(title, len(list(group))) for title, group in groupby(titles)]


def _row(matrix: Matrix, component: str) -> RowView:
    cells = [matrix.cell(component, column) for column in matrix.columns]
    return RowView(
        component, words.row_words(matrix, component), [None if cell is None else _cell(matrix, cell) for cell in cells]
    )


def _cell(matrix: Matrix, cell: MatrixCell) -> CellView:
    if cell.missing is not None:
        return CellView([], cell.missing.reason)
    return CellView([_run(matrix, cell, run) for run in cell.runs], is_disputed=cell.is_disputed)


def _run(matrix: Matrix, cell: MatrixCell, run: CellRun) -> RunView:
    verdict = run.result.verdict
    page = Path(run.folder, REPORT_NAME)
    return RunView(
        verdict,
        say.SYMBOLS[verdict],
        words.excuse_words(run),
        words.rate_cell(run),
        quote(Path(os.path.relpath(page, matrix.folder)).as_posix()) if page.is_file() else "",
        names.host_words(run.host) if len(cell.runs) > 1 else "",
    )


def _explanation(matrix: Matrix, alike: Sequence[tuple[MatrixCell, CellRun]]) -> Explanation:
    cell, run = alike[0]
    why = say.why_sentence(run.result) if run.result.verdict is not Verdict.FAILED else ""
    sentences = [say.component_sentence(run.result), why]
    return Explanation(
        names.cells_title(matrix, [each for each, _ in alike]),
        _run(matrix, cell, run),
        names.seen_on_words(matrix, [each for _, each in alike]),
        [sentence for sentence in sentences if sentence],
        "Its report" if len(alike) == 1 else f"Report of {names.run_title(matrix, cell, run)}",
    )
