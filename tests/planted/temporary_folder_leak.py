"""A temporary folder with a file in it that every cycle leaves behind; teardown removes them."""

import shutil
import tempfile
from pathlib import Path

EXPECTED = {"kind": "left-behind", "count": 1.0}
CYCLES = 400
folders = []


def cycle(state):
    folder = tempfile.mkdtemp()  # planted
    Path(folder, "result").write_text("done", encoding="utf-8")
    folders.append(folder)


def teardown(state):
    for folder in folders:
        shutil.rmtree(folder)
