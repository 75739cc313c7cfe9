"""soak compare on report.json files: exit codes, outputs, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from soak.__main__ import main
from soak.analysis.comparison import Change, Kind
from soak.reporting.commands.compare import headline
from soak.reporting.formats.json_report import render_json
from soak.reporting.formats.sarif import render_sarif
from soak.results import Failure, Place, RunResult
from soak.verdict import Verdict
from tests.compare.test_compare_runs import CLEAN, leaking
from tests.reporting.builder import a_component, a_run


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with clean.json and leak.json."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clean.json").write_text(render_json(a_run(CLEAN, run="before")))
    (tmp_path / "leak.json").write_text(render_json(a_run(leaking(106), run="after")))
    return tmp_path


@pytest.mark.parametrize(
    ("names", "code"),
    [(("clean", "leak"), 1), (("leak", "clean"), 0), (("leak", "leak"), 0), (("clean", "clean"), 0)],
)
def test_only_what_is_new_or_worse_fails(reports: Path, names: tuple[str, str], code: int):
    assert main(["compare", *(f"{name}.json" for name in names)]) == code


def test_a_folder_with_a_report_is_as_good_as_the_file(reports: Path, capsys):
    (reports / "run").mkdir()
    (reports / "clean.json").rename(reports / "run" / "report.json")

    assert main(["compare", "run", "leak.json"]) == 1
    assert "▲ new       decoder: CLEAN → 106 B/cycle [105, 107]" in capsys.readouterr().out


def test_json_names_each_change_with_its_interval(reports: Path, capsys):
    main(["compare", "clean.json", "leak.json", "--json", "-"])

    document = json.loads(capsys.readouterr().out)
    component, place = document["changes"]
    assert (document["schema"], document["failing"]) == (1, True)
    assert (component["kind"], component["verdict_before"], component["verdict_after"]) == ("new", "CLEAN", "LEAK")
    assert (place["fingerprint"], place["after"]["low"], place["after"]["high"]) == ("f1", 105, 107)


def test_markdown_is_a_table_of_what_changed(reports: Path):
    main(["compare", "clean.json", "leak.json", "--markdown", "comment.md"])

    comment = (reports / "comment.md").read_text()
    assert comment.startswith("### soak: 1 component compared: 1 new; places: 1 new.\n\n| change | component |")
    assert "| ▲ new | decoder |  | CLEAN | 106 B/cycle [105, 107] |" in comment


def test_markdown_names_the_projects_files_as_they_are_seen_in_it(reports: Path):
    (reports / "leak.json").write_text(render_json(a_leak_at(f"{reports}/src/frame.c", 88)))

    main(["compare", "clean.json", "leak.json", "--markdown", "comment.md"])

    assert "(src/frame.c:88)" in (reports / "comment.md").read_text()


def test_markdown_of_no_change_is_a_sentence(reports: Path, capsys):
    main(["compare", "leak.json", "leak.json", "--markdown", "-"])

    assert "compared: nothing changed." in capsys.readouterr().out


def test_a_component_that_is_not_measured_any_more_is_counted():
    clean = Change("x", Kind.REMOVED, None, None, Verdict.CLEAN, None)

    assert headline([clean]) == "1 component compared: 1 removed."


def a_leak_at(
    file: str, line: int | None, python: str | None = None, frames: tuple[Place, ...] = (), **changes: Any
) -> RunResult:
    leak = leaking(106, **changes)
    places = {"where": Place("decode", file, line), "python_where": Place("cycle", python, 7) if python else None}
    cause = dataclasses.replace(leak.causes[0], frames=frames, **places)
    return a_run(dataclasses.replace(leak, causes=(cause,)), run="2026-03-01")


def place_of(run: RunResult, root: Path) -> tuple[str, int]:
    """Return the file and the line at which an uploader shows the only result."""
    (result,) = json.loads(render_sarif(run, root))["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    return place["artifactLocation"]["uri"], place["region"]["startLine"]


def test_sarif_points_at_the_line_in_c(tmp_path: Path):
    """The form that uploaders read: rules, one location under the root, a fingerprint."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "frame.c").touch()

    document = json.loads(render_sarif(a_leak_at(str(tmp_path / "src" / "frame.c"), 88), tmp_path))

    (run,) = document["runs"]
    (result,) = run["results"]
    assert (document["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "soak")
    assert run["automationDetails"] == {"id": "soak/2026-03-01"}
    assert (result["ruleId"], result["level"]) == (run["tool"]["driver"]["rules"][0]["id"], "error")
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "src/frame.c", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 88},
    }
    assert result["partialFingerprints"] == {"soak/v1": "decoder:f1"}


def test_sarif_takes_the_python_line_when_the_c_file_is_not_ours(tmp_path: Path):
    (tmp_path / "work.py").touch()

    assert place_of(a_leak_at("/usr/src/libz/inflate.c", 5, "work.py"), tmp_path) == ("work.py", 7)


def test_sarif_takes_the_nearest_caller_that_is_ours(tmp_path: Path):
    """If a header or another library allocates, the place is the nearest line of the project, in C if there is one."""
    (tmp_path / "work.py").touch()
    (tmp_path / "my frame.c").touch()
    installed = tmp_path / ".venv" / "site-packages" / "other.py"
    installed.parent.mkdir(parents=True)
    installed.touch()
    frames = (
        Place("operator new", "/usr/include/c++/12/new", 10, "frame.so"),
        Place("helper", str(installed), 3),
        Place("void parse<int (*)(char const&)>(char in)", str(tmp_path / "my frame.c"), 88, "frame.so"),
        Place("cycle", str(tmp_path / "work.py"), 7),
    )

    assert place_of(a_leak_at("/usr/include/c++/12/new", 10, "work.py", frames), tmp_path) == ("my%20frame.c", 88)


def test_sarif_shows_what_has_no_line_of_ours_at_the_projects_own_file(tmp_path: Path):
    """One result without a place makes an uploader refuse the whole file."""
    (tmp_path / "pyproject.toml").touch()

    assert place_of(a_leak_at("/usr/src/x.c", 5, target="json:loads"), tmp_path) == ("pyproject.toml", 1)


def test_sarif_shows_a_failure_where_it_was_raised(tmp_path: Path):
    (tmp_path / "work.py").touch()
    stack = (
        f'  File "{tmp_path / "work.py"}", line 3, in cycle',
        '  File "/usr/lib/json/decoder.py", line 90, in decode',
    )
    failed = a_component(
        "decoder", verdict=Verdict.FAILED, failure=Failure("cycle", 1, "exception", "ValueError", stack)
    )

    assert place_of(a_run(failed), tmp_path) == ("work.py", 3)


def test_sarif_has_what_the_standard_and_code_scanning_require(tmp_path: Path):
    """The standard wants a message of each result; code scanning also a place, and of each rule texts and help."""
    (tmp_path / "work.py").touch()
    document = json.loads(render_sarif(a_leak_at(str(tmp_path / "work.py"), 5), tmp_path))

    (run,) = document["runs"]
    (result,), (rule,) = run["results"], run["tool"]["driver"]["rules"]
    assert document["$schema"].endswith("sarif-2.1.0.json")
    assert set(rule) >= {"id", "name", "shortDescription", "fullDescription", "help", "defaultConfiguration"}
    assert all(rule[name]["text"] for name in ("shortDescription", "fullDescription", "help"))
    assert rule["name"].isidentifier()
    assert rule["name"].lower() != rule["id"], "the standard forbids a name that only repeats the id"
    assert rule["defaultConfiguration"]["level"] in ("note", "warning", "error")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["message"]["text"].startswith("decoder: ")
    assert str(tmp_path) not in result["message"]["text"]
    assert len(result["locations"]) == len(result["partialFingerprints"]) == 1


def test_sarif_of_a_comparison_says_what_is_new(reports: Path):
    main(["compare", "clean.json", "leak.json", "--sarif", "new.sarif"])
    main(["compare", "leak.json", "leak.json", "--sarif", "old.sarif"])

    states = [json.loads((reports / name).read_text())["runs"][0]["results"][0] for name in ("new.sarif", "old.sarif")]
    assert [state["baselineState"] for state in states] == ["new", "unchanged"]


def test_sarif_of_a_clean_run_is_an_empty_list_of_results(tmp_path: Path):
    assert json.loads(render_sarif(a_run(CLEAN), tmp_path))["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "not a report.json of soak"),
        ("not json", "not a report.json of soak"),
        ('{"schema": 99}', "has schema 99; this soak reads up to 1"),
        ("[1]", "not a report.json of soak"),
    ],
)
def test_a_file_that_is_no_report_is_refused_in_one_line(reports: Path, capsys, content: str, said: str):
    (reports / "bad.json").write_text(content)

    assert main(["compare", "bad.json", "leak.json"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nowhere", "leak.json"], ["latest", "leak.json"]])
def test_a_run_that_is_not_there_is_refused(reports: Path, capsys, arguments: list[str]):
    assert main(["compare", *arguments]) == 2


def test_two_outputs_cannot_share_stdout(reports: Path, capsys):
    assert main(["compare", "clean.json", "leak.json", "--json", "-", "--sarif", "-"]) == 2
