"""The recorder by itself, without preload: plainly, and under the sanitizers of this machine."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Callable
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
# The sanitizers need more address space than that case leaves, and only one case has threads.
CASES_UNDER = {
    "plain": CASES,
    "address": [name for name in CASES if "_limit_" not in name],
    "thread": [name for name in CASES if name.startswith("threads_")],
}


@pytest.fixture(scope="module")
def built(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Give a function that returns the program, built with a sanitizer."""
    folder = tmp_path_factory.mktemp("recorder")
    sources = [*sorted((build.SOURCE_FOLDER / "recorder").glob("*.c")), PROGRAM]
    warnings = ["-std=gnu11", "-g", "-Wall", "-Wextra", "-Werror", f"-I{build.SOURCE_FOLDER}"]

    @functools.cache
    def build_with(sanitizer: str) -> Path:
        target = folder / sanitizer
        command = [compiler, *warnings, *SANITIZERS[sanitizer], "-o", str(target), *map(str, sources), "-lpthread"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0 and sanitizer != "plain":
            pytest.skip(f"no {sanitizer} sanitizer here")
        assert result.returncode == 0, result.stderr
        return target

    return build_with


@pytest.mark.parametrize(
    ("sanitizer", "case"), [(sanitizer, case) for sanitizer, cases in CASES_UNDER.items() for case in cases]
)
def test_the_recorder_keeps_its_promise(built: Callable[[str], Path], sanitizer: str, case: str) -> None:
    """Each case is a sentence; the program exits with 0 when it holds."""
    result = subprocess.run([built(sanitizer), case, "100000"], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("case", CASES_UNDER["address"])
def test_it_does_so_while_leaves_are_packed(built: Callable[[str], Path], case: str) -> None:
    """All leaves, before each count."""
    result = subprocess.run([built("plain"), case, "200000", "pack"], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("sanitizer", "how"),
    [
        *((sanitizer, ("fork",)) for sanitizer in SANITIZERS),
        *((sanitizer, ("fork", "pack")) for sanitizer in SANITIZERS if sanitizer != "thread"),
        pytest.param("thread", ("fork", "pack"), marks=pytest.mark.stress),  # takes ten times as long
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
@pytest.mark.parametrize(
    "operations", [pytest.param(80_000, id="short"), pytest.param(10_000_000, id="long", marks=pytest.mark.stress)]
)
def test_threads_with_a_fork_in_the_middle_lose_nothing(
    built: Callable[[str], Path], sanitizer: str, operations: int, how: tuple[str, ...]
) -> None:
    """The stress: eight threads, counted, flagged and halved meanwhile; the counts are those of a reference."""
    # Only a child that starts threads is more than this sanitizer can take.
    environment = {**os.environ, "TSAN_OPTIONS": "die_after_fork=0"}

    command = [str(built(sanitizer)), "threads_lose_nothing", str(operations), *how]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.long
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
