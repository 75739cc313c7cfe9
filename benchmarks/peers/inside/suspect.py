"""Load the suspected call and write a peer's answer. Runs in the peers' processes, under CPython 3.8 and later."""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST_S = 20.0
"""About the time that a user allows for one test; slow cases get fewer calls."""


def load() -> Callable[[], object]:
    """Return the call that SUSPECT names: ``case.py:function`` or a driver, ``drive_x.py``, set up."""
    file, _, function = os.environ["SUSPECT"].partition(":")
    sys.path.insert(0, str(Path(file).parent))
    specification = importlib.util.spec_from_file_location("suspect_case", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["suspect_case"] = module
    specification.loader.exec_module(module)
    if function:
        return getattr(module, function)  # type: ignore[no-any-return]
    cycle = module.cycle
    if not inspect.signature(cycle).parameters:
        return cycle  # type: ignore[no-any-return]
    state = module.setup()
    return lambda: cycle(state)


def calls_that_fit(call: Callable[[], object], most: int, least: int = 50) -> int:
    """Return how many calls fit into LONGEST_S, from three calls that are timed after one that is not."""
    call()
    started_s = time.perf_counter()
    for _ in range(3):
        call()
    one_s = (time.perf_counter() - started_s) / 3
    return max(least, min(most, int(LONGEST_S / one_s)))


def answer(**fields: Any) -> None:
    """Write what the peer found to the file that ANSWER names."""
    Path(os.environ["ANSWER"]).write_text(json.dumps(fields), encoding="utf-8")
