"""Soaks drivers with the tracker, through the real supervisor, and gives the result as a report would have it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from soak.reporting.words import why_words
from soak.results import Cause, ComponentResult
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext, find_library
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan
from soak.targets import find_targets

PLANTED = Path(__file__).parent.parent / "planted"
NATIVE_CODE = PLANTED / "native_code.py"
VERSIONS = ("3.8", "3.11", "3.13", "3.14", "3.15")
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
ALWAYS = "3.13"
"""Beside this interpreter; since 3.13 objects are followed in another way."""


def interpreters() -> dict[str, str]:
    """Return the interpreters of VERSIONS that this machine has, and this one."""
    found = {OWN: sys.executable}
    for version in VERSIONS:
        installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
        command = str(installed[-1]) if installed else shutil.which(f"python{version}")
        if command:
            found.setdefault(version, command)
    return found


def by_version(*values: str, also: Collection[str] = (ALWAYS,)) -> list[Any]:
    """Return a case for each interpreter: its version, and these values.

    This interpreter is for make test, and so are those of ``also``; the others are for make test-interpreters.
    """
    return [
        pytest.param(version, *values, marks=[] if version in (OWN, *also) else [pytest.mark.interpreters])
        for version in interpreters()
    ]


def soak_file(file: Path, python: str | None = None, *, track: bool = True, **changes: Any) -> ComponentResult:
    """Soak a driver as ``soak run --iterations 500`` does, without controls; ``changes`` replace fields of the plan."""
    plan = replace(ComponentPlan(find_targets([str(file)], file.parent)[0], iterations=500), **changes)
    interpreter = find_interpreter(python)
    library, reason = find_library() if track else (None, "--no-track")
    course = soak_component(plan, RunContext(interpreter, file.parent, threading.Event(), library, reason))
    return make_result(plan, course, None, interpreter)


def soak_text(folder: Path, text: str, python: str | None = None, **changes: Any) -> ComponentResult:
    """Write a driver of this text and soak it."""
    folder.mkdir(exist_ok=True)
    file = folder / "drive_it.py"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return soak_file(file, python, **changes)


def soak_planted(
    name: str, folder: Path, binding: str = "extension", python: str = sys.executable, **changes: Any
) -> ComponentResult:
    """Soak a program of tests/planted that has native code, which is built in ``folder``."""
    settings = {"binding": binding, "folder": str(folder)}
    return soak_file(PLANTED / f"{name}.py", python, settings=settings, **changes)


def can_build(binding: str, python: str, folder: Path) -> bool:
    """Build the native code for an interpreter; False where it has no headers or there is no compiler."""
    command = [python, str(NATIVE_CODE), binding, str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def line_of(file: Path, mark: str) -> int:
    """Return the number of the line that ends with ``mark``."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.rstrip().endswith(mark))


def cause_at(result: ComponentResult, file: Path, line: int) -> Cause:
    """Return the cause at a line, native or Python's; if there is none, fail the test with the list of causes."""
    for cause in result.causes:
        for place in (cause.where, cause.python_where):
            if place is not None and place.file == str(file) and place.line == line:
                return cause
    raise AssertionError(f"no cause at {file}:{line}; {result.verdict.value}: {why_words(result)} {result.causes}")
