"""What is said where GStreamer is missing; these tests need none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HIDDEN = "import sys; sys.modules['gi'] = None; "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HIDDEN + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_to_install_is_one_line():
    done = run("from jukebox.missing import main; sys.exit(main())")

    assert done.returncode == 1
    (line,) = done.stdout.splitlines()
    assert "apt-get install" in line
    assert "python3-gi" in line
    assert "gstreamer1.0-plugins-good" in line


def test_playing_without_gstreamer_is_one_line():
    done = run("sys.argv = ['jukebox', 'a.ogg']; from jukebox.__main__ import main; sys.exit(main())")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("the jukebox needs GStreamer; apt-get install ")
