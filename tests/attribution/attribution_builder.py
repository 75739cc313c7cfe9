"""Soaks code that a test writes, under the tracker and with scans, and returns what was found."""

from __future__ import annotations

import shutil
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from soak.native.build import NotBuilt, built_library
from soak.request import Injection
from soak.results import Cause, ComponentResult
from soak.running.component.result import make_result
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext
from soak.running.interpreter import find_interpreter
from soak.settings import ComponentPlan
from soak.targets import EMPTY, Target, find_targets

CYCLES = 600
N_MIN = 100_000
"""Out of reach, so that only a scan can say LEAK."""


def others(*versions: str) -> list[Any]:
    """Return cases of interpreters for make test-interpreters."""
    return [pytest.param(version, marks=pytest.mark.interpreters) for version in versions]


def interpreter_of(version: str) -> str:
    """Return an interpreter of this version, or skip the test."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    command = str(installed[-1]) if installed else shutil.which(f"python{version}")
    if command is None:
        pytest.skip(f"no CPython {version}")
    return command


def soak_text(folder: Path, text: str, python: str | None = None, **changes: int) -> ComponentResult:
    """Write a driver of this text and soak it; ``changes``: those of soak_target."""
    (folder / "drive_it.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return soak_target(folder, find_targets(["drive_it.py"], folder)[0], None, python, **changes)


def soak_planted(folder: Path, kind: str, size: int, python: str | None = None) -> ComponentResult:
    """Soak an empty cycle with a planted leak."""
    return soak_target(folder, EMPTY, Injection(kind, size), python)


def soak_target(
    folder: Path,
    target: Target,
    injection: Injection | None,
    python: str | None,
    cycles: int = CYCLES,
    n_min: int = N_MIN,
    checkpoint_every: int = 5,
) -> ComponentResult:
    built = built_library()
    if isinstance(built, NotBuilt):
        pytest.skip(built.reason)
    plan = ComponentPlan(
        target,
        iterations=cycles,
        early_stop=False,
        n_min=n_min,
        checkpoint_every=checkpoint_every,
        injection=injection,
    )
    interpreter = find_interpreter(python)
    context = RunContext(interpreter, folder, threading.Event(), built.path)
    return make_result(plan, soak_component(plan, context), None, interpreter)


def causes_at(result: ComponentResult, marker: str) -> list[Cause]:
    """Return the causes whose native function, or whose Python line's text, contains ``marker``."""
    found = []
    for cause in result.causes:
        words = [cause.where.function or ""] if cause.where else []
        if cause.python_where is not None and cause.python_where.file and cause.python_where.line:
            lines = Path(cause.python_where.file).read_text(encoding="utf-8").splitlines()
            words.append(lines[cause.python_where.line - 1])
        if any(marker in word for word in words):
            found.append(cause)
    return found
