"""What runs in the children that the tests track, and which interpreters there are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")

PRELUDE = """
import collections, ctypes, json, os, sys
sys.path.insert(0, {root!r})
from soak.inside import tracker as hook
tracker = hook.connect()
covers = tracker.start(os.environ.get("LEDGER"))
leaky = ctypes.CDLL({leaky!r})
kept = []

def run(component, cycles=200):
    for cycle in range(1, cycles + 1):
        tracker.cycle[0] = cycle
        component()
    tracker.cycle[0] = cycles + 1
    tracker.checkpoint()

def survivors(first=50, stop=150):
    '''Lines of [count, bytes, domain, place]; native places as "native".'''
    counts = collections.Counter((size, domain, site) for _, size, _, site, domain in tracker.survivors(first, stop))
    return sorted([count, size, domain, tracker.place(site)] for (size, domain, site), count in counts.items())

def answer(value):
    print(json.dumps(value))
"""


def interpreters() -> dict[str, str]:
    """Return an interpreter for each version that this machine has: on the path, or installed by pyenv."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    for version in VERSIONS:
        installed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
        command = str(installed[-1]) if installed else shutil.which(f"python{version}")
        if command:
            found.setdefault(version, command)
    return found


Track = Callable[..., Any]
