"""soak on the jukebox: the repaired one is no leak, and of a planted defect the object and its holder are named.

docs/jukebox.md has the sentences for all defects; here is one that only a look at the whole graph of objects explains.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DRIVER = "standalone_tests/jukebox/drive_jukebox.py"

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.native]


def soaked(python: str, folder: Path, fault: str) -> tuple[int, dict[str, Any], str]:
    """Soak songs of a third of a second; return the exit code, the result and what is printed."""
    settings = [f"jukebox.fault={fault}", "jukebox.seconds=0.3", "jukebox.formats=wav"]
    done = subprocess.run(
        [sys.executable, "-m", "soak", "run", "--python", python, DRIVER, "--json", str(folder / "found.json")]
        + [f"--set={setting}" for setting in settings]
        + ["--out", str(folder)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    (component,) = json.loads((folder / "found.json").read_text(encoding="utf-8"))["components"]
    return done.returncode, component, done.stdout


def test_the_repaired_jukebox_is_no_leak(gstreamer_python: str, tmp_path: Path):
    code, component, printed = soaked(gstreamer_python, tmp_path, "none")

    # On a machine with many other processes a minute may be too short for CLEAN.
    assert (code, component["verdict"]) in ((0, "CLEAN"), (3, "INCONCLUSIVE"), (3, "SETTLING")), printed


def test_a_closure_that_ties_a_bin_to_python_is_named(gstreamer_python: str, tmp_path: Path):
    code, component, printed = soaked(gstreamer_python, tmp_path, "closure")

    assert (code, component["verdict"]) == (1, "LEAK"), printed
    assert "each GstBin made at source_bin.py:" in printed
    assert "is kept by the function made at source_bin.py:" in printed
