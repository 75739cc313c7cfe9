"""A run as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from soak.results.component import ComponentResult
from soak.results.controls import Controls

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Part:
    """One part's growth in the sum."""

    name: str
    rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Parts:
    """The full cycle's growth against the sum of its parts, allocated bytes per cycle of the heap counter."""

    sum: float
    full_cycle: float
    unexplained: float
    low: float
    high: float
    each: tuple[Part, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """A run as a whole."""

    schema: int
    run: str
    folder: str
    started: str
    finished: str | None
    soak: str
    environment: dict[str, Any]
    settings: dict[str, Any]
    controls: Controls | None
    parts: Parts | None
    components: tuple[ComponentResult, ...] = field(default=())
    is_running: bool = False
    """It is being measured while it is read. False in the report that it writes at its end."""
