"""Growth that a project has accepted: shown with its place, and no reason to fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tracking_builder import PLANTED, line_of

from soak.attribution.causes import fingerprint
from soak.results import Place

pytestmark = [pytest.mark.integration, pytest.mark.native, pytest.mark.usefixtures("library")]

ROOT = PLANTED.parent.parent


def test_a_known_fingerprint_is_shown_and_does_not_fail_the_run(tmp_path: Path) -> None:
    """Listed under [tool.soak] known: the verdict is still LEAK, the exit code 0."""
    file = tmp_path / "drive_list.py"
    file.write_text((PLANTED / "list_append_leak.py").read_text(encoding="utf-8"), encoding="utf-8")
    accepted = fingerprint("python-object", None, Place("cycle", file.name, None), 106)
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.soak]\ntargets = ["drive_list.py"]\nknown = ["{accepted}"]\n', encoding="utf-8"
    )

    done = subprocess.run(
        [sys.executable, "-m", "soak", "run", "--iterations", "500", "--json", "-"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )

    assert done.returncode == 0, done.stderr
    (component,) = json.loads(done.stdout)["components"]
    (cause,) = component["causes"]
    assert (component["verdict"], cause["fingerprint"]) == ("LEAK", accepted)
    assert cause["python_where"]["line"] == line_of(file, "# planted")
    assert "known" in done.stderr
    tracker = component["tracker"]
    assert (tracker["covers"], tracker["follows_objects"]) == (["native", "python"], True)
