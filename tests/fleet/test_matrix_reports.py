"""The reports of a matrix: the same facts in each format, and nothing of a run taken for markup."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from builder import a_component, a_failure, a_leak
from matrix_builder import N1, N2, a_matrix, a_run

from soak.matrix.merged import Matrix, MissingCell
from soak.reporting.matrix.write import write_matrix

EVIL = "<script>alert(1)</script>"


def written(matrix: Matrix, folder: Path) -> dict[str, str]:
    write_matrix(matrix, folder, folder)
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()}


def a_rich_matrix() -> Matrix:
    return a_matrix(
        a_run(a_component("decoder"), "numpy==2.3.1"),
        a_run(a_leak("decoder"), "numpy==2.4.0"),
        a_run(a_leak("display"), "numpy==2.3.1", host=N1),
        a_run(a_component("display"), "numpy==2.3.1", host=N2),
        a_run(a_failure(EVIL), "numpy==2.4.0"),
        missing=(MissingCell("abc", "display", "", ("numpy==2.4.0",), "cancelled before it was measured"),),
        problems=("/x is not a run: there is no such folder",),
    )


def test_every_format_is_written(tmp_path: Path):
    assert sorted(written(a_rich_matrix(), tmp_path)) == [
        "junit.xml",
        "leaks.sarif",
        "report.html",
        "report.json",
        "report.md",
    ]


def test_the_document_has_every_cell_with_all_its_runs(tmp_path: Path):
    document = json.loads(written(a_rich_matrix(), tmp_path)["report.json"])

    assert (document["schema"], document["exit_code"]) == (1, 2)
    assert document["headline"].startswith("Hosts disagree on display with numpy 2.3.1: LEAK on n1, CLEAN on n2.")
    found = {
        (cell["component"], *cell["requirements"]): (cell["verdict"], len(cell["runs"])) for cell in document["cells"]
    }
    assert found == {
        ("decoder", "numpy==2.3.1"): ("CLEAN", 1),
        ("decoder", "numpy==2.4.0"): ("LEAK", 1),
        ("display", "numpy==2.3.1"): ("LEAK", 2),
        ("display", "numpy==2.4.0"): (None, 0),
        (EVIL, "numpy==2.4.0"): ("FAILED", 1),
    }
    missing = next(cell for cell in document["cells"] if cell["verdict"] is None)
    assert (missing["id"], missing["missing"]) == ("abc", "cancelled before it was measured")
    (change,) = document["changes"]
    assert (change["of"], change["before"], change["after"], change["kind"]) == ("numpy", "2.3.1", "2.4.0", "new")
    assert [host["name"] for host in document["hosts"]] == ["n1", "n2"]


def test_the_page_begins_with_the_matrix_and_names_the_hosts(tmp_path: Path):
    page = written(a_rich_matrix(), tmp_path)["report.html"]

    assert page.index('class="matrix"') < page.index("What is not clean") < page.index("Hosts</h2>")
    assert page.index(">display<") < page.index(">decoder<"), "what hosts disagree on comes first"
    for fact in ("glibc 2.36", "glibc 2.35", "Linux 5.15 aarch64", "Neoverse-N1", "not measured", "on n2"):
        assert fact in page
    assert "which differ in kernel, C library, processor" in page
    assert EVIL not in page


def test_a_cell_leads_to_the_report_of_its_run(tmp_path: Path):
    run = tmp_path / "abc"
    run.mkdir()
    (run / "report.html").write_text("", encoding="utf-8")
    matrix = a_matrix(a_run(a_leak("x"), folder=str(run)), a_run(a_leak("y")))
    object.__setattr__(matrix, "folder", str(tmp_path))

    page = written(matrix, tmp_path)["report.html"]

    assert page.count("href=") == 2  # in the matrix, and where it is explained
    assert 'href="abc/report.html"' in page


def test_junit_has_a_case_for_each_run_and_an_error_for_what_was_not_measured(tmp_path: Path):
    suites = ET.fromstring(written(a_rich_matrix(), tmp_path)["junit.xml"])

    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("6", "2", "2")
    assert [suite.get("name") for suite in suites] == ["soak numpy 2.3.1", "soak numpy 2.4.0"]


def test_sarif_has_a_leak_once_however_many_cells_have_it(tmp_path: Path):
    matrix = a_matrix(*(a_run(a_leak("x"), f"numpy=={version}") for version in range(3)), a_run(a_leak("y")))

    (run,) = json.loads(written(matrix, tmp_path)["leaks.sarif"])["runs"]

    assert [result["partialFingerprints"]["soak/v1"].partition(":")[0] for result in run["results"]] == ["x", "y"]


def test_markdown_says_first_what_is_wrong_and_escapes_the_rest(tmp_path: Path):
    text = written(a_rich_matrix(), tmp_path)["report.md"]

    assert text.startswith("### soak: Hosts disagree on display with numpy 2.3.1: LEAK on n1, CLEAN on n2.")
    assert text.splitlines()[2] == "**/x is not a run: there is no such folder**"
    assert EVIL not in text
    assert "| decoder | ● CLEAN ≤ 0.21 B/cycle | ▲ LEAK 128 B/cycle |" in text
    assert len(text) < 65_536
