"""Why a component has its verdict: typed grounds, which ``soak.reporting.words`` turns into sentences."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from soak.verdict import Verdict

ENOUGH_N_MIN = 1024
"""Where n_min follows from slow cycles and is less, caches may be larger: growth alone is then no leak of memory."""
N_MIN_OF_OWN_CACHES = 16_384
CYCLES_OF_OWN_CACHES = 4096
"""From either on, a container that its code bounds by a number that is not known is a leak like any other."""


_LATER_AT_LEAST = 0.5


class GroundKind(StrEnum):
    """What a verdict may rest on. The order is no precedence: that is in ``soak.analysis.decision.precedence``."""

    DRIVER_FAILED = "driver-failed"
    """The driver crashed, hung, or could not start."""
    CONTROL_FAILED = "control-failed"
    """A control of this run failed, so what rests on its signals is not proven."""
    STEADY_COUNT = "steady-count"
    """Threads, child processes or descriptors grow at one rate."""
    COUNT_AT_LIMIT = "count-at-limit"
    """A guard stopped the component because a count came near its limit."""
    COUNT_EVERY_CYCLE = "count-every-cycle"
    """A count rose by the same in each of the last cycles of the run."""
    LOST_BLOCKS = "lost-blocks"
    """A scan of the memory found blocks that nothing points to."""
    KEPT_BLOCKS = "kept-blocks"
    """Each cycle adds to a container from which, by its code, nothing is ever taken."""
    FILLING_CACHE = "filling-cache"
    """Bounded caches that are not full yet hold all of the growth."""
    FILLING_MODULES = "filling-modules"
    """Modules that are imported for the first time hold all of the growth."""
    MAYBE_FILLING = "maybe-filling"
    """A bounded cache holds the growth that soak looked at, but not all was looked at, or it did not fill."""
    FEW_CYCLES = "few-cycles"
    """Memory grows at one rate, but in few cycles: a cache of unknown size may hold it."""
    GROWING_SITES = "growing-sites"
    """Call sites allocate memory that stays, each at one rate."""
    STEADY_MEMORY = "steady-memory"
    """A counter of memory in use grows at one rate."""
    FRAGMENTATION = "fragmentation"
    """Resident memory grows at one rate, by free memory that the allocators keep."""
    STEADY_MAPPED = "steady-mapped"
    """Mapped memory grows at one rate; or resident memory, where only the outside is seen or what was mapped fills."""
    MEMORY_AT_LIMIT = "memory-at-limit"
    """A guard stopped the component because its memory came near a limit."""
    MEMORY_EVERY_CYCLE = "memory-every-cycle"
    """Memory rose in each of the last cycles of the run, fast enough to be certain to reach its limit."""
    STEADY_CHILDREN = "steady-children"
    """The child processes that live between cycles grow together at one rate."""
    GROWING_PROCESSES = "growing-processes"
    """Processes that the component started, and in which the tracker counts, leak."""
    REPLACING = "replacing"
    """Call sites allocate memory that stays, as much is freed elsewhere, and all memory together does not grow."""
    NO_GROWTH = "no-growth"
    """Every signal that decides is proven not to grow."""
    NOTHING_STAYS = "nothing-stays"
    """Nothing of what past cycles allocated is still there."""
    HIDDEN_MEMORY = "hidden-memory"
    """What is counted does not grow, but memory may that a library maps and hands out itself."""
    NOT_READ = "not-read"
    """A signal that is needed could not be read."""
    HEAP_BESIDE_LEDGER = "heap-beside-ledger"
    """The heap counter grows, but the ledger, which sees every block, proves that none stays."""
    SLOWING = "slowing"
    """Everything that still grows does so ever more slowly."""
    UNDECIDED = "undecided"
    """Growth of at least one signal is neither shown nor ruled out."""
    UNEXPLAINED_RSS = "unexplained-rss"
    """Resident or mapped memory grows, and memory in use does not."""
    UNCOUNTED_CHILDREN = "uncounted-children"
    """Nothing grows in the process itself; child processes live between cycles, and nobody counted inside them."""
    OPEN_PROCESSES = "open-processes"
    """Nothing grows in the process itself; in processes that it started, growth is neither shown nor ruled out."""
    ONLY_OUTSIDE = "only-outside"
    """No counter that can be read from outside grows, but that never proves CLEAN."""
    NOTHING_READ = "nothing-read"
    """No signal was read."""


VERDICTS = {
    GroundKind.DRIVER_FAILED: Verdict.FAILED,
    GroundKind.CONTROL_FAILED: Verdict.INCONCLUSIVE,
    GroundKind.STEADY_COUNT: Verdict.LEAK,
    GroundKind.COUNT_AT_LIMIT: Verdict.LEAK,
    GroundKind.COUNT_EVERY_CYCLE: Verdict.LEAK,
    GroundKind.LOST_BLOCKS: Verdict.LEAK,
    GroundKind.KEPT_BLOCKS: Verdict.LEAK,
    GroundKind.FILLING_CACHE: Verdict.SETTLING,
    GroundKind.FILLING_MODULES: Verdict.SETTLING,
    GroundKind.MAYBE_FILLING: Verdict.INCONCLUSIVE,
    GroundKind.FEW_CYCLES: Verdict.INCONCLUSIVE,
    GroundKind.GROWING_SITES: Verdict.LEAK,
    GroundKind.STEADY_MEMORY: Verdict.LEAK,
    GroundKind.FRAGMENTATION: Verdict.LEAK,
    GroundKind.STEADY_MAPPED: Verdict.LEAK,
    GroundKind.MEMORY_AT_LIMIT: Verdict.LEAK,
    GroundKind.MEMORY_EVERY_CYCLE: Verdict.LEAK,
    GroundKind.STEADY_CHILDREN: Verdict.LEAK,
    GroundKind.GROWING_PROCESSES: Verdict.LEAK,
    GroundKind.REPLACING: Verdict.INCONCLUSIVE,
    GroundKind.NO_GROWTH: Verdict.CLEAN,
    GroundKind.NOTHING_STAYS: Verdict.CLEAN,
    GroundKind.HIDDEN_MEMORY: Verdict.INCONCLUSIVE,
    GroundKind.NOT_READ: Verdict.INCONCLUSIVE,
    GroundKind.HEAP_BESIDE_LEDGER: Verdict.INCONCLUSIVE,
    GroundKind.SLOWING: Verdict.SETTLING,
    GroundKind.UNDECIDED: Verdict.INCONCLUSIVE,
    GroundKind.UNEXPLAINED_RSS: Verdict.INCONCLUSIVE,
    GroundKind.UNCOUNTED_CHILDREN: Verdict.INCONCLUSIVE,
    GroundKind.OPEN_PROCESSES: Verdict.INCONCLUSIVE,
    GroundKind.ONLY_OUTSIDE: Verdict.INCONCLUSIVE,
    GroundKind.NOTHING_READ: Verdict.INCONCLUSIVE,
}
"""The verdict that each ground gives when it decides."""


MODULES = "modules"
"""The kind of what `sys.modules` holds, where the cycles import modules for the first time."""
WEAK_KINDS = ("WeakValueDictionary", "WeakKeyDictionary", "WeakSet")
"""The kinds of a cache that drops an entry when nothing else holds its value, or its key."""


@dataclass(frozen=True)
class HoldingCache:
    """A cache that holds what grows."""

    kind: str
    name: str
    capacity: int | None
    """None: it has no bound."""
    filled: int
    full_at_cycle: int | None
    """About when, at the pace at which it was seen to fill; None when it does not fill, or for ever."""
    is_bounded_by_code: bool = False
    """A container of the program, which its code keeps small."""

    @property
    def has_hidden_bound(self) -> bool:
        """Whether its code bounds it, by a number that is not known."""
        return self.is_bounded_by_code and self.capacity is None


@dataclass(frozen=True)
class Filling:
    """What bounded caches that fill will come to hold."""

    cache: HoldingCache
    """The one that is full last."""
    more_bytes: float
    """Beyond what they hold now."""
    is_all: bool
    """They hold all that grows; else nearly all of it."""
    loses_entries: bool = False
    """One had fewer entries after the last cycles, though it was not full."""


@dataclass(frozen=True)
class Keeper:
    """A container that only grows, as the code shows."""

    name: str
    """What the code calls it."""
    file: str
    line: int
    """Where something is added to it, in each cycle."""


@dataclass(frozen=True)
class Limit:
    """How far a signal rose before a guard stopped the component, in the signal's unit."""

    first: float
    last: float
    allowed: float | None
    """The limit it came near; None if it is not the signal's own."""
    cycles: int
    """Up to the latest reading."""
    is_reached: bool = False
    """The component ran into it before the guard saw it coming."""


@dataclass(frozen=True)
class Streak:
    """A signal that rose in each interval between two readings, to a new maximum each time; in the signal's unit."""

    since: int
    """The cycle of the reading before the first of these intervals."""
    cycles: int
    """How many cycles the intervals have together."""
    intervals: int
    first: float
    last: float
    later_rate: float | None = field(default=None, compare=False)
    """How much the signal rose per cycle in the later part, a quarter to five eighths of the cycles; None if no
    reading stands there."""

    @property
    def goes_on(self) -> bool:
        """Whether the later part rose at half of the mean rate or more: a cache that has filled since does not."""
        return self.later_rate is not None and self.later_rate >= _LATER_AT_LEAST * self.rate

    @property
    def growth(self) -> float:
        """How much the signal rose."""
        return self.last - self.first

    @property
    def rate(self) -> float:
        """How much it rose per cycle."""
        return self.growth / self.cycles


@dataclass(frozen=True)
class LiveChildren:
    """Processes that the component started, itself or through others, and that live between cycles."""

    commands: tuple[str, ...]
    """What each is, in short."""
    first_bytes: float
    """Their RSS together, each as it was when it was first seen."""
    last_bytes: float
    """Their RSS together at the last checkpoint."""

    @property
    def counts(self) -> list[tuple[str, int]]:
        """The different commands, each with how many there are of it; the most frequent first."""
        return Counter(self.commands).most_common()

    @property
    def growth_bytes(self) -> float:
        """By how much their RSS has grown together."""
        return self.last_bytes - self.first_bytes


@dataclass(frozen=True)
class ProcessRole:
    """Processes that do the same, and what is decided of them together: same program, parent and place of start."""

    command: str
    """What each is, in short."""
    processes: int
    """How many of them live now; of a role of which none does, how many there were."""
    verdict: Verdict
    signal: str | None = None
    """The signal that decided, or that is open."""
    rate: float | None = None
    """Of that signal, of all processes together, per cycle and in its unit."""


@dataclass(frozen=True)
class Ground:
    """One thing that a verdict rests on."""

    kind: GroundKind
    signals: tuple[str, ...] = ()
    """The signals it speaks of, the one that decides first."""
    sites: int | None = None
    """LOST_BLOCKS, KEPT_BLOCKS, REPLACING and GROWING_SITES: at how many call sites."""
    proven_rate: float | None = None
    """GROWING_SITES, LOST_BLOCKS and KEPT_BLOCKS: bytes per cycle that these sites alone are proven to keep. REPLACING:
    what they keep, of which as much is freed elsewhere."""
    keeper: Keeper | None = None
    """KEPT_BLOCKS."""
    filling: Filling | None = None
    """FILLING_CACHE and MAYBE_FILLING."""
    modules: HoldingCache | None = None
    """FILLING_MODULES: how many there are, and the name of the latest."""
    limit: Limit | None = None
    """COUNT_AT_LIMIT and MEMORY_AT_LIMIT."""
    streak: Streak | None = None
    """COUNT_EVERY_CYCLE and MEMORY_EVERY_CYCLE; also of an UNDECIDED count that rose in each cycle so far, and of
    FEW_CYCLES before n_min."""
    children: LiveChildren | None = None
    """STEADY_CHILDREN, and UNCOUNTED_CHILDREN where they were read."""
    roles: tuple[ProcessRole, ...] = ()
    """GROWING_PROCESSES: those that leak; OPEN_PROCESSES: those that are not decided."""
