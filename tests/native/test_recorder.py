"""The recorder by itself, without preload: plainly, and under the sanitizers of this machine."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from soak.native import build

pytestmark = pytest.mark.native

PROGRAM = Path(__file__).parent / "recorder_test.c"
SANITIZERS = {
    "plain": ["-O2"],
    "address": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover"],
    "thread": ["-O1", "-fsanitize=thread"],
}
CASES = re.findall(r"CASE\(([a-z_0-9]+)\),", PROGRAM.read_text())
# The sanitizers need more address space than that case leaves.
CASES_UNDER_SANITIZERS = [name for name in CASES if "_limit_" not in name]


@pytest.fixture(scope="module", params=list(SANITIZERS))
def program(request: pytest.FixtureRequest, compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("recorder") / "recorder_test"
    sources = [*sorted((build.SOURCE_FOLDER / "recorder").glob("*.c")), PROGRAM]
    warnings = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{build.SOURCE_FOLDER}"]
    command = [compiler, *warnings, *SANITIZERS[request.param], "-o", str(target), *map(str, sources), "-lpthread"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0 and request.param != "plain":
        pytest.skip(f"no {request.param} sanitizer here")
    assert result.returncode == 0, result.stderr
    return target


@pytest.mark.parametrize("case", CASES)
def test_the_recorder_keeps_its_promise(program: Path, case: str, request: pytest.FixtureRequest) -> None:
    """Each case is a sentence; the program exits with 0 when it holds."""
    if request.node.callspec.params["program"] != "plain" and case not in CASES_UNDER_SANITIZERS:
        pytest.skip("a sanitizer needs more address space")

    result = subprocess.run([program, case], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "operations", [pytest.param(200_000, id="short"), pytest.param(10_000_000, id="long", marks=pytest.mark.stress)]
)
def test_threads_with_a_fork_in_the_middle_lose_nothing(program: Path, operations: int) -> None:
    """The stress: eight threads, counted, flagged and halved meanwhile; the counts are those of a reference."""
    # Only a child that starts threads is more than this sanitizer can take.
    environment = {**os.environ, "TSAN_OPTIONS": "die_after_fork=0"}

    command = [str(program), "threads_lose_nothing", str(operations), "fork"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert (result.returncode, result.stderr) == (0, "")


def test_the_library_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    """The flags of the build, with warnings as errors."""
    flags = ["-Werror", *build.COMPILER_FLAGS, f"-I{build.SOURCE_FOLDER}"]
    command = [compiler, *flags, "-o", tmp_path / "x.so", *build.sources(), *build.LINKER_FLAGS]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stderr) == (0, "")


def test_every_source_opens_with_what_it_is_for() -> None:
    """A comment on the first line, in the sources of the tracker and of the tests."""
    sources = [file for folder in (build.SOURCE_FOLDER, PROGRAM.parents[1]) for file in folder.rglob("*.[ch]")]

    assert len(sources) > 25
    assert [str(file) for file in sources if not file.read_text(encoding="utf-8").startswith("/* ")] == []
