"""Gives a project beside an index of packages, and lets the tests here use what others are built with."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

for folder in ("tests/commands", "tests/reporting", "tests/bisect", "tests/web", "benchmarks"):
    sys.path.append(str(Path(__file__).parents[2] / folder))

from command_builder import ROOT  # noqa: E402 - the folders are on the path from here on
from package_index import CLEAN, LEAK, install_only_from, make_wheel  # noqa: E402


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a project beside an index: dripping 1.0 does not leak, 2.0 does."""
    folder = tmp_path_factory.mktemp("matrix")
    index = folder / "index"
    index.mkdir()
    make_wheel(index, "dripping", "1.0", CLEAN)
    make_wheel(index, "dripping", "2.0", LEAK)
    (folder / "drive_drip.py").write_text(
        "import dripping\n\ndef cycle(state):\n    dripping.call()\n", encoding="utf-8"
    )
    with pytest.MonkeyPatch.context() as patch:
        install_only_from(index, patch)
        patch.setenv("PYTHONPATH", str(ROOT))
        yield folder
