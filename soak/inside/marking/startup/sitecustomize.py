"""Python imports this at its start, because ``soak watch --mark`` puts its folder on PYTHONPATH.

In the watched program it begins to mark; in programs that this one starts it removes what soak has put into their
environment. Then it steps aside for a ``sitecustomize`` of the program's own.
"""

# ruff: noqa: INP001, PTH100, PTH120, PTH118  (no package, and imports nothing that the program may not need)

from __future__ import annotations

import os
import sys


def _take_over() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]
    wanted = os.environ.get("SOAK_MARK", "")
    if "SOAK_WATCH" not in os.environ:
        _leave_the_environment(folder)
    elif wanted:
        root = folder
        for _ in range(4):  # startup, marking, inside, soak
            root = os.path.dirname(root)
        sys.path.insert(0, root)
        try:
            from soak.inside.marking.begin import begin

            begin(wanted)
        finally:
            sys.path.remove(root)


def _leave_the_environment(folder: str) -> None:
    os.environ.pop("SOAK_MARK", None)
    kept = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if os.path.abspath(path) != folder]
    if kept:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    else:
        os.environ.pop("PYTHONPATH", None)


def _import_the_programs_own() -> None:
    own = sys.modules.pop("sitecustomize", None)
    try:
        __import__("sitecustomize")
    except ImportError:
        if own is not None:
            sys.modules["sitecustomize"] = own


try:
    _take_over()
except Exception as error:  # the program must run as without soak
    sys.stderr.write("soak: --mark does nothing in process %d: %s\n" % (os.getpid(), error))
_import_the_programs_own()
