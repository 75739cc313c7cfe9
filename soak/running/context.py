"""What all components of a run share."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from soak.native.build import Built, built_library
from soak.native.programs import why_not_preloadable
from soak.running.child.guards import hottest_c
from soak.running.interpreter import Interpreter


@dataclass(frozen=True)
class RunContext:
    """What all components of a run share."""

    interpreter: Interpreter
    folder: Path
    """The working folder of the measured processes; also on their path, behind the driver's own."""
    stopping: threading.Event
    """Set when the whole run is to end; each component then ends in order and is judged."""
    tracker_library: Path | None = None
    """Preloaded into the measured processes; None to count without the allocation tracker."""
    no_tracker_reason: str | None = None
    read_temperature_c: Callable[[], float | None] = hottest_c


def find_library(program: str = sys.executable) -> tuple[Path | None, str | None]:
    """Return the library to preload into ``program``, or None and the reason why it cannot have one."""
    if why := why_not_preloadable(program):
        return None, why
    found = built_library()
    return (found.path, None) if isinstance(found, Built) else (None, found.reason)
