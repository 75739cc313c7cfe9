"""Soaks code that a test writes, through the real supervisor, with budgets in cycles so that counts are exact."""

from __future__ import annotations

import sys
import textwrap
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from soak.measurements import Reading
from soak.request import Injection
from soak.running.component.observations import Observations
from soak.running.component.supervisor import soak_component
from soak.running.context import RunContext
from soak.running.interpreter import Interpreter, find_interpreter
from soak.settings import ComponentPlan
from soak.targets import EMPTY, Target, find_targets

N_MIN = 512
CYCLES = 4 * N_MIN


def a_plan(target: Target = EMPTY, **changes: Any) -> ComponentPlan:
    """Plan 2,048 cycles flat out with n_min 512, to the end; ``changes`` replace fields."""
    plan = ComponentPlan(target, iterations=CYCLES, early_stop=False, n_min=N_MIN, checkpoint_every=N_MIN // 32)
    return replace(plan, **changes)


def context(folder: Path, python: str | None = None, stopping: threading.Event | None = None) -> RunContext:
    return RunContext(find_interpreter(python), folder, stopping or threading.Event())


@dataclass
class Soaked:
    """A observed with the readings it rests on."""

    observed: Observations
    readings: list[Reading] = field(default_factory=list)

    def values(self, signal: str) -> list[float]:
        return [reading.values[signal] for reading in self.readings if signal in reading.values]


def soak_plan(plan: ComponentPlan, folder: Path, **more: Any) -> Soaked:
    readings: list[Reading] = []
    observed = soak_component(plan, context(folder, **more), on_readings=readings.extend)
    return Soaked(observed, readings)


def soak_driver(folder: Path, text: str, python: str | None = None, **changes: Any) -> Soaked:
    """Write a driver of this text and soak it."""
    (folder / "drive_it.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return soak_plan(a_plan(find_targets(["drive_it.py"], folder)[0], **changes), folder, python=python)


def soak_planted(folder: Path, kind: str, size: int, every: int = 1, **changes: Any) -> Soaked:
    """Soak an empty cycle with a planted leak."""
    return soak_plan(a_plan(injection=Injection(kind, size, every), **changes), folder)


def this_interpreter() -> Interpreter:
    return Interpreter(sys.executable, sys.version_info[:3])
