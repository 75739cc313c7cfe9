"""Commands that soak tells a person to type, typed (tests/reporting/test_hints.py has what they say)."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_builder import soak as run_soak

import soak
from soak.reporting import words as say
from soak.verdict import Verdict

pytestmark = pytest.mark.integration


def test_the_command_that_would_decide_does(tmp_path: Path):
    """From a folder of one's own, with a setting and a planted leak, as printed."""
    (tmp_path / "drive_it.py").write_text("def setup(size): return size\ndef cycle(state): bytes(state)\n", "utf-8")
    asked = ["--set", "it.size=8", "--inject", "it=native:106", "--tolerance", "2B", "--out", "my reports"]
    first = run_soak(tmp_path, "run", "drive_it.py", *asked, "--iterations", "60", "--no-track", "--json", "first.json")
    hint = re.search(r"To decide it: (soak run .*)", first.out)

    assert first.code == 3
    assert hint is not None
    second = run_soak(tmp_path, *shlex.split(hint[1])[1:], "--json", "second.json")

    component = json.loads((tmp_path / "second.json").read_text("utf-8"))["components"][0]
    assert (second.code, component["verdict"]) == (1, Verdict.LEAK), second.err
    assert component["messages"][0] == "A leak was planted: native:106, every cycle."
    assert [component["tolerance_bytes"], component["tracker"]["reason"]] == [2.0, "--no-track"]
    assert 0 < component["seconds_after"] < 60
    assert len(list((tmp_path / "my reports").iterdir())) == 2


def test_a_check_can_be_run_again_with_its_own_terms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The options are those of soak run, under the name that the component has there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drive_it.py").write_text("def setup(size): return size\ndef cycle(state): bytes(state)\n", "utf-8")

    result = soak.check(
        "drive_it.py", name="spoken", settings={"size": 8}, iterations=60, n_min=16, tolerance="2B", track=False
    )

    assert result.name == "spoken"
    command = say.run_command(result)
    assert command == "soak run drive_it.py --no-track --tolerance 2B --n-min 16 --set it.size=8"
