"""The driver of a function that ``soak.check`` was given: it is found by its module, on the path of who asked.

A driver like any other: its file is the target, what to call comes as its settings.
"""

from __future__ import annotations

import os
import sys

from soak.inside import loading

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def setup(module: str, file: str, function: str, path: list[str]) -> Callable[..., Any]:
    """Import the function and return what calls it.

    ``file``: where the module is to be loaded from; empty to import it by its name. ``path``: goes before this
    process's own; this file's folder, which the loader of drivers put there, is taken out.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = path + [entry for entry in sys.path if entry not in path and entry != here]
    target = {"kind": "module", "module": module, "path": file, "function": function}
    return loading.load(target).cycle


def cycle(call: Callable[..., Any]) -> None:
    """Call it once."""
    call()
