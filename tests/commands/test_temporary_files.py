"""No command leaves anything in the temporary folder."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from command_builder import soak

PROGRAM = "import json, sys\ndef cycle():\n    json.loads('[1]')\nif sys.argv[1:]:\n    [cycle() for _ in range(99)]\n"
SMALL = ("--n-min", "64", "--checkpoint-every", "2")
LOG = "time,rss\n" + "".join(f"{second},{50_000_000 + second % 3}\n" for second in range(200))
COMMANDS = {
    "run": ("run", "program.py:cycle", "--iterations", "512", *SMALL),
    "run that leaks": ("run", "program.py:cycle", "--iterations", "2048", "--inject", "cycle=native:106", *SMALL),
    "run of a missing file": ("run", "missing.py:cycle"),
    "watch": ("watch", "--duration", "3s", "--", sys.executable, "program.py", "now"),
    "profile": ("profile", "program.py:cycle", "--iterations", "20"),
    "judge": ("judge", "rss.csv"),
    "doctor": ("doctor",),
}


@pytest.mark.integration
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name == "run")) for name in COMMANDS])
def test_no_command_leaves_a_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    place, temporary = tmp_path / "place", tmp_path / "t"
    place.mkdir()
    temporary.mkdir()
    (place / "program.py").write_text(PROGRAM, encoding="utf-8")
    (place / "rss.csv").write_text(LOG, encoding="utf-8")
    monkeypatch.setenv("TMPDIR", str(temporary))

    answer = soak(place, *COMMANDS[name])

    assert "Traceback" not in answer.err
    assert not list(temporary.iterdir())
