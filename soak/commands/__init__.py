"""The commands: one module per command, imported only when that command is called.

The docstring of a command's module is its help text. The module defines ``add_arguments(parser)`` and
``run(options) -> exit code``. Commands of one kind share a folder.
"""

from __future__ import annotations

import importlib
from types import ModuleType

COMMANDS = {
    "run": "soak components one by one; say which one grows, how fast and how certain that is",
    "resume": "continue a run that was interrupted",
    "watch": "give the same verdicts on a program that does not use soak, Python or not",
    "judge": "give a verdict on a log from another tool: psrecord, ps, Prometheus, any CSV",
    "list": "list the runs",
    "clean": "remove all runs but the newest",
    "show": "show the results of a run in the terminal",
    "report": "write the reports of a run again, from its database",
    "compare": "compare two runs: which leaks are new, gone, worse or better",
    "matrix": "soak components with several interpreters and package versions; write one report",
    "fleet": "do the same on many machines, with Dask",
    "merge": "make one report of many runs",
    "bisect": "find the first release of a package that leaks, or the first that no longer leaks",
    "export": "write the raw readings of a run as CSV",
    "profile": "show where the time of a cycle goes: cProfile of each component, and all of them merged",
    "view": "show profiles (in SnakeViz) and reports in the browser",
    "doctor": "check whether this machine can measure; say what is missing and what that means",
}
"""Each command and its line in ``soak --help``, in that order."""

_FOLDERS = {
    "measuring": ("run", "resume", "watch", "bisect", "profile"),
    "results": ("list", "clean", "show", "report", "compare", "export", "view"),
    "matrices": ("matrix", "fleet", "merge"),
}


def module_of(command: str) -> ModuleType:
    """Import the module of a command."""
    folders = [folder for folder, commands in _FOLDERS.items() if command in commands]
    return importlib.import_module(".".join(("soak.commands", *folders, command)))
