"""Collects garbage at checkpoints, at a cost that depends on what the cycles make and not on what setup holds.

A collection visits every object that gc tracks: a fifth of a second for a list of five million. Where one takes long,
the objects that survive it are frozen (``gc.freeze``), so the next collections visit only objects that are newer.
Garbage among the frozen objects stays until all objects are collected again. That happens before any reading that is
higher than all readings before: so what only looks like growth, because old objects were not collected, is never read.
"""

from __future__ import annotations

import sys

from soak.inside.clock import RealTime
from soak.inside.counting import counters
from soak.inside.counting.free_lists import FreeLists
from soak.inside.counting.real_gc import RealGc

TYPE_CHECKING = False  # importing typing would be resident in every measured process
if TYPE_CHECKING:
    from typing import Any

_SLOW_NS = 10_000_000
"""A collection that takes this much processor time, or a quarter of a pause's budget, is worth shortening."""
_APART = 16
"""While collections of all objects find nothing, the next one waits for a sixteenth of the cycles so far. So a program
that grows does not need one at each checkpoint. Old garbage that was not collected meanwhile is gone at the next one,
so it is no growth over the cycles that the rule of the verdict looks at."""
_APART_AT_LEAST = 64
"""In cycles. No look of the rule reaches back into the first ones, which import and fill what stays."""
_MOST_SURPRISES = 3
"""So often frozen objects may turn out to be garbage. A program replaces some of its objects in its first cycles; one
that goes on to do so is better off with all of its objects collected each time."""
_THAWED, _FROZEN, _LEFT_ALONE = range(3)
_SLOW_IN_A_ROW = 2
"""A single slow collection may have met much garbage. Where pauses have a budget, one is enough: that of the first
count, for which no cycle waits."""
_STATE, _BLOCKS, _HEAP, _DUE, _SURPRISES, _SLOW, _IS_WHOLE = range(7)
_OF_INTERPRETERS = ("_interpreters", "_xxsubinterpreters")
"""The modules by which a program starts further interpreters, as CPython 3.13 and those before call them."""


class Collector:
    """Collects for the checkpoints of one loop. After it is made, it leaves no allocation behind."""

    def __init__(self, max_pause_ns: int = 0) -> None:
        """Collect nothing yet. ``max_pause_ns``: how long a checkpoint should take at most; 0 for no budget."""
        self._has_budget = max_pause_ns > 0
        self._slow_ns = min(_SLOW_NS, max_pause_ns // 4) if self._has_budget else _SLOW_NS
        self._slow_in_a_row = 1 if self._has_budget else _SLOW_IN_A_ROW
        # Not attributes, because numbers above 256 would be blocks of their own.
        self._words = memoryview(bytearray(8 * 7)).cast("q")
        if "free-threading" in sys.version or not counters.is_nothing_frozen():
            self._words[_STATE] = _LEFT_ALONE
        # What gc.get_referrers finds of these two shows who froze objects: it does not look into frozen ones.
        self._older: list[Any] = [object()]
        self._newer: list[Any] = [object()]
        self._free_lists = FreeLists()

    @property
    def is_frozen(self) -> bool:
        """Whether older objects are left out."""
        return self._words[_STATE] == _FROZEN

    @property
    def has_collected_all(self) -> bool:
        """Whether no garbage is left that gc can find: the latest collection left out no object.

        An interpreter collects only objects of its own.
        """
        may_be_others = _OF_INTERPRETERS[0] in sys.modules or _OF_INTERPRETERS[1] in sys.modules
        return bool(self._words[_IS_WHOLE]) and not may_be_others

    def may_collect(self) -> bool:
        """Return whether to collect at all: not when the component has disabled gc, or has frozen objects."""
        if not self.is_frozen:
            return counters.soak_may_collect()
        if not RealGc.isenabled():
            return False
        is_undone, is_done_again = self._interference()
        if is_undone or is_done_again:
            self._words[_STATE] = _LEFT_ALONE
        return not is_done_again

    def _interference(self) -> tuple[bool, bool]:
        """Return whether the component has unfrozen what soak froze, and whether it has frozen objects itself."""
        is_undone, is_done_again = False, True
        for holder in RealGc.get_referrers(self._older[0], self._newer[0]):
            is_undone = is_undone or holder is self._older
            is_done_again = is_done_again and holder is not self._newer
        return is_undone, is_done_again

    def collect(self) -> int:
        """Collect what is not frozen; return how many objects were garbage."""
        words = self._words
        begun_ns = RealTime.thread_time_ns()
        words[_IS_WHOLE] = words[_STATE] != _FROZEN
        found = RealGc.collect()
        is_slow = RealTime.thread_time_ns() - begun_ns >= self._slow_ns
        self._free_lists.overwrite()
        words[_SLOW] = words[_SLOW] + 1 if is_slow else 0
        if words[_STATE] == _THAWED and words[_SLOW] >= self._slow_in_a_row:
            self._freeze()
        return found

    def must_collect_all(self, done: int, blocks: int, heap: int) -> bool:
        """Tell whether these readings may be too high, because frozen objects have become garbage.

        ``done``: the cycles so far. ``blocks``: Python's. ``heap``: bytes in use. Where pauses have a budget, the heap
        counts only without Python's blocks, of which garbage always has some: between the frames of a camera the heap
        is at a new height now and then by chance, and to collect all objects takes longer than the budget.
        """
        words = self._words
        is_highest = blocks > words[_BLOCKS] or (heap > words[_HEAP] and not (self._has_budget and blocks))
        return words[_STATE] == _FROZEN and is_highest and done >= words[_DUE]

    def collect_all(self, done: int) -> int:
        """Collect all objects, and freeze what survives; return how many were garbage."""
        words = self._words
        RealGc.unfreeze()
        words[_IS_WHOLE] = True
        found = RealGc.collect()
        self._free_lists.overwrite()
        words[_SURPRISES] += found > 0
        words[_DUE] = done if found else done + max(done // _APART, _APART_AT_LEAST)
        if words[_SURPRISES] < _MOST_SURPRISES:
            self._freeze()
        else:
            words[_STATE] = _LEFT_ALONE
        return found

    def remember(self, blocks: int, heap: int) -> None:
        """Take note of what was read after the collection."""
        words = self._words
        words[_BLOCKS] = max(words[_BLOCKS], blocks)
        words[_HEAP] = max(words[_HEAP], heap)

    def thaw(self) -> None:
        """Let collections visit all objects again. Call it after the last checkpoint."""
        if self.is_frozen and self.may_collect():
            RealGc.unfreeze()
        self._words[_STATE] = _LEFT_ALONE

    def _freeze(self) -> None:
        RealGc.freeze()
        self._older = self._newer  # frozen now
        self._newer = [object()]
        self._words[_STATE] = _FROZEN
