"""What a run found, in the shape of ``report.json`` (schema 1; changes are additive only).

Field names are the document's names. Rates are per cycle. `soak.documents` turns the records into plain JSON values
and back, so that what is stored, drawn and exported is one thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from soak.grounds import Ground, GroundKind, HoldingCache, Keeper
from soak.verdict import SeriesState, SeriesVerdict, Verdict

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SignalResult:
    """One signal's judgement; ``per_iteration``, ``low`` and ``high`` in ``unit`` per cycle."""

    unit: str
    per_iteration: float | None
    low: float | None
    high: float | None
    verdict: Verdict
    role: str
    state: SeriesState | None = None
    """Why it has its verdict; None in a result that an earlier version wrote."""
    first: float | None = None
    last: float | None = None
    readings: int = 0
    since: int | None = None
    decided_at: int | None = None
    needed: int | None = None
    judged_at: int | None = None
    """The cycle up to which the rate was judged last; LEAK stands from ``decided_at`` on."""
    until: int | None = None
    cycles: int | None = None
    tolerance: float | None = None
    n_min: float | None = None
    """These four as of `SeriesVerdict`."""

    @classmethod
    def of(
        cls, series: SeriesVerdict, unit: str, role: str, *, first: float, last: float, readings: int
    ) -> SignalResult:
        """Return what a report keeps of a series and of its readings; ``first`` and ``last`` in ``unit``."""
        return cls(
            unit=unit,
            per_iteration=series.rate,
            low=series.low,
            high=series.high,
            verdict=series.verdict,
            role=role,
            state=series.state,
            first=first,
            last=last,
            readings=readings,
            since=series.since,
            decided_at=series.decided_at,
            judged_at=series.judged_at,
            needed=series.needed,
            until=series.until,
            cycles=series.cycles,
            tolerance=series.tolerance,
            n_min=series.n_min,
        )

    @property
    def series(self) -> SeriesVerdict | None:
        """The judgement of the series; None in a result that an earlier version wrote."""
        if self.state is None:
            return None
        return SeriesVerdict(
            self.verdict,
            self.state,
            rate=self.per_iteration,
            low=self.low,
            high=self.high,
            decided_at=self.decided_at,
            since=self.since,
            until=self.until,
            needed=self.needed,
            judged_at=self.judged_at,
            cycles=self.cycles,
            tolerance=self.tolerance,
            n_min=self.n_min,
        )


@dataclass(frozen=True)
class Growth:
    """The growth the verdict rests on. The ``bytes_*`` fields are None when the deciding signal counts no bytes."""

    signal: str
    measures: str | None
    """``requested`` (what the program asked for) or ``allocated`` (what the allocator gave); None for counts."""
    bytes_per_iteration: float | None
    low: float | None
    high: float | None
    requested_bytes_per_iteration: float | None
    allocated_bytes_per_iteration: float | None
    unit: str
    per_iteration: float | None
    """The deciding signal's own rate in ``unit`` per cycle; equals ``bytes_per_iteration`` when that is its unit."""


@dataclass(frozen=True)
class Place:
    """A line of code; on a stack, one call."""

    function: str | None
    file: str | None
    line: int | None
    module: str | None = None
    """The file that compiled code was loaded from; None for Python code."""
    package: str | None = None

    @property
    def is_python(self) -> bool:
        """Whether it is a line of Python code. Of an address in no module neither file nor module is known."""
        return self.file is not None and self.module is None

    def __str__(self) -> str:
        """Return it as a line of a stack: ``decode at /src/decoder.c:120 in decoder.so``."""
        line = f"{self.file}:{self.line}" if self.file and self.line else self.file
        text = " at ".join(part for part in (self.function, line) if part)
        module = (self.module or "").rpartition("/")[2]
        if not text or text.startswith(module):  # decoder.so+0x60 names the module already
            return text or module
        return f"{text} in {module}"


@dataclass(frozen=True)
class ChainNode:
    """An object on the way to another, or in a reference cycle."""

    name: str
    """How the previous object leads to it: an attribute, an index, a key. For the first object: the variable."""
    what: str
    type: str
    """Empty where nodes are left out."""
    size_bytes: int | None
    """The size of the object alone."""
    allocated_at: Place | None
    """The call that allocated it, where the tracker knows that."""


class MemoryKind(StrEnum):
    """What a `MemoryStep` is."""

    BLOCK = "block"
    LOST_BLOCK = "lost-block"
    """A block that is lost itself, with everything that it points to."""
    GOBJECT = "gobject"
    """A block that holds an object of GLib, and nothing else can be the holder."""
    STATIC = "static"
    """A static variable, or static data that has no symbol."""
    MAIN_STACK = "main-stack"
    THREAD_STACK = "thread-stack"
    UNMAPPED = "unmapped"
    UNKNOWN = "unknown"
    """From before the tracker began, or of an allocator of its own."""
    TEXT = "text"
    """What an earlier version wrote in words."""


class Unseen(StrEnum):
    """Why it is not known who holds the blocks of a cause."""

    NOT_SCANNED = "not-scanned"
    NOT_READABLE = "not-readable"
    TOO_FEW_BLOCKS = "too-few-blocks"
    SOME_HELD = "some-held"
    """Nothing points to some of them, something to others."""
    MOST_LOST = "most-lost"
    """Nothing points to most of them, something to the others: they are probably lost."""
    SEEN_ONCE = "seen-once"
    """Nothing points to them, at the only scan that there was."""
    FREED_LATER = "freed-later"
    """Nothing pointed to blocks that were freed later."""
    NOT_MORE = "not-more"
    """Nothing points to them, but their number did not grow from one scan to the next."""
    TOO_MANY_OBJECTS = "too-many-objects"
    """They are held, but the process has too many objects to find how Python code reaches them."""


@dataclass(frozen=True)
class MemoryStep:
    """Memory that points to what stays, or to the step below it, as a scan of the memory saw it."""

    kind: str
    """A `MemoryKind`."""
    name: str | None = None
    """Of a static variable its symbol; of a block the variable of a module that is assigned where it was allocated.

    Of ``text`` what an earlier version wrote.
    """
    module: str | None = None
    """The file that a static variable was loaded from."""
    type: str | None = None
    """The type of the object in a block."""
    size_bytes: int | None = None
    """The size of a block."""
    allocated_at: Place | None = None
    """The call that allocated a block."""


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
class Opened:
    """Descriptors, threads or child processes that stay and are alike."""

    kind: str
    """What they are: ``file``, ``tcp socket``, ``pipe``, ``thread``, ``zombie process``, …"""
    name: str
    """Path, addresses, thread name or command, with ``*`` for where they differ; empty where they have none."""
    count: int


@dataclass(frozen=True)
class Owner:
    """The object that the blocks of a cause belong to: without it, nothing would hold them."""

    type: str
    """The Python type, or the name of a GType."""
    size_bytes: float
    """The size of one object, with everything that it owns."""
    per_iteration: float = 1.0
    """How many such objects a cycle leaves."""
    allocated_at: Place | None = None
    fingerprint: str | None = None
    """The fingerprint of the cause for the owner itself; None if its call site does not grow."""
    is_lost: bool = False
    """Nothing outside points to it: its objects hold each other, or a reference was never dropped."""
    ref_count: int | None = None
    """The usual reference count, for objects of GLib; None for others."""
    function: Place | None = None
    """The line that made the Python function that holds the owner and that the owner holds."""
    memory: Place | None = None
    """The line that allocated the native memory that alone holds the owner."""


@dataclass(frozen=True)
class Cause:
    """A place and a holder of growth."""

    kind: str
    confirmed: bool
    state: str
    """``lost``, ``held`` or ``unknown``."""
    fingerprint: str
    bytes_per_iteration: float | None = None
    blocks_per_iteration: float | None = None
    requested_size: int | None = None
    every: float | None = None
    since: int | None = None
    where: Place | None = None
    python_where: Place | None = None
    frames: tuple[Place, ...] = ()
    """The stack of the allocation, or of the call that opened what stays open; innermost first."""
    type: str | None = None
    holder: HoldingCache | None = None
    chain: tuple[ChainNode, ...] = ()
    """The path from a root to one of the objects, as the measured process itself reports it."""
    ring: tuple[ChainNode, ...] = ()
    """The reference cycle that the objects are in, from one back to itself."""
    memory_path: tuple[MemoryStep, ...] = ()
    """The path from a root to the blocks, as a scan of the memory saw it; the root first."""
    unseen: str | None = None
    """An `Unseen`."""
    unseen_detail: str | None = None
    """The error that kept the memory from being read."""
    is_free_memory: bool = False
    """For fragmentation: an audit found that the growth is memory that the allocators keep free."""
    count_per_iteration: float | None = None
    """For descriptors, threads, child processes and things left behind: how many stay per cycle."""
    opened: tuple[Opened, ...] = ()
    """What they are, the most frequent first."""
    newest: str | None = None
    """For things left behind: the path or name of the newest."""
    owner: Owner | None = None
    """The object that its blocks are part of, or that they are themselves."""
    allocated_bytes_per_iteration: float | None = None
    """What the allocators make of ``bytes_per_iteration``; None where that does not follow from the blocks' size."""
    processes: str | None = None
    """The processes that the program started and that have the cause, in short; None: the program itself."""
    waits_at: Place | None = None
    """For threads that only Python's own library started: the line that they run; ``python_where`` has it too."""


@dataclass(frozen=True)
class ProcessResult:
    """One process that the program started and in which the tracker counted."""

    pid: int
    first_cycle: int
    last_cycle: int
    """The first and the last checkpoint at which it was counted."""
    first_bytes: float
    last_bytes: float
    """The bytes that it had requested and not freed at these two checkpoints."""
    first_rss_bytes: float
    last_rss_bytes: float
    bytes_per_iteration: float | None
    """Its growth per cycle over the later half of the checkpoints; None if there are too few."""
    has_ended: bool


@dataclass(frozen=True)
class RoleResult:
    """Processes that do the same: of one program, one parent, and started by one line of it."""

    command: str
    verdict: Verdict
    living: int
    ended: int
    """How many of them were counted and have ended."""
    bytes_per_iteration: float | None
    """The growth of all of them together, in bytes requested and not freed; None if it is not known."""
    low: float | None
    high: float | None
    processes: tuple[ProcessResult, ...] = ()
    """Each process; if many have ended, only the latest of these."""
    ended_bytes_per_iteration: float | None = None
    """The rate at which each ended process still grew at its end; None if it is not known."""
    ended_grew_in: Place | None = None
    """The place where the ended processes grew most; None if it is not known."""
    ended_grew_there: float | None = None
    """The growth at that place, in bytes per cycle of theirs."""


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


AT_WORK = "at-work"
"""``stopped_by`` of a component that is still being measured: its result is what can be said so far."""
NEVER_RAN = "it never ran"
"""Why no tracker was in a process that was never started: not even its setup was tried."""
WATCHED_FROM_OUTSIDE = "watched from outside"
"""Why no tracker is in a process that was there before it was watched: no fault, and not worth a sentence."""


@dataclass(frozen=True)
class TrackerState:
    """Whether the allocation tracker watched, and if not, why."""

    active: bool
    reason: str | None
    covers: tuple[str, ...] = ()
    follows_objects: bool = True
    """Whether a block that CPython keeps in a free list has the line of the object that is in it now."""
    is_filtered: bool = False
    """Whether the program filters its system calls, so that the tracker makes none."""


@dataclass(frozen=True)
class Pacing:
    """Pace asked for and pace held."""

    interval_s: float | None
    mean_period_s: float | None
    missed_deadlines: int
    worst_lag_s: float


@dataclass(frozen=True)
class Pauses:
    """For how long cycles waited while soak counted, exact to a tenth.

    Of a watched program: for how long a thread waited while the program was copied for a scan.
    """

    count: int
    p50_s: float
    p99_s: float
    worst_s: float
    budget_s: float | None
    """The longest allowed pause; None without a budget."""


@dataclass(frozen=True)
class Failure:
    """Why a driver failed."""

    phase: str
    cycle: int
    """The cycle under way, counted from 1; 0 in setup."""
    reason: str
    detail: str
    stack: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditPart:
    """One part of resident memory, and its change over the cycles that an audit covers."""

    kind: str
    """native-blocks, python-blocks, rounding, malloc, {malloc,arena,pymalloc}-free, stacks, mapping or tracker."""
    name: str
    """Its name for people; for a mapping its file, or the call that made it."""
    bytes: int
    bytes_per_iteration: float
    resident_bytes: tuple[int, ...]
    """Its resident bytes at each of the audit's ``cycles``."""
    made_by: Place | None = None
    """The call that made a mapping, where it is known."""


@dataclass(frozen=True)
class RssAudit:
    """Which parts the growth of RSS is made of: ``rss_bytes`` is their sum and ``unexplained_bytes``, exactly."""

    first_cycle: int
    last_cycle: int
    rss_bytes: int
    bytes_per_iteration: float
    parts: tuple[AuditPart, ...]
    unexplained_bytes: int
    fragmentation: bool
    """RSS grows by memory that the allocators keep free, while memory in use does not."""
    cycles: tuple[int, ...]
    """The cycles at which it was read; the first and the last are the two above."""
    resident_bytes: tuple[int, ...]
    """RSS at each of them."""
    unexplained_resident_bytes: tuple[int, ...]


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


@dataclass(frozen=True)
class Blank:
    """An empty cycle: what this machine reads when nothing grows."""

    ok: bool
    limit_of_detection_bytes: float | None
    rate: float | None
    low: float | None
    high: float | None
    iterations: int
    detail: str
    failed_signals: tuple[str, ...] = ()
    """Signals that grew, or could not be read."""


@dataclass(frozen=True)
class SignalSpike:
    """A planted leak of another kind: what one signal makes of it, in its ``unit`` per cycle."""

    ok: bool
    signal: str
    kind: str
    """What was planted, as for ``--inject``."""
    unit: str
    planted: float
    recovered: float | None
    iterations: int
    detail: str


@dataclass(frozen=True)
class Spike:
    """A planted leak of known size by malloc: what this run makes of it; and those of other kinds."""

    ok: bool
    planted_requested: int
    planted_allocated: int
    recovered_requested: float | None
    recovered_allocated: float | None
    iterations: int
    detail: str
    failed_signals: tuple[str, ...] = ()
    """Signals that did not find the leak that was planted by malloc."""
    of_kinds: tuple[SignalSpike, ...] = ()


@dataclass(frozen=True)
class Controls:
    """The controls of a run."""

    blank: Blank
    spike: Spike
    measured: str | None = None
    """When they were measured, in ISO 8601; None in the record of an earlier soak."""
    is_kept: bool = False
    """An earlier run on this machine measured them."""

    @property
    def ok(self) -> bool:
        """Whether all controls passed."""
        return self.blank.ok and self.spike.ok and all(spike.ok for spike in self.spike.of_kinds)

    @property
    def failed_signals(self) -> frozenset[str]:
        """Signals that failed a control: verdicts that rest on them are not proven."""
        of_kinds = {spike.signal for spike in self.spike.of_kinds if not spike.ok}
        return frozenset(self.blank.failed_signals) | frozenset(self.spike.failed_signals) | of_kinds


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
