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


def soaked(python: str, folder: Path, fault: str, *options: str) -> tuple[int, dict[str, Any], str]:
    """Soak songs of a third of a second; return the exit code, the result and what is printed."""
    settings = [f"jukebox.fault={fault}", "jukebox.seconds=0.3", "jukebox.formats=wav"]
    done = subprocess.run(
        [sys.executable, "-m", "soak", "run", "--python", python, DRIVER, "--json", str(folder / "found.json")]
        + [f"--set={setting}" for setting in settings]
        + ["--out", str(folder), *options],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    (component,) = json.loads((folder / "found.json").read_text(encoding="utf-8"))["components"]
    return done.returncode, component, done.stdout


TRACED = """
import os, signal, sys, time
from pathlib import Path
from jukebox.faults import Fault
from jukebox.play import Jukebox, silent_output
from jukebox.songs import make_songs

log = Path(os.environ["GST_DEBUG_FILE"])

def live_bins():
    begin = size = log.stat().st_size
    os.kill(os.getpid(), signal.SIGUSR1)
    quiet_since = time.monotonic()
    while time.monotonic() < quiet_since + (1.0 if size > begin else 30.0):
        time.sleep(0.05)
        if log.stat().st_size > size:
            size, quiet_since = log.stat().st_size, time.monotonic()
    return log.read_bytes()[begin:].count(b"object-alive, type-name=(string)GstBin,")

jukebox = Jukebox(make_songs(Path(sys.argv[1]), 0.3, ("wav",)), silent_output(), fault=Fault(sys.argv[2]))
counts = []
for _ in range(2):
    for _ in range(24):
        jukebox.play_next()
    counts.append(live_bins())
jukebox.close()
print(*counts)
"""


def bins_per_song(python: str, folder: Path, fault: str) -> float:
    """Return by how many GstBin the leaks tracer of GStreamer sees each song grow, over 24 songs."""
    log = folder / "tracer.log"
    done = subprocess.run(
        [python, "-c", TRACED, str(folder), fault],
        cwd=ROOT,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "GST_TRACERS": "leaks",
            "GST_LEAKS_TRACER_SIG": "1",
            "GST_DEBUG": "GST_TRACER:7",
            "GST_DEBUG_NO_COLOR": "1",
            "GST_DEBUG_FILE": str(log),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    assert before > 0
    return (after - before) / 24


def test_gstreamers_own_tracer_sees_no_bin_kept_of_the_repaired_jukebox(gstreamer_python: str, tmp_path: Path):
    assert bins_per_song(gstreamer_python, tmp_path, "none") == 0


def test_the_repaired_jukebox_is_no_leak(gstreamer_python: str, tmp_path: Path):
    code, component, printed = soaked(gstreamer_python, tmp_path, "none")

    # On a machine with many other processes a minute may be too short for CLEAN.
    assert (code, component["verdict"]) in ((0, "CLEAN"), (3, "INCONCLUSIVE"), (3, "SETTLING")), printed


def test_a_closure_that_ties_a_bin_to_python_is_named(gstreamer_python: str, tmp_path: Path):
    # On a machine with many other processes a minute is too short; a verdict ends the run before.
    code, component, printed = soaked(gstreamer_python, tmp_path, "closure", "--duration", "170s")

    assert (code, component["verdict"]) == (1, "LEAK"), printed
    assert "each GstBin made at source_bin.py:" in printed
    assert "is kept by the function made at source_bin.py:" in printed
    owners = [cause["owner"] for cause in component["causes"] if cause["owner"] is not None]
    bins = {owner["per_iteration"] for owner in owners if owner["type"] == "GstBin"}
    assert bins == {bins_per_song(gstreamer_python, tmp_path, "closure")} == {1.0}
