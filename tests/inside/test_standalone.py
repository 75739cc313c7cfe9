"""A driver run by itself: resident memory first, tracemalloc in a second loop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from soak.inside import standalone

WriteFile = Callable[[str, str], Path]
ROOT = Path(__file__).parents[2]
LINE = re.compile(r"iterations=(\d+) Δmemory=(-?\d+) KiB => Δmem_per_iter=(-?\d+\.\d) B")
DRIVER = '''
"""Count what is called."""
calls = {"setup": 0, "cycle": 0, "teardown": 0, "traced": 0}
import tracemalloc
kept = []
def setup():
    calls["setup"] += 1
    return 16
def cycle(size):
    calls["cycle"] += 1
    calls["traced"] += tracemalloc.is_tracing()
    kept.append(bytes(size * 1024))
def teardown(size):
    calls["teardown"] += 1
    print(calls)

if __name__ == "__main__":
    from soak.inside.standalone import main
    main(globals())
'''


def run(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(file), *arguments],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_a_driver_by_itself_prints_its_line_and_then_what_grew(write: WriteFile):
    """1,000 cycles untraced that keep 16 KiB each, then a tenth as many and one more under tracemalloc."""
    done = run(write("drive_it.py", DRIVER), "--iterations", "1000", "--interval", "0")

    lines = done.stdout.splitlines()
    matched = LINE.fullmatch(lines[0])
    assert done.returncode == 0, done.stderr
    assert matched is not None, lines[0]
    assert int(matched[1]) == 1000
    assert int(matched[2]) == pytest.approx(16 * 1024, rel=0.1)
    assert float(matched[3]) == pytest.approx(16 * 1024, rel=0.1)
    assert lines[1] == "tracemalloc over 100 more iterations, largest differences first:"
    assert "drive_it.py:12: " in lines[2]
    assert re.search(r"\(\+16\d\d KiB\), count=\d+ \(\+10[0-2]\)", lines[2])
    assert lines[-1] == "{'setup': 1, 'cycle': 1101, 'teardown': 1, 'traced': 101}"


def test_a_driver_that_keeps_nothing_does_not_grow(write: WriteFile):
    """The twin."""
    done = run(write("drive_it.py", DRIVER.replace("kept.append", "len")), "--iterations", "1000", "--interval", "0")

    matched = LINE.fullmatch(done.stdout.splitlines()[0])
    assert matched is not None
    assert abs(int(matched[2])) <= 512


def test_the_teardown_runs_when_a_cycle_raises(write: WriteFile):
    done = run(write("drive_it.py", DRIVER.replace("kept.append(", "open(")), "--iterations", "3", "--interval", "0")

    assert done.returncode == 1
    assert "'teardown': 1" in done.stdout


def test_setup_and_teardown_are_optional(capsys: pytest.CaptureFixture[str]):
    calls: list[object] = []

    standalone.main({"cycle": calls.append}, ["--iterations", "20", "--interval", "0"])

    assert calls == [None] * 23
    assert LINE.match(capsys.readouterr().out)


def test_the_pace_is_a_tenth_of_a_second_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch):
    """Deadlines lie on a grid; the clock here only moves by sleeping."""
    now_s = [100.0]
    starts: list[float] = []
    monkeypatch.setattr(standalone.RealTime, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(standalone.RealTime, "sleep", lambda seconds: now_s.__setitem__(0, now_s[0] + seconds))

    standalone.main({"cycle": lambda state: starts.append(now_s[0])}, ["--iterations", "5"])

    assert [start - starts[0] for start in starts[:5]] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("text", "seconds"), [("100ms", 0.1), ("2s", 2.0), ("0", 0.0), ("1.5", 1.5), ("2min", 120.0), ("1h", 3600.0)]
)
def test_the_pace_is_written_as_on_the_command_line(text: str, seconds: float, monkeypatch: pytest.MonkeyPatch):
    asked: list[float] = []
    monkeypatch.setattr(standalone, "_loop", lambda cycle, state, iterations, interval_s: asked.append(interval_s))

    standalone.main({"cycle": lambda state: None}, ["--interval", text])

    assert asked == pytest.approx([seconds, seconds])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--iterations", "0"], "at least one cycle is needed"),
        (["--interval", "often"], "'often' is not a duration; write for example 100ms"),
    ],
)
def test_what_cannot_be_done_is_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        standalone.main({"cycle": lambda state: None}, arguments)

    assert ended.value.code == 2
    assert message in capsys.readouterr().err
