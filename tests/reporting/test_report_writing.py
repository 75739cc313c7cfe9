"""A run's reports in its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from builder import a_component, a_failure, a_leak, a_run, from_table, parts, readings, sawtooth

from soak.errors import SoakError
from soak.reporting.write import figure_name, points_for, write_reports, write_text

BYTES_ALLOWED = 2_000_000


def test_a_run_gets_all_its_reports(tmp_path: Path):
    """An SVG for each component that was read; nothing half-written stays."""
    run = a_run(a_component("get"), a_leak("convert"), a_failure("unpack"), parts=parts())

    write_reports(run, from_table({"get": readings(), "convert": readings(rate=128.0)}), tmp_path)

    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "convert.survivors.svg", "convert.svg", "get.svg", "junit.xml", "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_a_run_without_components_gets_reports(tmp_path: Path):
    """Cut off before its first component."""
    write_reports(a_run(controls=None), from_table({}), tmp_path)

    assert (tmp_path / "report.html").read_text().count("Nothing was soaked") == 2


def test_the_page_of_a_million_cycles_is_small(tmp_path: Path):
    """Seven components with 8,000 readings each."""
    names = [f"component_{number}" for number in range(7)]
    series = sawtooth(8_000, every=128)

    write_reports(a_run(*(a_component(name, iterations=1_024_000) for name in names)), lambda _: series, tmp_path)

    assert (tmp_path / "report.html").stat().st_size < BYTES_ALLOWED


def test_figures_of_many_components_share_a_budget_of_points():
    """With a hundred components the page still opens, and a single component loses nothing."""
    assert points_for(1) == 600
    assert points_for(7) == 600
    assert points_for(100) == 200
    assert points_for(10_000) == 100


def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left_behind(tmp_path: Path):
    """One clear line, and the folder as it was."""
    (tmp_path / "report.md").mkdir()

    with pytest.raises(SoakError, match=r"cannot write .*report\.md: "):
        write_text(tmp_path / "report.md", "text")

    assert [file.name for file in tmp_path.iterdir()] == ["report.md"]


def test_a_file_is_replaced_as_a_whole(tmp_path: Path):
    """The old text is gone, the new is complete, and no other file is there."""
    file = tmp_path / "report.md"
    write_text(file, "a long old text")

    write_text(file, "new \udcff")

    assert file.read_text() == "new \\udcff"
    assert list(tmp_path.iterdir()) == [file]


def test_a_component_name_becomes_a_safe_file_name():
    """No name leads out of the run's folder or hides its figure."""
    assert figure_name("numpy_conversion") == "numpy_conversion.svg"
    assert figure_name("../../etc/passwd") == "_._.._etc_passwd.svg"
    assert figure_name("test_it.py::test[a<b]") == "test_it.py__test[a_b].svg"  # which uploaders of artifacts refuse
    assert len(figure_name("x" * 500)) == 204


def test_drawing_does_not_import_matplotlib():
    """Importing it takes longer than the rest of a short run."""
    script = "import sys, soak.reporting.write\nprint('matplotlib' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_only_drawing_imports_numpy_only_printing_rich_and_only_a_page_jinja():
    """Writing JSON does not need to import them."""
    script = (
        "import sys, soak.reporting\n"
        "from soak.reporting.formats import csv_export, html, json_report, junit, markdown\n"
        "print(sorted({'matplotlib', 'jinja2', 'rich', 'numpy', 'sqlite3'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
