"""The interpreter that has Aravis: Debian's by default. Without one the tests are skipped, with one line."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def aravis_python() -> Iterator[str]:
    """Give an interpreter that has Aravis, to one test at a time: its fake cameras all have one address."""
    python = os.environ.get("ARAVIS_PYTHON", "/usr/bin/python3")
    asked = [python, "-m", "camera.missing", "aravis"]
    if not Path(python).exists() or subprocess.run(asked, cwd=ROOT, capture_output=True, check=False).returncode:
        pytest.skip("aravis is not installed; python -m camera.missing says what to install")
    with Path(__file__).open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield python
