"""Start a program with the tracker: the environment that preloads it, and the real executable of an interpreter."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LOADER_VARIABLE = "LD_PRELOAD"
WATCH_VARIABLE = "SOAK_WATCH"
"""``PID:PATH``: the watcher, and the file to which each process that is watched appends where its tables are. Only a
direct child of the watcher is watched, or with `EVERYBODY` all processes."""
EVERYBODY = 0
TRACKER_VARIABLES = {
    "G_SLICE": "always-malloc",
    "G_DEBUG": "gc-friendly",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}
"""What libraries with an allocator of their own read when they are loaded: their blocks are then malloc's, each with a
call site. GLib also clears what it frees, so that no pointer of the past stays in memory. Nothing else reads these."""
SEPARATORS = " :\t\n"


def for_tracker(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of ``environment`` with the variables by which libraries use malloc; those that are set stay."""
    return {**TRACKER_VARIABLES, **environment}


@contextmanager
def preloading(library: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Give a copy of ``environment`` in which the loader loads ``library`` first.

    The loader splits the variable at spaces and colons. A library whose path has one is reached by a link at another
    path. The link exists until the block ends, so end the block only when the program has reported that it runs.
    """
    with _without_separators(library) as path:
        earlier = environment.get(LOADER_VARIABLE, "")
        # This process may itself be watched; the processes that it measures are not.
        others = {key: value for key, value in environment.items() if key != WATCH_VARIABLE}
        yield {**others, LOADER_VARIABLE: f"{path}:{earlier}" if earlier else str(path)}


def real_interpreter(command: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the executable that ``command`` starts in the end.

    A pyenv or conda shim is a shell script. The library would be preloaded into the shell, and the shim would search
    for the interpreter at every start. Raises ``OSError`` when the command cannot be started, and ``ValueError`` when
    it is not a Python interpreter.
    """
    question = [command, "-c", "import sys; sys.stdout.write(sys.executable)"]
    clean = {key: value for key, value in (environment or os.environ).items() if key != LOADER_VARIABLE}
    answer = subprocess.run(question, capture_output=True, text=True, check=False, env=clean)
    if answer.returncode != 0 or not answer.stdout:
        raise ValueError(f"{command} is not a Python interpreter: {answer.stderr.strip()[-200:]}")
    return answer.stdout


@contextmanager
def _without_separators(library: Path) -> Iterator[Path]:
    path = library.absolute()
    if not _has_separator(path):
        yield path
        return
    parent = None if not _has_separator(Path(tempfile.gettempdir())) else "/tmp"
    with tempfile.TemporaryDirectory(prefix="soak-", dir=parent) as folder:
        link = Path(folder) / library.name
        link.symlink_to(path)
        yield link


def _has_separator(path: Path) -> bool:
    return any(character in str(path) for character in SEPARATORS)
