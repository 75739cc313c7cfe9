"""``soak.mark()``: a program says where its cycles begin. The tracker uses it when it was preloaded."""

from __future__ import annotations

import itertools
import os

_LOADER_VARIABLE, _LIBRARY_PREFIX = "LD_PRELOAD", "libsoak_tracker"


def mark(label: str | None = None) -> None:
    """Say that a cycle begins: what is allocated from here on belongs to it.

    ``label``: what kind of cycle it is, such as the route of a request; then growth is told by label. It does nothing
    without the tracker, or when soak itself counts the cycles of this process; the call then takes some 30 ns. It never
    raises, and may be called from any thread.
    """
    if _cell is not None:
        number = next(_numbers)
        _cell[0] = number
        if label is not None:
            _labels.give(number, label)


def begin() -> int:
    """Mark the begin of a cycle; return its number, for `name_cycle`. 0 if nothing counts them."""
    if _cell is None:
        return 0
    number = next(_numbers)
    _cell[0] = number
    return number


def name_cycle(number: int, label: str) -> None:
    """Say what kind of cycle one was that `begin` has counted."""
    if number:
        _labels.give(number, label)


def is_counting() -> bool:
    """Tell whether marks are counted in this process."""
    return _cell is not None


class _Labels:
    """Keeps the labels of the latest marks where the watcher reads them; see ``struct labels`` of the tracker."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._table: tuple[memoryview[int], memoryview[int], memoryview[int]] | None = None
        self._of_mark: memoryview[int] | None = None
        """The label of each of the latest marks, by the number of the mark modulo their length."""
        self._length = 1
        self._is_there = True

    def give(self, number: int, label: str) -> None:
        """Note the label of a mark; a program must not fail for it."""
        try:
            known = self._numbers.get(label)
            if known is None:
                known = self._add(label)
            if self._of_mark is not None:
                self._of_mark[number % self._length] = known
        except Exception:  # noqa: BLE001, S110 - and suppress() takes longer than all else here
            pass

    def _add(self, label: str) -> int:
        if self._table is None:
            if not self._is_there:
                return 0
            from soak.inside import tracker

            hook = tracker.connect()
            self._table = None if isinstance(hook, tracker.NoTracker) else hook.labels()
            self._is_there = self._table is not None
            if self._table is None:
                return 0
            self._of_mark = self._table[2]
            self._length = len(self._of_mark)
        counts, names, _ = self._table
        size, most = len(names) // counts[1], counts[1] - 1
        number = len(self._numbers) + 1
        if number >= most:
            counts[2] = 1
            return most  # the rest of them together
        text = label.encode("utf-8", "replace")[: size - 1]
        names[number * size : number * size + len(text)] = text
        self._numbers[label] = number
        counts[0] = number
        return number


def _find_cell() -> memoryview[int] | None:
    """Return the word of the tracker that counts marks; None when nothing reads it. Then nothing is imported either."""
    # When soak's own loop counts the cycles, it has started the tracker, which removed itself from the environment.
    if _LIBRARY_PREFIX not in os.environ.get(_LOADER_VARIABLE, ""):
        return None
    from soak.inside import tracker

    hook = tracker.connect()
    return None if isinstance(hook, tracker.NoTracker) or hook.covers else hook.cycle


_cell = _find_cell()
_numbers = itertools.count(1 if _cell is None else _cell[0] + 1)
"""The next one is taken in one step, so that no mark of another thread gets lost."""
_labels = _Labels()
