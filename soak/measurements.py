"""The signals: what is counted, in which unit, and what each may say in a verdict.

The table is the one of docs/verdict.md ("channels"). A signal that *decides* can raise LEAK, and CLEAN is only said
when it was read and is clean itself. One that *alarms* can never give CLEAN; its steady growth, while the deciding
ones are flat, is growth that nothing explains. One that *informs* is shown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

NOTABLE_RSS_BYTES = 256 * 1024
"""Resident memory that changes by less has not grown, as far as people are told."""


class Role(StrEnum):
    """What a signal may say in a component's verdict."""

    DECIDES = "decides"
    ALARMS = "alarms"
    INFORMS = "informs"


def _blocks_tolerance(cycles: float) -> float:
    """One block more or less is the grain, so below 400 cycles nothing under 0.05 per cycle can be proven."""
    return 0.01 if cycles > 400 else 0.05


@dataclass(frozen=True)
class Signal:
    """One probe's series."""

    name: str
    unit: str
    role: Role
    title: str
    grain: float = 0.0
    """Resolution of the counter, in its unit: a step of this size says nothing."""
    tolerance: Callable[[float], float] | float | None = None
    """Growth per cycle that is accepted, in the unit (a function of the cycles seen); None: the user's, in bytes."""
    limit: str | None = None
    """The name of the process limit that this count runs into, if any (see soak.probes.limits)."""
    kind: str = "native"
    """What a steady growth of this signal is called as a cause."""


@dataclass(frozen=True)
class Reading:
    """All signals of one checkpoint.

    ``values`` maps a signal's name to its value in the signal's unit; a signal that was not read is absent.
    """

    cycle: int
    """Cycles completed when it was read; 0 is before the first."""
    at_s: float
    """Monotonic seconds since the loop began."""
    values: dict[str, float] = field(default_factory=dict)


# In the order in which they explain: a leaked thread is Python objects too, and those may own memory from malloc.
SIGNALS: dict[str, Signal] = {
    signal.name: signal
    for signal in (
        Signal("threads", "threads", Role.DECIDES, "threads", 1.0, 0.01, "threads", "thread"),
        Signal("children", "processes", Role.DECIDES, "child processes", 1.0, 0.01, "children", "child-process"),
        Signal("fds", "fds", Role.DECIDES, "file descriptors", 1.0, 0.01, "fds", "file-descriptor"),
        # Exact, but less than the smallest block over the cycles compared is not proven.
        Signal("tracked", "bytes", Role.DECIDES, "memory asked for and not given back", 16.0),
        Signal("tracked_blocks", "blocks", Role.DECIDES, "blocks not given back", 0.0, _blocks_tolerance),
        Signal("python_blocks", "blocks", Role.DECIDES, "Python blocks", 1.0, _blocks_tolerance, kind="python-object"),
        # glibc keeps a few freed chunks per thread in its tcache and counts them as in use.
        Signal("heap", "bytes", Role.DECIDES, "malloc heap in use", 128.0, kind="native"),
        Signal("mapped", "bytes", Role.ALARMS, "mapped memory", 4096.0, kind="mapping"),
        Signal("rss", "bytes", Role.ALARMS, "resident memory (RSS)", 4096.0, kind="fragmentation"),
        Signal("pss", "bytes", Role.INFORMS, "proportional set (PSS)", 4096.0),
        Signal("uss", "bytes", Role.INFORMS, "unique set (USS)", 4096.0),
        Signal("swap", "bytes", Role.INFORMS, "swap", 4096.0),
        Signal("heap_free", "bytes", Role.INFORMS, "free heap kept by malloc", 4096.0),
        Signal("python_blocks_before_gc", "blocks", Role.INFORMS, "Python blocks before gc", 1.0, _blocks_tolerance),
        Signal("gc_objects", "objects", Role.INFORMS, "gc-tracked objects", 1.0, _blocks_tolerance),
        Signal("traced", "bytes", Role.INFORMS, "tracemalloc total (second pass)"),
    )
}
