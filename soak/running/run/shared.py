"""What the components of one run share while they are soaked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from soak.running.context import RunContext
from soak.running.run.notices import Notices
from soak.running.run.telling import Teller
from soak.settings import RunPlan
from soak.store.database import RunStore

if TYPE_CHECKING:
    from soak.running.run.controls_of_run import ControlsOfRun


class LateControls:
    """The controls of one run, which begin when the process of its first component has been started."""

    def __init__(self, begin: Callable[[], ControlsOfRun]) -> None:
        """Take note of how they begin."""
        self._begin = begin
        self._lock = threading.Lock()
        self._begun: ControlsOfRun | None = None

    def begun(self) -> ControlsOfRun:
        """Return them; begin if that was not done before."""
        with self._lock:
            if self._begun is None:
                self._begun = self._begin()
            return self._begun

    def close(self) -> None:
        """Wait for what is being measured."""
        if self._begun is not None:
            self._begun.close()


@dataclass(frozen=True)
class Shared:
    """What the components of one run share while they are soaked."""

    plan: RunPlan
    reasons: Mapping[str, str]
    """By name: why a component is measured again."""
    context: RunContext
    store: RunStore
    folder: Path
    teller: Teller
    notices: Notices
    controls: LateControls
