"""The commands in the documentation: each is valid, and every recipe runs as printed."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from soak.commands import COMMANDS, module_of

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMES = "|".join(COMMANDS)
LINE = re.compile(rf"^(?: *[$] | *- (?:run: )?| *run: | +)?(soak (?:{NAMES})\b.*)$", re.MULTILINE)
EXPLANATION = re.compile(r"   .*|\s#.*")
SHELL_VALUE = re.compile(r'"[$][(].*?[)]"')
BLOCK = re.compile(r"(?:(?:^    .*)?\n)+", re.MULTILINE)
REST_OF_SHELL = {"||", "&&", "|", ">", ">>", ";"}
PLACEHOLDERS = ("…", "[", "<", " A B", "PACKAGE", "RUN RUN")


def commands() -> Iterator[tuple[str, str]]:
    """Give where each command stands, and the command."""
    texts = [(page.name, page.read_text(encoding="utf-8")) for page in PAGES]
    texts += [(name, module_of(name).__doc__ or "") for name in COMMANDS]
    for where, text in texts:
        for line in LINE.findall(text):
            if not any(placeholder in line for placeholder in PLACEHOLDERS):
                yield where, SHELL_VALUE.sub("1", EXPLANATION.sub("", line))


def python_blocks(page: str) -> list[str]:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [textwrap.dedent(block).strip("\n") + "\n" for block in BLOCK.findall(text)]


def recipes(page: str) -> dict[str, str]:
    """Return the files of a page: blocks that begin with their name as a comment."""
    named = [(re.match(r"# (\w+\.py)\n", block), block) for block in python_blocks(page)]
    return {found[1]: block for found, block in named if found}


def test_commands_are_found_where_they_are_written():
    places = {where for where, _ in commands()}

    assert places >= {"README.md", "ci.md", "watch.md", "bisect.md", "run", "compare"}


def test_every_command_is_understood(capsys: pytest.CaptureFixture[str]):
    """Its options exist and have the form that they are given in."""
    for where, line in sorted(set(commands())):
        words = shlex.split(line)
        ends = [at for at, word in enumerate(words) if word in REST_OF_SHELL]
        _, name, *arguments = words[: ends[0] if ends else None]
        parser = argparse.ArgumentParser(prog=f"soak {name}")
        module_of(name).add_arguments(parser)

        try:
            parser.parse_args(arguments)
        except SystemExit:
            pytest.fail(f"{where}: {line}: {capsys.readouterr().err}")


@pytest.mark.integration
@pytest.mark.parametrize("name", sorted(recipes("python-api.md")))
def test_every_recipe_runs_as_it_stands(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nothing in it leaks; on a busy machine a recipe may be undecided at the end of its budget."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / name).write_text(recipes("python-api.md")[name], encoding="utf-8")

    answer = subprocess.run([sys.executable, name], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert re.search(r"\b(CLEAN|INCONCLUSIVE)\b", answer.stdout)
    assert not re.search(r"\b(LEAK|FAILED)\b", answer.stdout)


@pytest.mark.integration
def test_the_tests_on_the_page_of_pytest_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # whether soak is installed here or not
    ((name, text),) = recipes("pytest.md").items()
    (tmp_path / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "soak.testing.plugin", "--basetemp", "temporary", name]

    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "2 passed" in answer.stdout, answer.stdout


def test_the_rule_says_of_the_series_on_the_page_what_stands_beside_it(capsys: pytest.CaptureFixture[str]):
    (block,) = [block for block in python_blocks("python-api.md") if "soak.judge(" in block and "found" in block]

    exec(f"import soak\n{block}", {})

    assert capsys.readouterr().out.startswith("LEAK 105.7")
