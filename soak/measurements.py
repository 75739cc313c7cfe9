"""The signals: what is counted, in which unit, and what each may contribute to a verdict.

docs/verdict.md has the same table ("channels"). A signal that *decides* can give LEAK, and there is no CLEAN unless it
was read and is clean itself. A signal that *alarms* can never give CLEAN. When it grows steadily and the deciding
signals do not, that growth is unexplained. A signal that *informs* is only shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

Identity = tuple[int, int]
"""The number of a thread or process, and when it began: together no other has them."""
NOTABLE_RSS_BYTES = 256 * 1024
"""A smaller change of resident memory is not reported as growth."""


class Role(StrEnum):
    """What a signal may contribute to the verdict on a component."""

    DECIDES = "decides"
    ALARMS = "alarms"
    INFORMS = "informs"


def _blocks_tolerance(cycles: float) -> float:
    """Return what can be proven: a count is exact to one block, so not below 0.05 per cycle before cycle 400."""
    return 0.01 if cycles > 400 else 0.05


@dataclass(frozen=True)
class Signal:
    """One probe's series."""

    name: str
    unit: str
    role: Role
    title: str
    grain: float = 0.0
    """The resolution of the counter, in its unit: a step of this size means nothing."""
    tolerance: Callable[[float], float] | float | None = None
    """The accepted growth per cycle, in the unit, or a function of the number of cycles. None: the user's, in bytes."""
    limit: str | None = None
    """The name of the process limit on this count, if there is one (see soak.probes.limits)."""
    kind: str = "native"
    """The kind of the cause, when this signal grows steadily."""
    most_n_min: float = float("inf")
    """n_min is no larger than this for this signal, whatever the budget."""

    def own_n_min(self, n_min: int) -> int:
        """Return n_min for this signal, by halves, so that all signals are looked at at the same cycles."""
        while n_min > self.most_n_min:
            n_min //= 2
        return n_min


@dataclass(frozen=True)
class Reading:
    """The signals of one checkpoint.

    ``values`` maps the name of a signal to its value, in the unit of the signal. A signal that was not read is absent.
    """

    cycle: int
    """The number of completed cycles; 0 is before the first."""
    at_s: float
    """Monotonic seconds since the loop began."""
    values: dict[str, float] = field(default_factory=dict)
    is_late: bool = False
    """What is read from outside was read some cycles later, because the parent was late: no exact count of this cycle.
    """


# Causes come before effects: a leaked thread has Python objects as well, and these may own memory from malloc.
SIGNALS: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal("threads", "threads", Role.DECIDES, "threads", 1.0, 0.01, "threads", "thread"),
        Signal("children", "processes", Role.DECIDES, "child processes", 1.0, 0.01, "children", "child-process"),
        Signal("fds", "fds", Role.DECIDES, "file descriptors", 1.0, 0.01, "fds", "file-descriptor"),
        # There is no limit to run into first, but each takes room of the machine until it is restarted.
        Signal("left_behind", "resources", Role.DECIDES, "left behind", 1.0, 0.01, None, "left-behind", 1024),
        # Exact. But growth by less than the smallest block, over the compared cycles, is not proven.
        Signal("tracked", "bytes", Role.DECIDES, "memory requested and not freed", 16.0),
        Signal("tracked_blocks", "blocks", Role.DECIDES, "blocks not freed", 0.0, _blocks_tolerance),
        Signal("python_blocks", "blocks", Role.DECIDES, "Python blocks", 1.0, _blocks_tolerance, kind="python-object"),
        # glibc keeps a few freed chunks of each thread in its tcache, and counts them as in use.
        Signal("heap", "bytes", Role.DECIDES, "malloc heap in use", 128.0, kind="native"),
        Signal("mapped", "bytes", Role.ALARMS, "mapped memory", 4096.0, kind="mapping"),
        Signal("rss", "bytes", Role.ALARMS, "resident memory (RSS)", 4096.0, kind="fragmentation"),
        Signal("pss", "bytes", Role.INFORMS, "proportional set size (PSS)", 4096.0),
        Signal("uss", "bytes", Role.INFORMS, "unique set size (USS)", 4096.0),
        Signal("swap", "bytes", Role.INFORMS, "swap", 4096.0),
        Signal("heap_free", "bytes", Role.INFORMS, "free heap kept by malloc", 4096.0),
        Signal("python_blocks_before_gc", "blocks", Role.INFORMS, "Python blocks before gc", 1.0, _blocks_tolerance),
        Signal("gc_objects", "objects", Role.INFORMS, "gc-tracked objects", 1.0, _blocks_tolerance),
        Signal("kept_files", "files", Role.INFORMS, "other files that are kept", 1.0, 0.01),
        Signal("traced", "bytes", Role.INFORMS, "tracemalloc total (second pass)"),
        # Judged by rules of their own (soak.analysis.decision): of the processes in which the tracker counts, what they
        # requested and did not free; of the others, their RSS.
        Signal("children_tracked", "bytes", Role.INFORMS, "memory of child processes", 16.0, kind="child-process"),
        Signal("children_rss", "bytes", Role.INFORMS, "RSS of child processes", 4096.0, kind="child-process"),
    )
}
