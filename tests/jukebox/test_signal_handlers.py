"""soak on signal handlers of GLib: those that tie an object to itself are lost, those of an object that is kept not.

GLib has no pointer from an object to its handlers; it finds them by tables of all objects with handlers.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.native]

DRIVER = """
import collections
import weakref
from gi.repository import Gio, GObject

def setup(*, kept: int = 0, weak: bool = False):
    return collections.deque(maxlen=kept), weak

def cycle(state):
    latest, weak = state
    store, item = Gio.ListStore.new(GObject.Object), GObject.Object()
    store.append(item)
    held = weakref.ref(store) if weak else store
    item.connect("notify", lambda *_: held)
    latest.append(item)
"""


def soaked(python: str, folder: Path, *options: str) -> tuple[dict[str, Any], str]:
    """Soak the driver; return the result and what is printed."""
    driver = folder / "drive_store.py"
    driver.write_text(DRIVER, encoding="utf-8")
    written = ["--json", str(folder / "found.json"), "--out", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "soak", "run", "--python", python, str(driver), "--duration", "60s", *options, *written],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    (component,) = json.loads((folder / "found.json").read_text(encoding="utf-8"))["components"]
    return component, done.stdout


def test_an_object_that_only_its_own_handler_refers_to_is_lost(gstreamer_python: str, tmp_path: Path):
    """The store has the item, the item the handler, its function the store; part of that way is in C."""
    component, printed = soaked(gstreamer_python, tmp_path)

    assert component["verdict"] == "LEAK", printed
    assert {cause["state"] for cause in component["causes"] if cause["type"] == "function"} == {"lost"}
    assert "each ListStore made at drive_store.py:" in printed
    assert "is kept by the function made at drive_store.py:" in printed


def test_a_handler_that_refers_to_the_object_weakly_keeps_nothing(gstreamer_python: str, tmp_path: Path):
    component, printed = soaked(gstreamer_python, tmp_path, "--set", "store.weak=true")

    assert component["verdict"] != "LEAK", printed


def test_handlers_of_objects_that_a_program_keeps_are_not_lost(gstreamer_python: str, tmp_path: Path):
    """A cache that fills, for as long as it is looked at."""
    options = ("--set", "store.kept=100000000", "--set", "store.weak=true", "--iterations", "1500")
    component, printed = soaked(gstreamer_python, tmp_path, *options)

    causes = [cause for cause in component["causes"] if cause["type"] == "function"]
    assert causes, printed
    assert {cause["state"] for cause in causes} == {"held"}, printed
