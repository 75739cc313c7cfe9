"""What overrules what: one table of all rules, strongest first.

Some rules depend on the rows below them. They get a function that returns what holds there; no rule imports the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from soak.analysis.decision.rules.caches import find_filling_cache, find_filling_modules, find_maybe_filling
from soak.analysis.decision.rules.clean import find_hidden_memory, find_no_growth, find_nothing_stays
from soak.analysis.decision.rules.controls import find_control_failed, find_driver_failed
from soak.analysis.decision.rules.counts import find_count_at_limit, find_count_every_cycle, find_steady_count
from soak.analysis.decision.rules.few_cycles import find_few_cycles
from soak.analysis.decision.rules.memory import (
    find_fragmentation,
    find_kept_blocks,
    find_lost_blocks,
    find_memory_at_limit,
    find_memory_every_cycle,
    find_steady_mapped,
    find_steady_memory,
)
from soak.analysis.decision.rules.processes import (
    find_growing_processes,
    find_open_processes,
    find_steady_children,
    find_uncounted_children,
)
from soak.analysis.decision.rules.sites import find_growing_sites, find_replacing
from soak.analysis.decision.rules.undecided import (
    find_heap_beside_ledger,
    find_not_read,
    find_nothing_read,
    find_only_outside,
    find_slowing,
    find_undecided,
    find_unexplained_rss,
)
from soak.analysis.evidence import Evidence
from soak.grounds import Ground, GroundKind


class Rule(NamedTuple):
    """A row of the table: a kind of ground, and when it holds."""

    kind: GroundKind
    find: Callable[[Evidence], Ground | None]


def grounds_of(evidence: Evidence, rules: Sequence[Rule]) -> tuple[Ground, ...]:
    """Return the grounds that hold, strongest first.

    A cache that may be filling in the process itself does not explain a leak in the processes that it started.
    """
    found = [ground for rule in rules if (ground := rule.find(evidence)) is not None]
    if found and found[0].kind in _CACHES:
        found.sort(key=lambda ground: ground.kind is not GroundKind.GROWING_PROCESSES)
    return tuple(found)


def _below_controls(evidence: Evidence) -> tuple[Ground, ...]:
    return grounds_of(evidence, _rules_below(GroundKind.CONTROL_FAILED))


def _below_caches(evidence: Evidence) -> Ground:
    """Return what would be reported if no cache could explain it."""
    found = (rule.find(evidence) for rule in _rules_below(_CACHES[-1]))
    return next(ground for ground in found if ground is not None)


def _rules_below(kind: GroundKind) -> Sequence[Rule]:
    rows = [rule.kind for rule in PRECEDENCE]
    return PRECEDENCE[rows.index(kind) + 1 :]


_CACHES = (
    GroundKind.FILLING_CACHE,
    GroundKind.FILLING_MODULES,
    GroundKind.MAYBE_FILLING,
    GroundKind.FEW_CYCLES,
)
"""The rows on caches; they stand together, in this order."""
PRECEDENCE: tuple[Rule, ...] = (
    Rule(GroundKind.DRIVER_FAILED, find_driver_failed),
    Rule(GroundKind.CONTROL_FAILED, partial(find_control_failed, below=_below_controls)),
    # What leaks descriptors or threads mostly leaks memory with them: the count explains the memory.
    Rule(GroundKind.STEADY_COUNT, find_steady_count),
    Rule(GroundKind.COUNT_AT_LIMIT, find_count_at_limit),
    Rule(GroundKind.COUNT_EVERY_CYCLE, find_count_every_cycle),
    # Blocks that nothing points to can never be freed, whatever a cache does.
    Rule(GroundKind.LOST_BLOCKS, find_lost_blocks),
    # A list grows for ever where no code removes anything from it.
    Rule(GroundKind.KEPT_BLOCKS, find_kept_blocks),
    # A cache grows at one rate while it fills; here its bound is known.
    Rule(GroundKind.FILLING_CACHE, partial(find_filling_cache, below=_below_caches)),
    # There are only so many modules to import.
    Rule(GroundKind.FILLING_MODULES, partial(find_filling_modules, below=_below_caches)),
    # Not all of the growth could be looked at.
    Rule(GroundKind.MAYBE_FILLING, partial(find_maybe_filling, below=_below_caches)),
    # A cache of unknown size would look the same.
    Rule(GroundKind.FEW_CYCLES, find_few_cycles),
    # A small leak hides in the sum of all sites under the sawteeth of others.
    Rule(GroundKind.GROWING_SITES, find_growing_sites),
    Rule(GroundKind.STEADY_MEMORY, find_steady_memory),
    Rule(GroundKind.FRAGMENTATION, find_fragmentation),
    Rule(GroundKind.STEADY_MAPPED, find_steady_mapped),
    Rule(GroundKind.MEMORY_AT_LIMIT, find_memory_at_limit),
    Rule(GroundKind.MEMORY_EVERY_CYCLE, find_memory_every_cycle),
    # What the process leaks is reported before what its children leak, and what is counted before RSS.
    Rule(GroundKind.GROWING_PROCESSES, find_growing_processes),
    Rule(GroundKind.STEADY_CHILDREN, find_steady_children),
    # If as much is freed, what sites keep is no growth of the whole, but it may still be a leak.
    Rule(GroundKind.REPLACING, find_replacing),
    Rule(GroundKind.NO_GROWTH, find_no_growth),
    # Exact, and sooner than the counters; but where those are CLEAN too, they bound the growth of all there is.
    Rule(GroundKind.NOTHING_STAYS, find_nothing_stays),
    # Neither counts the blocks that a library's own allocator hands out.
    Rule(GroundKind.HIDDEN_MEMORY, find_hidden_memory),
    Rule(GroundKind.NOT_READ, find_not_read),
    # malloc's caches count as in use; what they do not explain may still not be a block of the program.
    Rule(GroundKind.HEAP_BESIDE_LEDGER, find_heap_beside_ledger),
    Rule(GroundKind.SLOWING, find_slowing),
    Rule(GroundKind.UNDECIDED, find_undecided),
    Rule(GroundKind.UNEXPLAINED_RSS, find_unexplained_rss),
    Rule(GroundKind.UNCOUNTED_CHILDREN, find_uncounted_children),
    Rule(GroundKind.OPEN_PROCESSES, find_open_processes),
    Rule(GroundKind.ONLY_OUTSIDE, find_only_outside),
    Rule(GroundKind.NOTHING_READ, find_nothing_read),
)
"""What overrules what: the first row whose ground holds decides, and nothing changes the verdict afterwards."""
