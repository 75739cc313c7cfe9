"""A small C library that keeps and loses blocks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    target = tmp_path_factory.mktemp("keeper") / "keeper.so"
    source = Path(__file__).with_name("keeper.c")
    flags = ["-g", "-O1", "-fno-builtin", "-shared", "-fPIC", "-lpthread"]
    subprocess.run([compiler, *flags, "-o", target, source], check=True)
    return target
