"""The reports of a matrix: the same facts in each format, and nothing of a run taken for markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from builder import a_component, a_failure, a_leak
from matrix_builder import N1, N2, a_matrix, a_run

from soak.matrix.merged import Matrix, MissingCell
from soak.reporting.matrix.write import write_matrix
from soak.results import ComponentResult
from soak.verdict import Verdict

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

    assert page.index('class="matrix"') < page.index("Components that are not clean") < page.index("Hosts</h2>")
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

    assert page.count("href=") == 3  # in the matrix, and twice where it is explained
    assert 'href="abc/report.html"' in page


def test_junit_has_a_case_for_each_run_and_an_error_for_what_was_not_measured(tmp_path: Path):
    suites = ET.fromstring(written(a_rich_matrix(), tmp_path)["junit.xml"])

    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("6", "2", "2")
    assert [suite.get("name") for suite in suites] == ["soak numpy 2.3.1", "soak numpy 2.4.0"]


def sarif_of(matrix: Matrix, folder: Path) -> list[dict[str, Any]]:
    (run,) = json.loads(written(matrix, folder)["leaks.sarif"])["runs"]
    results: list[dict[str, Any]] = run["results"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert [rules[result["ruleIndex"]] for result in results] == [result["ruleId"] for result in results]
    fingerprints = [result["partialFingerprints"]["soak/v1"] for result in results]
    assert len(set(fingerprints)) == len(fingerprints), "no two results are taken for one"
    return results


def test_sarif_has_a_leak_once_however_many_cells_have_it_and_names_them(tmp_path: Path):
    quiet = a_run(a_component("x"), "numpy==3")
    matrix = a_matrix(*(a_run(a_leak("x"), f"numpy=={version}") for version in (1, 2)), quiet, a_run(a_leak("y")))

    x, y = sarif_of(matrix, tmp_path)

    assert (x["partialFingerprints"]["soak/v1"], x["level"]) == ("x:9f2c41d07a", "error")
    assert x["message"]["text"].startswith("x with numpy 1 and numpy 2: ")
    assert x["properties"] == {"cells": ["x with numpy 1", "x with numpy 2"]}
    assert y["properties"] == {"cells": ["y as installed"]}


def test_sarif_has_the_same_fingerprint_of_a_leak_whatever_else_is_in_the_matrix(tmp_path: Path):
    alone = a_matrix(a_run(a_leak("x"), "numpy==2"))
    among = a_matrix(a_run(a_leak("a"), "numpy==1"), a_run(a_leak("x"), "numpy==1"), a_run(a_leak("x"), "numpy==2"))

    assert sarif_of(alone, tmp_path)[0]["partialFingerprints"] == sarif_of(among, tmp_path)[1]["partialFingerprints"]


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.INCONCLUSIVE])
def test_sarif_has_a_leak_that_another_run_only_suspects(tmp_path: Path, verdict: Verdict):
    """A run that failed, or was not decided, has the same cause and comes first."""
    suspecting = replace(a_leak("x"), verdict=verdict, failure=a_failure().failure if verdict == "FAILED" else None)
    leaking = a_run(a_leak("x"), "numpy==1", host=N2)

    results = sarif_of(a_matrix(a_run(suspecting, "numpy==1", host=N1), leaking), tmp_path)

    (leak,) = [result for result in results if result["ruleId"] != "failure"]
    assert (leak["level"], leak["properties"]) == ("error", {"cells": ["x on n2"]})
    assert f"Hosts disagree on x: {verdict} on n1, LEAK on n2." in leak["message"]["text"]


def test_sarif_takes_a_leak_that_is_proven_in_one_cell_for_proven(tmp_path: Path):
    leak = a_leak("x")
    suspected = replace(leak, causes=tuple(replace(cause, confirmed=False) for cause in leak.causes))

    matrix = a_matrix(a_run(suspected, "numpy==1"), a_run(leak, "numpy==2"))

    assert [result["level"] for result in sarif_of(matrix, tmp_path)] == ["error"]


def test_sarif_has_a_leak_without_a_known_cause(tmp_path: Path):
    (leak,) = sarif_of(a_matrix(a_run(replace(a_leak("x"), causes=()))), tmp_path)

    assert (leak["ruleId"], leak["level"], leak["partialFingerprints"]) == ("growth", "error", {"soak/v1": "x"})
    assert leak["message"]["text"].startswith("x grows by 106 B per call")


def test_sarif_tells_failures_of_one_component_apart(tmp_path: Path):
    runs = [a_run(a_failure_of(detail), f"numpy=={version}") for version, detail in enumerate("aab")]

    first, other = sarif_of(a_matrix(*runs), tmp_path)

    assert first["properties"] == {"cells": ["x with numpy 0", "x with numpy 1"]}
    assert other["properties"] == {"cells": ["x with numpy 2"]}
    assert (first["ruleId"], first["level"]) == ("failure", "error")


def test_markdown_says_first_what_is_wrong_and_escapes_the_rest(tmp_path: Path):
    text = written(a_rich_matrix(), tmp_path)["report.md"]

    assert text.startswith("### soak: Hosts disagree on display with numpy 2.3.1: LEAK on n1, CLEAN on n2.")
    assert text.splitlines()[2] == "**/x is not a run: there is no such folder**"
    assert EVIL not in text
    assert "| decoder | ● CLEAN ≤ 0.21 B/cycle | ▲ LEAK 128 B/cycle |" in text
    assert len(text) < 65_536


def a_wide_matrix() -> Matrix:
    """Give three components with eight versions; x leaks with one, y was not measured with another."""
    versions = [f"numpy=={version}" for version in range(8)]
    runs = [a_run(a_component("quiet"), each) for each in versions]
    runs += [a_run(a_leak("x") if each == versions[5] else a_component("x"), each) for each in versions]
    runs += [a_run(a_component("y"), each) for each in versions[1:]]
    return a_matrix(*runs, missing=(MissingCell("abc", "y", "", (versions[0],), "cancelled"),))


def test_a_wide_matrix_has_a_sign_for_each_cell_and_says_of_each_row_what_is_not_clean(tmp_path: Path):
    page = written(a_wide_matrix(), tmp_path)["report.html"]

    assert 'class="matrix dense"' in page
    assert re.findall('class="name">(.*?)<', page) == ["x", "y", "quiet"], "what is clean everywhere comes last"
    assert re.findall('class="found">(.*?)<', page) == ["1 LEAK of 8", "1 not measured of 8"]
    table = page[page.index("<tbody>") : page.index("</tbody>")]
    assert re.findall('class="badge (.*?)" title="(.*?)"', table).count(("LEAK", "LEAK 128 B/cycle")) == 1
    assert table.count('class="badge CLEAN"') == 22
    assert re.findall('class="rate">(.*?)<', table) == ["128 B/cycle"]


def test_a_matrix_of_few_columns_has_the_verdicts_in_words(tmp_path: Path):
    page = written(a_rich_matrix(), tmp_path)["report.html"]

    assert 'class="matrix"' in page
    assert 'class="found"' not in page
    assert page[page.index("<tbody>") : page.index("</tbody>")].count("≤ 0.21 B/cycle") == 2


def test_cells_that_were_not_measured_are_named_together(tmp_path: Path):
    missing = tuple(MissingCell(f"{at}", "x", "", (f"numpy=={at}",), "cancelled") for at in (1, 2))

    text = written(a_matrix(a_run(a_leak("y"), "numpy==1"), missing=missing), tmp_path)["report.md"]

    assert "**2 cells not measured: cancelled (x in both cells).**" in text


def a_square(*leaking: tuple[int, int]) -> Matrix:
    """Give x with two interpreters and two releases; it leaks in the same way in the cells that are named."""
    return a_matrix(
        *(
            a_run(
                a_leak("x") if (minor, version) in leaking else a_component("x"),
                f"numpy=={version}",
                python=f"CPython 3.{minor}.0",
                asked_python=f"python3.{minor}",
            )
            for minor in (11, 12)
            for version in (1, 2)
        )
    )


@pytest.mark.parametrize(
    ("leaking", "title"),
    [
        ([(11, 2), (12, 2)], "x with numpy 2"),
        ([(12, 1), (12, 2)], "x with Python 3.12.0"),
        ([(11, 1), (12, 2)], "x with Python 3.11.0, numpy 1; Python 3.12.0, numpy 2"),
        ([(11, 1), (11, 2), (12, 1), (12, 2)], "x in all 4 cells"),
        ([(12, 2)], "x with Python 3.12.0, numpy 2"),
    ],
)
def test_cells_that_found_the_same_are_explained_once(tmp_path: Path, leaking: list[tuple[int, int]], title: str):
    reports = written(a_square(*leaking), tmp_path)

    assert re.findall("<h3>(.*?)</h3>", reports["report.html"]) == [title]
    assert f"\n- **{title}**: x grows" in reports["report.md"]
    assert reports["report.md"].count("- **") == 1


def test_a_cell_that_two_hosts_measured_counts_once_where_cells_are_named(tmp_path: Path):
    twice = [a_run(a_leak("x"), "numpy==2", host=host) for host in (N1, N2)]

    page = written(a_matrix(a_run(a_component("x"), "numpy==1"), *twice), tmp_path)["report.html"]

    assert re.findall("<h3>(.*?)</h3>", page) == ["x with numpy 2"]


def test_what_is_not_clean_is_told_with_its_hosts(tmp_path: Path):
    """An interpreter may be missing on one host of many."""
    clean = a_run(a_component("x"), "numpy==1", host=N1)
    failed = a_run(a_failure("x"), "numpy==2", host=N2)

    reports = written(a_matrix(clean, failed), tmp_path)

    assert '<span class="note">on n2</span>' in reports["report.html"]
    assert "- **x with numpy 2** on n2: x failed in call 7" in reports["report.md"]
    assert '<span class="note">on' not in written(a_matrix(failed), tmp_path)["report.html"]


def a_failure_of(detail: str) -> ComponentResult:
    failed = a_failure("x")
    assert failed.failure is not None
    return replace(failed, failure=replace(failed.failure, detail=detail))


def test_what_failed_in_another_way_is_explained_apart(tmp_path: Path):
    runs = [a_run(a_failure_of(detail), f"numpy=={version}") for version, detail in enumerate("aab")]

    page = written(a_matrix(*runs), tmp_path)["report.html"]

    assert re.findall("<h3>(.*?)</h3>", page) == ["x with numpy 0 and numpy 1", "x with numpy 2"]


def test_the_first_difference_is_the_heading_and_the_next_one_stands_below_it(tmp_path: Path):
    page = written(a_rich_matrix(), tmp_path)["report.html"]

    assert "<h1>Hosts disagree on display with numpy 2.3.1: LEAK on n1, CLEAN on n2.</h1>" in page
    assert '<p class="lead">New in numpy 2.4.0: decoder grows by' in page
