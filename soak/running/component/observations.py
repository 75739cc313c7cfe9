"""What is seen of one component: while its process is at work, and when it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.decision.outcome import Decision
from soak.analysis.evidence import Evidence
from soak.attribution.object_answers import NO_ANSWERS, ObjectAnswers
from soak.attribution.opened_causes import StillOpen
from soak.results import Failure, Pacing, Pauses, RssAudit
from soak.running.component.reading.ledger_reader import Tracked
from soak.running.processes.role import SeenRole
from soak.verdict import SeriesVerdict


@dataclass(frozen=True)
class ComponentProgress:
    """How far a component is."""

    cycles: int
    elapsed_s: float
    note: str
    may_leak: bool = False
    """The latest decision is LEAK, or a later one may be: memory rises, or a scan has seen lost blocks."""
    rss_bytes: float | None = None
    growth_bytes: float | None = None
    """Per cycle, as the latest look at the ledger, else at the heap or RSS, saw it; None before there is one."""
    so_far: Observations | None = None
    """What can be said of it so far; given now and then."""


@dataclass(frozen=True)
class Observations:
    """How one component's process went, before it is put into words."""

    evidence: Evidence
    """All that the verdict can rest on, but for the controls."""
    judge: ComponentJudge
    iterations: int
    seconds: float
    stopped_by: str
    failure: Failure | None
    pacing: Pacing
    pauses: Pauses | None
    checkpoints: int
    checkpoint_share: float
    lost_rows: int
    gc_held_off: bool
    """The component ran with gc disabled or frozen, so soak did not collect for it either."""
    output: str
    started: str
    tracked: Tracked
    opened: tuple[StillOpen, ...] = ()
    """What was opened or created during the cycles, and is open or there at their end."""
    unrecorded: int = 0
    """How many things the process created that nobody followed, for want of room."""
    kept_files: int = 0
    """How many files it created that are there at its end, and that it may be meant to keep."""
    paused_s: float = 0.0
    """For how long the loop stood still, because the machine was too hot; no part of ``seconds``."""
    hottest_c: float | None = None
    """The highest temperature seen; None when none was asked for or could be read."""
    audit: RssAudit | None = None
    """What the growth of RSS was made of."""
    object_answers: ObjectAnswers = NO_ANSWERS
    """What the process said of its objects after its last cycle."""
    loop_ended_s: float | None = None
    """When its last cycle was over, on the system's clock; None when the process ended in it."""
    most_garbage: int = 0
    """Objects that the collection at a checkpoint found to be garbage, at most."""
    children_left_out: Mapping[str, int] = field(default_factory=dict)
    """How many child processes were left out at once, as the driver asked, by their commands."""

    roles: tuple[SeenRole, ...] = ()
    """The processes that it started and in which the tracker counted."""

    gobjects: Mapping[str, float] = field(default_factory=dict)
    """How many objects of GLib a cycle leaves, by type."""

    is_extended: bool = False
    """The budget did not decide, and it went on."""

    provisional: tuple[str, SeriesVerdict] | None = None
    """The signal that grows by the rule of a short run."""

    @cached_property
    def decision(self) -> Decision:
        """The decision on what was measured, whether or not the driver failed in the end."""
        return decide(replace(self.evidence, failed=False))
