"""The short form of benchmarks/fuzz.py: some mutated files of each kind; each is read, or refused in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import fuzz

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    fuzz.make_files(folder)
    return folder


@pytest.mark.parametrize("kind", list(fuzz.KINDS))
def test_mutated_files_are_read_or_refused_in_one_line(kind: str, files: Path):
    arguments = [kind, str(files), "0", "24", "2", "60"]

    ended = subprocess.run(
        [sys.executable, fuzz.__file__, "--of", *arguments], capture_output=True, text=True, timeout=300, check=False
    )

    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["faults"] == []
    assert found["read"] > 0
    assert found["refused"] > 0
    assert found["read"] + found["refused"] == 24
