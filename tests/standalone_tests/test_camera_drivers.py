"""The drivers of the camera recorder: each sets up, cycles through its period and more, and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "standalone_tests" / "camera"
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the camera's driver")


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp()))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"drive_{name}", FOLDER / f"drive_{name}.py")
    assert spec is not None
    assert spec.loader is not None
    driver = importlib.util.module_from_spec(spec)
    sys.modules[driver.__name__] = driver  # a dataclass with postponed annotations looks its module up
    spec.loader.exec_module(driver)
    return driver


@pytest.mark.parametrize(
    ("name", "settings", "counted"),
    [
        ("frame", {}, "40 frames, 40 written, 40 analysed, 40 previewed; 0 missed, 0 gaps"),
        ("paced", {"fps": 1000.0, "buffers": 64}, "written"),
        ("writer", {}, ""),
        ("open_close", {}, ""),
    ],
)
def test_a_driver_cycles_and_leaves_nothing(
    name: str, settings: dict[str, float], counted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    if name != "open_close":
        pytest.importorskip("h5py", reason="h5py is not installed: pip install soak[camera]")
    threads = set(threading.enumerate())
    driver = load(name)
    state = driver.setup(width=64, height=48, **settings)
    for _ in range(40):
        driver.cycle(state)
    if hasattr(driver, "teardown"):
        driver.teardown(state)

    assert counted in capsys.readouterr().out
    assert set(threading.enumerate()) == threads
    assert list(tmp_path.iterdir()) == []


def test_each_driver_is_in_the_makefile_and_has_a_budget():
    """The makefile's list and the settings of pyproject.toml name the drivers that there are."""
    root = FOLDER.parents[1]
    names = {path.stem.removeprefix("drive_") for path in FOLDER.glob("drive_*.py")}
    settings = (root / "pyproject.toml").read_text(encoding="utf-8")
    recipe = (root / "Makefile").read_text(encoding="utf-8")

    assert {name for name in names if f"[tool.soak.component.{name}]" in settings} == names
    assert {
        name for name in names if f"drive_{name}.py" in recipe or f" {name}.py" in recipe or f",{name}.py" in recipe
    } == names
