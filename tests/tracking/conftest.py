"""A tracker that is built, native code that leaks, and the interpreters that it is built for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def native_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder in which the planted native code is built, for any interpreter that asks."""
    if shutil.which("cc") is None or shutil.which("c++") is None:
        pytest.skip("no compiler")
    return tmp_path_factory.mktemp("native")
