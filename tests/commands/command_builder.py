"""Calls the command line: in this process where nothing is measured, as a real command where something is."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str


def soak(folder: Path, *arguments: str, stdin: str | None = None) -> Answer:
    """Run ``soak`` in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "soak", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    return Answer(done.returncode, done.stdout, done.stderr)
