"""Starts soak as a user does and waits for what its database and its reports say; nothing is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from command_builder import ROOT

from soak.errors import SoakError
from soak.store.runs import find_run, open_run

LIMIT_S = 120
CASE = """
import os, time
kept = []
def leak(): kept.append(object())
def clean(): pass
def slow(): time.sleep(0.0002 if os.path.exists('hurry') else 0.002)
"""
SMALL = ("--n-min", "512", "--no-track")
"""Ends at the verdict, so that a busy machine makes a component longer and not undecided."""


def begin(place: Path, *arguments: str, **more: Any) -> subprocess.Popen[bytes]:
    """Start ``soak run`` in ``place``; what it says goes nowhere unless ``more`` says otherwise."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        [sys.executable, "-m", "soak", "run", *arguments],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **{**streams, **more},
    )


def wait_until(condition: Callable[[], object]) -> None:
    """Wait until ``condition()`` is true; it may fail with what is not there yet."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        try:
            if condition():
                return
        except (SoakError, OSError, ValueError):
            pass
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


def latest(place: Path) -> Path:
    return find_run("latest", place / "reports")


def cycles_read(place: Path, component: str) -> int:
    """Return the cycle of the component's last checkpoint in the newest run; 0 for none."""
    with open_run(latest(place)) as store:
        return store.cycles_read().get(component) or 0


def read_report(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return document


def is_running(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
