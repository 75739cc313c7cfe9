"""The start of every test: no settings of the machine, and measured code that the test writes itself."""

from __future__ import annotations

import os
import shutil
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from soak.native import build

WriteFile = Callable[[str, str], Path]

# How long an example takes says nothing about the code on a machine that does other work.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True, scope="session")
def _temporary_files_in_the_folder_of_pytest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make the programs that tests start leave their temporary files where pytest removes them."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("t"))
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(autouse=True)
def _nothing_is_left_in_the_temporary_folder(_temporary_files_in_the_folder_of_pytest: None) -> Iterator[None]:
    """Fail a test that leaves a file where it and the programs that it starts have their temporary files."""
    folder = Path(tempfile.gettempdir())
    before = set(folder.iterdir())
    yield
    left = sorted(path.name for path in set(folder.iterdir()) - before)
    assert not left, f"left in the temporary folder: {left}"


@pytest.fixture(autouse=True, scope="session")
def _no_settings_of_this_machine() -> Iterator[None]:
    """Take away the variables that change allocators, Python or colours: they would change exact counts.

    For the whole session, because fixtures of a module start processes too.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(
                ("MALLOC_", "PYTHON", "GLIBC_TUNABLES", "LD_PRELOAD", "FORCE_COLOR", "NO_COLOR", "COLUMNS")
            ):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def library() -> Path:
    """Give the tracker, built."""
    result = build.built_library()
    if isinstance(result, build.NotBuilt):
        pytest.skip(result.reason)
    return result.path


@pytest.fixture(scope="session")
def compiler() -> str:
    """Give the command of a C compiler."""
    command = shutil.which("cc")
    if command is None:
        pytest.skip("no C compiler")
    return command


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    """Give a function that writes an indented text into a file of this test's folder and returns its path."""

    def write_file(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    return write_file
