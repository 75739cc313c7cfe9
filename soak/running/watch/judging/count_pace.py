"""When the blocks of a watched program are counted: often at first, then ever more rarely."""

from __future__ import annotations

_READINGS_PER_LOOK = 128
"""Counts at this share of the elapsed time give the rule all that it uses."""
_FEWEST_READINGS_PER_LOOK = 48
"""With fewer some block of its windows holds less than two readings, and it says nothing."""
_SHORT_TIME_S = 12.8
_LARGEST_SHARE = 0.2
"""Of one processor, in that time."""
_FREE_S = 2.0
"""Until the counts have taken this share of it, they come as often as they can."""


class CountPace:
    """Says when the next count is due, on a clock that stands while the program has no cycles.

    The spacing grows with the time, so that the share of the time that counts take falls: that of counts of 20 ms is
    below 2 % after two minutes.
    """

    def __init__(self, every_s: float) -> None:
        """Begin at time 0. ``every_s``: the shortest spacing."""
        self._every_s = every_s
        self._due_s = self._spent_s = 0.0

    def is_due(self, now_s: float) -> bool:
        """Tell whether a count is due; always, before the first one."""
        return now_s >= self._due_s

    def spend(self, now_s: float, took_s: float) -> None:
        """Take note of the processor time that a count took."""
        self._spent_s += took_s
        pause_s = 0.0 if self._spent_s < _FREE_S else took_s / _LARGEST_SHARE
        affordable = _LARGEST_SHARE * _SHORT_TIME_S / took_s if took_s > 0 else _READINGS_PER_LOOK
        readings = min(max(affordable, _FEWEST_READINGS_PER_LOOK), _READINGS_PER_LOOK)
        spacing_s = max(self._every_s, now_s / readings, pause_s)
        self._due_s = now_s + spacing_s - self._every_s / 2  # samples come at a grid
