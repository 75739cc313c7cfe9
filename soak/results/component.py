"""Everything that was found about one component."""

from __future__ import annotations

from dataclasses import dataclass, field

from soak.grounds import Ground, GroundKind, Keeper
from soak.results.audit import RssAudit
from soak.results.causes import Cause
from soak.results.conditions import Failure, Pacing, Pauses, TrackerState
from soak.results.places import ChainNode
from soak.results.processes import RoleResult
from soak.results.signals import Growth, SignalResult
from soak.verdict import Verdict

AT_WORK = "at-work"
"""``stopped_by`` of a component that is still being measured: its result is what can be said so far."""
NEVER_RAN = "it never ran"
"""Why no tracker was in a process that was never started: not even its setup was tried."""
WATCHED_FROM_OUTSIDE = "watched from outside"
"""Why no tracker is in a process that was there before it was watched: no fault, and not worth a sentence."""


@dataclass(frozen=True)
class Garbage:
    """What collections of garbage find: objects that refer to each other. A peak, not a leak."""

    most_at_once: int
    """The largest number of objects at one checkpoint."""
    cycles: int
    """Cycles that ran without collections, after the last measured cycle, to see what they leave."""
    objects: int
    """Objects found after these cycles."""
    types: dict[str, int]
    """How many of these objects each type has, the most frequent first."""
    ring: tuple[ChainNode, ...] = ()
    """One of the reference cycles, from an object back to itself."""


@dataclass(frozen=True)
class TracemallocLine:
    """Growth at one Python line, as tracemalloc sees it."""

    file: str
    line: int
    bytes_per_iteration: float
    blocks_per_iteration: float


@dataclass(frozen=True)
class TracemallocResult:
    """The second pass of a component that grows."""

    frames: int
    iterations: int
    top: tuple[TracemallocLine, ...]


@dataclass(frozen=True)
class LabelGrowth:
    """What the cycles of one label keep: those of a route, or of a task."""

    label: str
    cycles: int
    """How many cycles were counted."""
    bytes_per_iteration: float
    """The bytes that each cycle keeps."""
    blocks_per_iteration: float


@dataclass(frozen=True)
class ComponentResult:
    """Everything found about one component."""

    name: str
    target: str
    verdict: Verdict
    decided_by: str | None
    iterations: int
    seconds: float
    iterations_to_verdict: int | None
    seconds_to_verdict: float | None
    since: int | None
    needed_iterations: int | None
    n_min: int | None
    stopped_by: str
    gate: bool
    growth: Growth | None
    signals: dict[str, SignalResult]
    causes: tuple[Cause, ...]
    tracemalloc: TracemallocResult | None
    tracker: TrackerState
    pacing: Pacing
    failure: Failure | None
    messages: tuple[str, ...]
    checkpoints: int = 0
    checkpoint_share: float = 0.0
    """Part of the loop's wall time that checkpoints took, 0 to 1."""
    lost_rows: int = 0
    started: str = ""
    python: str = ""
    tolerance_bytes: float = 1.0
    output_tail: str = ""
    """The last of what the driver wrote to stdout and stderr."""
    audit: RssAudit | None = None
    """What resident memory was made of; None where it was not audited."""
    garbage: Garbage | None = None
    grounds: tuple[Ground, ...] = ()
    """What the verdict rests on, strongest first; empty in a result that an earlier version wrote."""
    cycle_noun: str = "call"
    """What a cycle is called: a call, a sample, a mark, a request, a frame, a song."""
    options: tuple[tuple[str, ...], ...] | None = None
    """The options with which ``soak run`` soaks the target like this again, but for the budget; each with its value if
    it takes one. None where no ``soak run`` does, and in a result that an earlier version wrote."""
    provisional: SignalResult | None = None
    """For a long run that has not decided yet: what grows by the rule of a short run."""
    pauses: Pauses | None = None
    """None where no cycle waited, and in a result that an earlier version wrote."""
    roles: tuple[RoleResult, ...] = ()
    """The processes that the program started and in which the tracker counted."""
    seconds_after: float = 0.0
    """The time after the cycles: questions to the process, its teardown, the second pass, the search for causes."""
    labels: tuple[LabelGrowth, ...] = ()
    """What the growing call sites keep for each label of marks, the most first; empty where marks have none."""
    gobjects: dict[str, float] = field(default_factory=dict)
    """How many objects of GLib a cycle leaves, by type, the most first; empty where nothing grows."""

    @property
    def control_failed(self) -> bool:
        """Whether it is INCONCLUSIVE because a control that its verdict rests on failed."""
        return any(ground.kind is GroundKind.CONTROL_FAILED for ground in self.grounds)

    @property
    def keeper(self) -> Keeper | None:
        """The container that only grows, if it is a leak for that reason."""
        is_kept = bool(self.grounds) and self.grounds[0].kind is GroundKind.KEPT_BLOCKS
        return self.grounds[0].keeper if is_kept else None

    @property
    def cycle_s(self) -> float:
        """Seconds per cycle, on average; 0 where none was run."""
        return self.seconds / self.iterations if self.iterations else 0.0
