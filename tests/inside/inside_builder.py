"""A ring without a process behind it, a clock that only moves when told, and a Python of its own for exact counts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from soak.inside import loop, ring

ROOT = Path(__file__).parents[2]
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
"""Of CPython, under which what runs in the measured process is tried."""


def python_of(version: str) -> str:
    """Return the interpreter of this version; skip the test where there is none."""
    if version == f"{sys.version_info[0]}.{sys.version_info[1]}":
        return sys.executable
    installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    if not installed:
        pytest.skip(f"there is no Python {version} here")
    return str(installed[-1])


def a_ring(folder: Path, settings: bytes = b"") -> ring.Ring:
    path = str(folder / "ring")
    ring.create(path, settings)
    return ring.Ring(path)


def fields(cycle: int = 0, **values: int) -> tuple[int, ...]:
    """Return the measured fields of a row, in order; those not named are 0."""
    return tuple({"cycle": cycle, **values}.get(name, 0) for name in ring.ROW_FIELDS[:-2])


def rows_of(area: ring.Ring) -> list[dict[str, int]]:
    """Return all rows that can be read, as dictionaries."""
    rows = (area.read_row(number) for number in range(area.words[ring.WORD_ROWS_WRITTEN]))
    return [dict(zip(ring.ROW_FIELDS, row, strict=True)) for row in rows if row is not None]


class Clock:
    """Stands in for the time module; sleeping moves it, and so does who calls `advance`."""

    def __init__(self) -> None:
        self.now_ns = 10**12
        self.longest_sleep_s = 0.0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def thread_time_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.longest_sleep_s = max(self.longest_sleep_s, seconds)
        self.now_ns += round(seconds * 1e9)

    def advance(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


class Parent:
    """Plays the parent in the child's own thread: at each checkpoint it takes the row, or does what it was told."""

    def __init__(self, area: ring.Ring, at_row: Callable[[dict[str, int]], None] = lambda row: None) -> None:
        self.area = area
        self.rows: list[dict[str, int]] = []
        self._at_row = at_row

    def wake(self) -> None:
        words = self.area.words
        for number in range(words[ring.WORD_ROWS_READ], words[ring.WORD_ROWS_WRITTEN]):
            row = self.area.read_row(number)
            assert row is not None
            self.rows.append(dict(zip(ring.ROW_FIELDS, row, strict=True)))
            self._at_row(self.rows[-1])
        words[ring.WORD_ROWS_READ] = words[ring.WORD_ROWS_WRITTEN]

    def cycles(self) -> list[int]:
        return [row["cycle"] for row in self.rows]


def a_loop(area: ring.Ring, **changes: Any) -> loop.Loop:
    """Make a flat-out loop of ten cycles with a checkpoint after each; ``changes`` replace its arguments."""
    arguments = {
        "interval_s": 0.0,
        "iterations": 10,
        "checkpoint_every": 1,
        "period": 1,
        "checkpoint_share": None,
        "leak": None,
        "leak_every": 1,
        "read_traced": None,
        "tracker": None,
        **changes,
    }
    return loop.Loop(area, **arguments)


def attend(soaking: loop.Loop, parent: Parent) -> None:
    """Let ``parent`` take the loop's rows at once, in the same thread."""
    soaking.written = parent  # type: ignore[assignment]
    soaking.read = SimpleNamespace(wait=lambda seen, timeout_s: None)  # type: ignore[assignment]


def ask_python(code: str, *arguments: str, executable: str = sys.executable) -> Any:
    """Run code in a fresh interpreter that finds soak, and return what it prints as JSON."""
    answer = subprocess.run(
        [executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)
