"""Every way to get memory and to give it back, from eight threads, under the preloaded tracker: exact counts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from soak.native import build, preload

pytestmark = [pytest.mark.native, pytest.mark.integration]

NOT_HERE = 77
PROGRAM = Path(__file__).with_name("stress.c")


@pytest.fixture(scope="module")
def program(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("stress") / "stress"
    flags = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-builtin", f"-I{build.SOURCE_FOLDER}"]
    subprocess.run([compiler, *flags, "-o", target, PROGRAM, "-ldl", "-lpthread"], check=True)
    return target


@pytest.mark.parametrize(
    "operations", [pytest.param(400_000, id="short"), pytest.param(10_000_000, id="long", marks=pytest.mark.stress)]
)
def test_the_ledger_equals_a_reference_count(program: Path, library: Path, tmp_path: Path, operations: int) -> None:
    """Blocks, bytes and births of each way, with a fork in the middle, flagged sites, and epochs that are halved."""
    with preload.preloading(library, os.environ) as environment:
        command = [program, str(operations), tmp_path / "ledger"]
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    if result.returncode == NOT_HERE:
        pytest.skip("no libstdc++")
    assert (result.returncode, result.stderr) == (0, "")
    assert sum(" births" in line for line in result.stdout.splitlines()) == 19
