"""The interpreter that has GStreamer: Debian's by default. Without one the tests are skipped, with one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RunCode = Callable[..., str]


@pytest.fixture(scope="session")
def gstreamer_python() -> str:
    """Give an interpreter that can run the jukebox."""
    python = os.environ.get("JUKEBOX_PYTHON", "/usr/bin/python3")
    if not Path(python).exists():
        pytest.skip(f"there is no {python}, which would have GStreamer")
    asked = subprocess.run([python, "-m", "jukebox.missing"], cwd=ROOT, capture_output=True, text=True, check=False)
    if asked.returncode:
        pytest.skip(asked.stdout.strip() or asked.stderr.strip()[-200:])
    return python


@pytest.fixture
def run_code(gstreamer_python: str, tmp_path: Path) -> RunCode:
    """Give a function that runs code of the jukebox in a process of its own and returns what it prints.

    ``fails_with``: the exit code to expect; what it prints on stderr is then returned as well.
    """

    def run(code: str, *arguments: str, fails_with: int = 0) -> str:
        done = subprocess.run(
            [gstreamer_python, "-c", code, *arguments],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == fails_with, done.stderr
        return done.stdout + (done.stderr if fails_with else "")

    return run
