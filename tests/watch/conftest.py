"""A program in C to watch; lets the tests here use the builders of others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
for folder in ("native", "commands", "faults"):
    sys.path.append(str(HERE.parent / folder))


@pytest.fixture(scope="session")
def watched(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program, with what a debugger needs."""
    target = tmp_path_factory.mktemp("watched") / "watched"
    subprocess.run([compiler, "-g", "-O1", "-o", target, HERE / "watched.c"], check=True)
    return target
