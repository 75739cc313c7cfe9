"""The driver of a function that was passed to ``soak.check``. It is imported by its module, on the path of the caller.

This is a driver like any other: this file is the target, and the settings say what to call.
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
    """Import the function and return a callable that calls it.

    ``file``: the file of the module; empty to import it by its name. ``path``: goes before the path of this process,
    without the folder of this file, which the loader of drivers put there.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = path + [entry for entry in sys.path if entry not in path and entry != here]
    target = {"kind": "module", "module": module, "path": file, "function": function}
    return loading.load(target).cycle


def cycle(call: Callable[..., Any]) -> None:
    """Call it once."""
    call()
