"""Surroundings that withhold what soak needs: streams, memory, a working folder. Each is told in one line, code 2."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command_builder import ROOT, Answer

from soak.errors import starved_words
from soak.store.runs import list_runs, open_run

pytestmark = pytest.mark.integration

LOG = "iteration,value\n" + "".join(f"{cycle},{5_000_000}\n" for cycle in range(0, 4096, 8))
LEAK = "kept = []\ndef leak(): kept.append(object())\n"
LONG = "a" * 300
TOO_LITTLE = "only 97 MiB of memory are allowed"
RUN = "run case.py:leak --iterations 2048 --n-min 512 --no-track --no-early-stop"


def sh(folder: Path, script: str, **environment: str) -> Answer:
    """Run a script of sh in which ``soak`` is the command of this tree."""
    done = subprocess.run(
        ["sh", "-c", f'soak() {{ "{sys.executable}" -m soak "$@"; }}\n{script}'],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "log.csv").write_text(LOG, encoding="utf-8")
    (tmp_path / "case.py").write_text(LEAK, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("soak judge log.csv > /dev/full", "the output of soak cannot be written: No space left on device"),
        ("soak list --help | cat; soak judge - <&-", "stdin is empty"),
        (f"soak show {LONG}", f"{LONG}/run.db cannot be used: File name too long"),
        (f"soak run {LONG}", f"$PWD/{LONG} cannot be read: File name too long"),
        ("mkdir gone; cd gone; rmdir ../gone; soak list", "the working folder was removed: change to another one"),
        ("ulimit -v 99999; soak list", f"{TOO_LITTLE}, and soak needs 256: ulimit -v 262144 or more"),
        ("ulimit -d 99999; soak list", f"{TOO_LITTLE}, and soak needs 128: ulimit -d 131072 or more"),
    ],
    ids=["full", "no stdin", "long name", "long target", "no working folder", "no address space", "no memory"],
)  # fmt: skip
def test_one_line_names_what_is_missing(place: Path, script: str, line: str) -> None:
    answer = sh(place, script)

    assert (answer.code, answer.err) == (2, f"soak: {line}\n".replace("$PWD", str(place)))


def test_where_nothing_can_be_said_the_exit_code_says_it(place: Path) -> None:
    """Code 1 would be a leak."""
    assert sh(place, "exec 2> /dev/full; soak judge log.csv > /dev/full").code == 2


@pytest.mark.parametrize("limit", ["-v 300000", "-d 200000"])
def test_a_limit_of_memory_that_leaves_enough_changes_no_answer(place: Path, limit: str) -> None:
    free, limited = sh(place, "soak judge log.csv"), sh(place, f"ulimit {limit}; soak judge log.csv")

    assert free.out.startswith("CLEAN: ")
    assert limited == free


@pytest.mark.usefixtures("library")
def test_how_soak_imports_numpy_under_a_limit_is_not_inherited_by_what_is_measured(place: Path) -> None:
    """The limit itself is."""
    (place / "case.py").write_text(
        "import os\ndef asks(): assert os.environ.get('OPENBLAS_NUM_THREADS') == os.environ['EXPECTED']\n", "utf-8"
    )
    command = "ulimit -v 3000000; soak run case.py:asks --iterations 20 --no-track"

    assert sh(place, command, OPENBLAS_NUM_THREADS="2", EXPECTED="2").code == 3
    assert sh(place, command, EXPECTED="2").code == 4


def test_a_closed_stream_does_not_become_a_file_of_the_run(place: Path) -> None:
    """The next file that is opened gets the free number, and what a library writes to stderr would go into it."""
    answer = sh(place, f"soak {RUN} <&- >&- 2>&-")

    assert (answer.code, answer.out, answer.err) == (1, "", "")
    (run,) = list_runs(place / "reports")
    with open_run(run) as store:
        assert store.component_names() == ["leak"]
        assert store.read_readings("leak")[-1].cycle == 2048


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            MemoryError(),
            "there is not enough memory: raise ulimit -v, ulimit -d, or the limit of the container (memory.max)",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "there is not enough memory: "),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files: raise the limit with ulimit -n 1024"),
        (OSError(errno.EFBIG, "File too large", "a.json"), "a.json cannot be written: File too large"),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "a.json"), "a.json cannot be written: Disk quota exceeded"),
        (PermissionError(errno.EACCES, "Permission denied", "runs/a"), "runs/a cannot be used: Permission denied"),
    ],
)
def test_an_error_that_means_a_limit_is_told_as_one(error: Exception, words: str) -> None:
    assert (starved_words(error) or "").startswith(words)


@pytest.mark.parametrize("error", [FileNotFoundError(errno.ENOENT, "x"), ValueError("x"), PermissionError("x")])
def test_any_other_error_is_an_error_in_soak(error: Exception) -> None:
    assert starved_words(error) is None
