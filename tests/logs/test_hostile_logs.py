"""Logs that have no end, are no logs, or are made to fill the memory: one line, after little was read."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from soak.errors import SoakError, UsageError
from soak.logs.choice import Asked
from soak.logs.reading import source
from soak.logs.reading.source import Source
from soak.logs.series import read_series

pytestmark = pytest.mark.integration
LONGEST_S = 120


def judge(*arguments: str, feed: Iterable[bytes] = ()) -> tuple[int, str]:
    """Give ``soak judge`` what ``feed`` yields until it has enough; return the exit code and its words."""
    command = [sys.executable, "-m", "soak", "judge", *arguments]
    pipe = subprocess.PIPE
    # Without a buffer nothing is left to be written at the end, when soak does not read any more.
    with subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            for part in feed:
                process.stdin.write(part)
            process.stdin.close()
        except BrokenPipeError:
            pass
        return process.wait(LONGEST_S), process.stdout.read().decode()


def endless(part: bytes, begin: bytes = b"") -> Iterator[bytes]:
    yield begin
    yield from itertools.repeat(part * 10_000)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/urandom", "/dev/full", "/dev/null"])
def test_a_device_is_no_log(device: str):
    code, words = judge(device)

    assert (code, words.count("\n")) == (2, 1)
    assert words.startswith(f"soak: {device} is ")


@pytest.mark.parametrize(
    ("begin", "part", "reason"),
    [
        (b"", b"1234567", "numbers in columns"),
        (b"iteration,rss\n1,2\n2,2\n", b"12", "line 4: longer than"),
        (b'iteration,rss\n1,2\n2,2\n3,"', b"12\n", "field larger than field limit"),
        (b"iteration,rss\n1,2\n2,2\n", b"\n\n3,\0\n", "is not a text file"),
    ],
    ids=["one line", "a line later", "a quote without an end", "zeros later"],
)
def test_what_has_no_end_is_not_read_to_its_end(begin: bytes, part: bytes, reason: str):
    code, words = judge("-", feed=endless(part, begin))

    assert (code, words.count("\n")) == (2, 1)
    assert words.startswith("soak: stdin")
    assert reason in words


def test_a_named_pipe_into_which_nobody_writes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(source, "NO_WRITER_S", 0.1)

    with pytest.raises(Exception, match="is empty"):
        Source(str(tmp_path / "pipe"))


def test_a_log_of_ever_new_processes_is_not_read_to_its_end(tmp_path: Path):
    """Each would be remembered."""
    file = tmp_path / "log.csv"
    rows = "".join(f"{n},{n * 7919 % 1_000_003},29320000\n" for n in range(20_000))
    file.write_text(f"time,pid,rss\n{rows}it is not read to here\n")

    with pytest.raises(UsageError, match=r"has very many in column pid: 0, 7919, .* choose one with --only 'pid=0'"):
        read_series(Source(str(file)), Asked())


@pytest.mark.parametrize(
    "text",
    [
        "              total        used        free\nMem:\nMem:  15912  7000  8000\n" * 40,
        "2025-01-01 00:00:00,web,28MiB,1\n2025-01-01 00:00:01,web\n" * 40,
        "rss,host,pid\n5,a,1\n6,a,2\n7\n" * 40,
    ],
    ids=["a row that was cut off in free", "short rows without a heading", "rows without their process"],
)
def test_a_row_that_was_cut_off_is_no_error_in_soak(tmp_path: Path, text: str):
    (tmp_path / "a.log").write_text(text, encoding="utf-8")

    with contextlib.suppress(SoakError):
        read_series(Source(str(tmp_path / "a.log")), Asked())
