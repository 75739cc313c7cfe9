"""Modules that the component's cycles import for the first time: they hold much, and there are only so many."""

from __future__ import annotations

import os
import sys

from soak.inside.clock import RealTime

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from typing import Any

KIND = "modules"
_OWN = "soak.inside"


def moment() -> tuple[int, float]:
    """Return how many modules there are now, and the time of day: the clock of file times, which measures nothing."""
    return len(sys.modules), RealTime.time()


class Imports:
    """What was added to ``sys.modules`` since the first cycle, and was there to be imported before it."""

    def __init__(self, known: int, begun_s: float) -> None:
        """Begin with this number of modules, the newest last, at this time since the epoch."""
        self._known, self._begun_s = known, begun_s
        self._names = self._new_names()
        self._addresses = {id(sys.modules[name]) for name in self._names}
        added = list(sys.modules.items())[known:]
        self.made = {name for name, _ in added if name not in self._names and not name.startswith(_OWN)}
        """The names of those that came from nowhere: cycles made them, and the table of all modules keeps them."""

    def __len__(self) -> int:
        """Return how many there are by now."""
        return len(self._new_names())

    @property
    def latest(self) -> str:
        """The name of the one that was imported last before this was made; empty if there is none."""
        return self._names[-1] if self._names else ""

    def has(self, held: Any) -> bool:
        """Whether it is one of the modules that were imported before this was made."""
        return id(held) in self._addresses

    def holds(self, held: Any) -> bool:
        """Whether it is one of the modules, or the table of all modules."""
        return self.has(held) or (held is sys.modules and bool(self._names))

    def _new_names(self) -> list[str]:
        added = list(sys.modules.items())[self._known :]
        return [name for name, module in added if not name.startswith(_OWN) and self._was_there(module)]

    def _was_there(self, module: Any) -> bool:
        """Whether the module comes from a file older than the first cycle: those that a cycle writes have no end."""
        if type(module) is not type(sys):
            return False
        origin = getattr(object.__getattribute__(module, "__dict__").get("__spec__"), "origin", None)
        if origin in ("built-in", "frozen"):
            return True
        try:
            return type(origin) is str and os.stat(origin).st_mtime < self._begun_s
        except OSError:
            return False
