"""``junit.xml`` of a matrix: a suite for each column, a test case for each run."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from soak.matrix.merged import ColumnKey, Matrix, MatrixCell
from soak.reporting import words as say
from soak.reporting.formats.junit import case_element, suite_element, suites_text
from soak.reporting.outcome import component_exit_code, excuse
from soak.reporting.words import matrix as words
from soak.reporting.words import matrix_names as names
from soak.verdict import Verdict


def render_matrix_junit(matrix: Matrix) -> str:
    """Write a matrix as JUnit XML. A cell that was not measured is an error."""
    return suites_text([_suite(matrix, column) for column in matrix.columns])


def _suite(matrix: Matrix, column: ColumnKey) -> ET.Element:
    title = names.column_title(matrix, column)
    runs = matrix.runs_of(column)
    missing = [cell for cell in matrix.cells if cell.column == column and cell.missing is not None]
    failed = [run for run in runs if component_exit_code(run.result, run.known) != 0]
    errors = sum(run.result.verdict is Verdict.FAILED for run in failed)
    suite = suite_element(
        f"soak {title}",
        tests=len(runs) + len(missing),
        failures=len(failed) - errors,
        errors=errors + len(missing),
        skipped=sum(excuse(run.result, run.known) is not None for run in runs),
        seconds=sum(run.result.seconds for run in runs),
        started=min((run.started for run in runs), default=""),
    )
    for run in runs:
        case = case_element(run.result, excuse(run.result, run.known))
        case.set("classname", say.printable(f"soak.{title}"))
        case.set("hostname", names.host_words(run.host))
        suite.append(case)
    suite.extend(_missing_case(cell, title) for cell in missing)
    return suite


def _missing_case(cell: MatrixCell, title: str) -> ET.Element:
    case = ET.Element(
        "testcase", classname=say.printable(f"soak.{title}"), name=say.printable(cell.component), time="0"
    )
    reason = cell.missing.reason if cell.missing else ""
    ET.SubElement(case, "error", type=words.NOT_MEASURED, message=say.printable(reason))
    return case
