"""What runs in the children that the tests track, what is read of it, and which interpreters there are."""

from __future__ import annotations

import collections
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soak.native import preload
from soak.native.ledger import Checkpoint, LedgerFile
from soak.probes.ledgers.shadow import Blocks, read_blocks
from soak.probes.memory import ProcessMemory

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15")

PRELUDE = """
import ctypes, json, os, sys
sys.path.insert(0, {root!r})
from soak.inside import tracker as hook
tracker = hook.connect()
covers = tracker.start({ledger!r})
leaky = ctypes.CDLL({leaky!r})
kept = []

def run(component, cycles=200):
    for cycle in range(1, cycles + 1):
        tracker.cycle[0] = cycle
        component()
    tracker.cycle[0] = cycles + 1
    tracker.checkpoint()

def address_of(function):
    return ctypes.cast(function, ctypes.c_void_p).value

def answer(value=None):
    '''Print it, and wait until the test has read what it wants.'''
    print(json.dumps(value), flush=True)
    sys.stdin.readline()
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


class Tracked:
    """A child under the tracker. It waits after each answer, and can be read as the parent of a soak reads it."""

    def __init__(self, script: str, python: str, library: Path, folder: Path, environment: dict[str, str]) -> None:
        self._path, self._errors = folder / "ledger", folder / "stderr"
        with self._errors.open("w") as errors, preload.preloading(library, {**os.environ, **environment}) as preloaded:
            self._process = subprocess.Popen(
                [python, "-c", script],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=preloaded,
            )
            self.answer = self._read_answer()
        self.ledger = LedgerFile(self._path)

    def next_answer(self) -> Any:
        """Let the child go on until it answers again."""
        assert self._process.stdin is not None
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()
        self.answer = self._read_answer()
        return self.answer

    def end(self) -> None:
        """Let the child go on to its end, which must be a good one."""
        self.ledger.close()
        self._process.communicate()
        assert self._process.returncode == 0, self._errors.read_text()

    def checkpoint(self) -> Checkpoint:
        """Return the latest checkpoint."""
        checkpoint = self.ledger.read()
        assert checkpoint is not None
        return checkpoint

    def memory(self) -> ProcessMemory:
        """Open its memory. Close it when done."""
        return ProcessMemory(self._process.pid)

    def blocks(self, first: int = 50, stop: int = 150) -> Blocks:
        """Return the live blocks that were born in cycles [first, stop)."""
        memory = ProcessMemory(self._process.pid)
        blocks = read_blocks(memory, self.checkpoint())
        memory.close()
        return blocks.take((blocks.cycles >= first) & (blocks.cycles < stop))

    def survivors(self, first: int = 50, stop: int = 150) -> list[list[Any]]:
        """Return lines of [count, bytes, domain, place] of these blocks; of native ones the place is None."""
        blocks, checkpoint = self.blocks(first, stop), self.checkpoint()
        kinds = zip(blocks.sizes.tolist(), blocks.domains.tolist(), blocks.sites.tolist(), strict=True)
        return sorted(
            [count, size, domain, self._place(checkpoint, site)]
            for (size, domain, site), count in collections.Counter(kinds).items()
        )

    def _place(self, checkpoint: Checkpoint, site: int) -> list[str | int | None] | None:
        frame = self.ledger.place(checkpoint, site)
        return [frame.file, frame.function, frame.line] if frame is not None and frame.file else None

    def _read_answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._errors.read_text()
        return json.loads(line)


Track = Callable[..., Tracked]
