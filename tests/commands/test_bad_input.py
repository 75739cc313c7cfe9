"""Requests that cannot be carried out: exit code 2, one clear line on stderr, nothing on stdout, nothing measured."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import soak.__main__
from soak.commands import COMMANDS
from soak.commands.measuring.measure import signals_set

WriteFile = Callable[[str, str], Path]
Refuse = Callable[..., str]


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Give a function that calls soak in this test's folder and returns the one line of the error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        code = soak.__main__.main(list(arguments))
        said = capsys.readouterr()
        assert (code, said.out) == (2, "")
        assert said.err.startswith("soak: ")
        assert said.err.count("\n") == 1
        assert "Traceback" not in said.err
        return said.err.removeprefix("soak: ").rstrip("\n")

    return call


@pytest.fixture
def case(write: WriteFile) -> None:
    """Write a valid target: case.py:cycle."""
    write("case.py", "def cycle(): pass\n")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere", "unknown target 'nowhere': it is not a folder or a .py file"),
        ("gone.py", "there is no file"),
        ("gone.py:cycle", "there is no file"),
        ("case.py:circle", "'case.py:circle': case.py defines no 'circle'; it defines cycle"),
        ("no_such_module:cycle", "unknown target: CPython"),
        ("case.py:", "names no function"),
        ("empty", "no drivers in 'empty'"),
        ("drive_odd.py", "drive_odd.py has no function cycle(state), so it is not a driver"),
        ("drive_torn.py", "drive_torn.py is not valid Python"),
    ],
)
@pytest.mark.usefixtures("case")
def test_a_wrong_target_is_refused(refuse: Refuse, write: WriteFile, target: str, message: str):
    write("empty/helper.py", "")
    write("drive_odd.py", "def circle(): pass\n")
    write("drive_torn.py", "def circle(:\n")

    assert message in refuse("run", target)


def test_a_missing_target_is_refused(refuse: Refuse):
    assert refuse("run").startswith("nothing to soak: name a target, or set targets under [tool.soak]")


def test_two_drivers_with_one_name_are_refused(refuse: Refuse, write: WriteFile):
    for folder in ("one", "two"):
        write(f"{folder}/drive_same.py", "def cycle(state): pass\n")

    assert refuse("run", "one", "two").startswith("two components are named 'same': ")


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("[tool.soak]\nbugdet = '6s'\n", "unknown key 'bugdet' in [tool.soak] in "),
        ("[tool.soak.component.cycle]\nintervall = 1\n", "unknown key 'intervall' in [tool.soak.component.cycle] in "),
        ("[tool.soak]\nbudget = 'long'\n", "budget in [tool.soak] in "),
        ("[tool.soak\n", "cannot be read"),
    ],
)
@pytest.mark.usefixtures("case")
def test_a_mistake_in_the_configuration_is_refused(refuse: Refuse, write: WriteFile, configuration: str, message: str):
    """Named with its key and its file."""
    write("pyproject.toml", configuration)

    said = refuse("run", "case.py:cycle")

    assert message in said
    assert "pyproject.toml" in said


@pytest.mark.parametrize("python", ["/no/such/python", "/bin/true", "/bin/ls", "case.py"])
@pytest.mark.usefixtures("case")
def test_a_wrong_interpreter_is_refused(refuse: Refuse, python: str):
    assert f"--python {python}: this is not a working Python interpreter" in refuse(
        "run", "case.py:cycle", "--python", python
    )


@pytest.mark.parametrize("out", ["case.py", "case.py/below", "/proc/soak"])
@pytest.mark.usefixtures("case")
def test_a_folder_that_cannot_be_written_is_refused(refuse: Refuse, out: str):
    assert "cannot write a run there" in refuse("run", "case.py:cycle", "--out", out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--inject", "cycle=memory:5"], "unknown kind 'memory'"),
        (["--inject", "cycle=native"], "is not NAME=KIND:SIZE[/EVERY]"),
        (["--inject", "other=native:5"], "--inject other: no such component; this run has cycle"),
        (["--inject", "cycle=native:5", "--inject", "cycle=fd:1"], "only one leak can be planted in cycle"),
        (["--set", "cycle"], "is not NAME.key=value"),
        (["--set", "other.key=1"], "--set other: no such component; this run has cycle"),
        (["--set", "cycle.key=1"], "cycle is a function and takes no settings"),
        (["--tolerance", "0"], "a tolerance of 0 B can never be met"),
        (["--json", "gone/report.json"], "gone/report.json cannot be written: there is no folder gone"),
        (["--json", "-", "--junit", "-"], "two reports cannot both go to -"),
    ],
)
@pytest.mark.usefixtures("case")
def test_an_option_that_cannot_be_met_is_refused(refuse: Refuse, options: list[str], message: str):
    """Before anything is measured: no run's folder is left behind."""
    assert message in refuse("run", "case.py:cycle", *options)
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--iterations", "0"],
        ["--iterations", "-5"],
        ["--iterations", "many"],
        ["--duration", "long"],
        ["--interval", "-1s"],
        ["--tolerance", "x"],
        ["--n-min", "0"],
        ["--max-rss", "2 apples"],
        ["--no-such-option"],
    ],
)
def test_an_option_that_cannot_be_read_is_refused(options: list[str], capsys: pytest.CaptureFixture[str]):
    """Refused by the parser: code 2, and the last line names the option."""
    with pytest.raises(SystemExit) as ended:
        soak.__main__.main(["run", "case.py:cycle", *options])

    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert options[0] in said.err.splitlines()[-1]


@pytest.mark.parametrize("command", ["show", "report", "export"])
@pytest.mark.parametrize(("which", "message"), [("latest", "there are no runs under"), ("gone", "'gone' is not a run")])
def test_a_run_that_is_not_there(refuse: Refuse, command: str, which: str, message: str):
    assert message in refuse(command, which)


def test_a_damaged_run_is_refused(refuse: Refuse, write: WriteFile):
    write("reports/2026-11-20T14-40-57/run.db", "not a database at all")

    assert "run.db: file is not a database" in refuse("show", "latest")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("soka", "soak: there is no command 'soka' (see soak --help)"),
        ("runn", "soak: there is no command 'runn'; did you mean run? (see soak --help)"),
        ("run --iterationz 5", "soak run: there is no option --iterationz; did you mean --iterations? (see soak run"),
        ("run --bogus", "soak run: there is no option --bogus (see soak run --help)"),
        ("run --duration x", "soak run: --duration: 'x' is not a duration; write for example 100ms"),
        ("show one two", "soak show: 'two' is one argument too many"),
        ("fleet", "soak fleet: one of the arguments --local --scheduler --slurm --htcondor is required"),
    ],
)
def test_a_command_line_that_means_nothing(line: str, message: str, capsys: pytest.CaptureFixture[str]):
    """One line says what was wrong; it is not hidden below a list of all options."""
    with pytest.raises(SystemExit) as ended:
        soak.__main__.main(line.split())

    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(message)
    assert said.count("\n") == 1


def test_no_command(capsys: pytest.CaptureFixture[str]):
    assert soak.__main__.main([]) == 2
    assert "COMMAND" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rss.csv is empty"),
        ("iteration,rss\n", "rss.csv has no readings"),
        ("iteration,rss\n1,5\n", "rss.csv has one reading"),
        ("iteration,rss\n1,5\n2,x\n3,7\n", "rss.csv, line 3: the value 'x' is not a finite number"),
        ("iteration,rss\n1,5\n\n\n2,inf\n", "rss.csv, line 5: the value 'inf' is not a finite number"),
        ("iteration,rss\n1,5\ntwo,6\n3,7\n", "rss.csv, line 3: the iteration 'two' is not a finite number"),
        ("iteration,rss\n1,5\n3,6\n2,7\n", "rss.csv, line 4: iteration 2 comes after 3; sort the readings"),
        ("iteration,rss\n1,5\n2,6\n2,7\n", "rss.csv, line 4: iteration 2 appears twice"),
        ("iteration,rss\n1,5\n2\n3,7\n", "rss.csv, line 3: 1 fields, but the value should be in field 2"),
        ("1,5\n" + "2" * 200_000, "rss.csv, line 2: field larger than field limit"),
    ],
)
def test_a_series_that_cannot_be_judged_is_refused_by_its_line(
    refuse: Refuse, write: WriteFile, text: str, message: str
):
    """Lines are counted as in an editor, with the heading and empty lines."""
    write("rss.csv", text)

    assert message in refuse("judge", "rss.csv")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.csv"], "gone.csv cannot be read: No such file or directory"),
        (["."], ". cannot be read: Is a directory"),
        (["rss.csv", "--column", "pss"], "rss.csv has no column 'pss'; its columns are iteration, rss"),
        (["rss.csv", "--tolerance", "0"], "the tolerance must be above 0"),
        (["rss.csv", "--json", "gone/verdict.json"], "gone/verdict.json cannot be written"),
    ],
)
def test_a_wrong_request_to_judge_is_refused(refuse: Refuse, write: WriteFile, arguments: list[str], message: str):
    write("rss.csv", "iteration,rss\n" + "".join(f"{n},5\n" for n in range(100)))

    assert message in refuse("judge", *arguments)


def test_a_series_that_is_no_text_is_refused(refuse: Refuse, tmp_path: Path):
    (tmp_path / "rss.csv").write_bytes(b"iteration,rss\n1,\xff\xfe\n2,5\n")

    assert "rss.csv, line 2: the value '\\udcff\\udcfe' is not a finite number" in refuse("judge", "rss.csv")


@pytest.mark.parametrize(
    "text", ["\ufeffcycle,rss\r\n", "cycle,Gr\xf6\xdfe\n", "\ufeff"], ids=["mark", "latin", "no head"]
)
def test_a_series_from_another_system_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str):
    """A byte order mark, Windows' ends of lines, a heading in another encoding."""
    end = "\r\n" if "\r" in text else "\n"
    encoding = "latin-1" if "\xf6" in text else "utf-8"
    rows = "".join(f"{n},{112 * n}{end}" for n in range(1024))
    (tmp_path / "rss.csv").write_bytes((text + rows).encode(encoding))

    code = soak.__main__.main(["judge", str(tmp_path / "rss.csv"), "--n-min", "512", "--json", "-"])

    verdict = json.loads(capsys.readouterr().out)
    assert (code, verdict["verdict"], verdict["rate"], verdict["readings"]) == (1, "LEAK", 112, 1024)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        soak.__main__.main([command, "--help"])

    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert f"soak {command}" in said.partition("usage:")[2].partition("\n")[2]


def test_every_command_is_in_the_help_and_in_the_readme(capsys: pytest.CaptureFixture[str]):
    """A command that nobody can find does not exist."""
    with pytest.raises(SystemExit):
        soak.__main__.main(["--help"])
    said = capsys.readouterr().out

    readme = Path(__file__).parents[2] / "README.md"
    documented = readme.read_text(encoding="utf-8") if readme.exists() else None
    for command, line in COMMANDS.items():
        assert f"    {command}" in said
        assert line.split()[0] in said
        assert documented is None or f"soak {command}" in documented or f"`{command}`" in documented


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        soak.__main__.main(["--version"])

    assert (ended.value.code, capsys.readouterr().out) == (0, f"soak {soak.__version__}\n")


def test_a_signal_that_comes_while_the_event_is_locked_sets_it_all_the_same():
    stopping = threading.Event()
    with signals_set(stopping), stopping._cond:
        signal.raise_signal(signal.SIGTERM)

        assert stopping.is_set()
