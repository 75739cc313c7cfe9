"""A temporary folder with a file in it that every cycle removes."""

import tempfile
from pathlib import Path


def cycle(state):
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "result").write_text("done", encoding="utf-8")
