"""Puts the reports of a matrix into its folder."""

from __future__ import annotations

from pathlib import Path

from soak.analysis.matrix import find_changes
from soak.matrix.merged import Matrix
from soak.reporting.matrix.document import render_matrix_json
from soak.reporting.matrix.junit import render_matrix_junit
from soak.reporting.matrix.markdown import render_matrix_markdown
from soak.reporting.matrix.page import REPORT_NAME, render_matrix_page
from soak.reporting.matrix.sarif import render_matrix_sarif
from soak.reporting.write import write_text


def write_matrix(matrix: Matrix, folder: Path, source_root: Path) -> None:
    """Write report.json, report.md, junit.xml, leaks.sarif and report.html, each complete or not at all."""
    changes = find_changes(matrix)
    write_text(folder / "report.json", render_matrix_json(matrix, changes))
    write_text(folder / "report.md", render_matrix_markdown(matrix, changes))
    write_text(folder / "junit.xml", render_matrix_junit(matrix))
    write_text(folder / "leaks.sarif", render_matrix_sarif(matrix, source_root))
    write_text(folder / REPORT_NAME, render_matrix_page(matrix, changes))
