"""Growth that has ended just now: of a cache that became full after nearly all of the cycles.

A rule that allows for noise does not see that the last tenth of a series is flat. But the blocks of a site are counted
exactly. Where they became more in each part of the run but in the latest ones, however short the parts, nothing grows
there any more.

    live blocks |                      .-----
                |                  .-'
                |              .-'
                |__________.-'_______________ cycles
                 1   2   3   4   5   6   7  8    the latest of eight parts is flat
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from soak.analysis.evidence import MEMORY, Evidence
from soak.analysis.sites.caches import is_all_tracked
from soak.analysis.sites.ledger import SAME_RATE, Suspect
from soak.verdict import SeriesState, SeriesVerdict, Verdict

_PARTS = (64, 32, 16, 8)
_FEWEST_READINGS = 2
"""In a part."""
_OVERDUE = 2
"""A leak may come in bursts. It has ended when no more came in this many times the longest wait between two."""
_FEWEST_BLOCKS = 16
"""Usually in a part: of fewer that come at random, none may come for a while."""
_STEADY, _FLAT = 0.5, 0.1
"""Each earlier part has this share of the usual growth at least, and those since have this share on average."""
_FEWEST_EARLIER = 3
"""Parts in which it grew."""
_SETTING_IN = 8
"""The first one of so many parts of the run, in which a program may do more or less, is left out."""
_ENOUGH_TO_BE_CLEAN = 2.2
"""CLEAN asks for the later half of the cycles to be flat."""


def ended_after(cycles: NDArray[np.int64], blocks: NDArray[np.int64]) -> int | None:
    """Return the cycle after which a site's live blocks did not increase; None if they still may.

    ``cycles`` ``(m,)`` ascending, ``blocks`` ``(m,)``.
    """
    return next((at for parts in _PARTS if (at := _ended_in_last(parts, cycles, blocks)) is not None), None)


def _ended_in_last(parts: int, cycles: NDArray[np.int64], blocks: NDArray[np.int64]) -> int | None:
    if len(cycles) < _FEWEST_READINGS * parts:
        return None
    first = cycles[0] + (cycles[-1] - cycles[0]) / _SETTING_IN
    length = (cycles[-1] - cycles[0]) / parts
    later = cycles[cycles >= first]
    if len(later) < 2 or np.diff(later).max() * _FEWEST_READINGS > length:
        return None
    ends = np.arange(cycles[-1], first, -length)
    values = blocks[np.searchsorted(cycles, ends, side="right") - 1]
    grown = -np.diff(values)  # of each part, the latest first
    for flat in range(1, len(grown) - _FEWEST_EARLIER):
        # Growth may have ended anywhere in the part before those that are flat.
        tail, earlier = grown[:flat], grown[flat + 1 :]
        usual = float(np.median(earlier))
        if usual < _FEWEST_BLOCKS or earlier.min() < _STEADY * usual or tail.max() >= _STEADY * usual:
            continue
        until = cycles[-1] - flat * length
        if tail.mean() <= _FLAT * usual and flat * length >= _OVERDUE * _longest_wait(cycles, blocks, first, until):
            return int(until)
    return None


def _longest_wait(cycles: NDArray[np.int64], blocks: NDArray[np.int64], first: float, until: float) -> int:
    """Return the most cycles from one rise to the next, between two cycles."""
    highest = np.maximum.accumulate(blocks)
    rises = cycles[1:][np.diff(highest) > 0]
    between = rises[(rises >= first) & (rises <= until)]
    return int(np.diff(between).max()) if len(between) > 1 else int(cycles[-1])


@dataclass(frozen=True)
class _End:
    """The end of a site's growth."""

    until: int
    """The cycle after which there was no more."""
    bytes_per_cycle: float
    """Before that."""


class EndedGrowth:
    """Knows the sites whose growth has ended.

    What a series has said of memory stands until its next look, long after the sites have come to rest.
    """

    def __init__(self, ended_after: Callable[[int], int | None]) -> None:
        """Know none yet. ``ended_after``: returns the cycle after which a site did not grow."""
        self._ended_after = ended_after
        self._ends: dict[int, _End] = {}

    def apply(self, evidence: Evidence) -> Evidence:
        """Return the evidence, with the growth that has ended as no leak: of sites, and of memory that is theirs."""
        for suspect in evidence.suspects:
            until = self._ended_after(suspect.site)
            if until is None:
                self._ends.pop(suspect.site, None)
            elif suspect.site not in self._ends:
                self._ends[suspect.site] = _End(until, suspect.verdict.rate or suspect.bytes_per_cycle)
        return _with_ends(evidence, self._ends) if self._ends else evidence


def _with_ends(evidence: Evidence, ends: Mapping[int, _End]) -> Evidence:
    until = max(end.until for end in ends.values())
    suspects = _suspects(evidence, ends, until)
    tracked = evidence.series.get("tracked")
    rate = sum(end.bytes_per_cycle for end in ends.values())
    is_theirs = tracked is not None and rate >= SAME_RATE * (tracked.rate or 0.0)
    if not is_theirs or any(suspect.is_leak for suspect in suspects):
        return replace(evidence, suspects=suspects)
    series = dict(evidence.series)
    for name in MEMORY:
        is_other = name == "heap" and not is_all_tracked(evidence.series, evidence.tolerance_bytes)
        if name in series and series[name].verdict is Verdict.LEAK and not is_other:
            series[name] = _ended(series[name], until, evidence.cycles)
    return replace(evidence, suspects=suspects, series=series)


def _suspects(evidence: Evidence, ends: Mapping[int, _End], until: int) -> tuple[Suspect, ...]:
    """Return the suspects. What has no more blocks is the table of what the others are in, which grew with them."""
    suspects, cycles = evidence.suspects, evidence.cycles
    is_all = all(s.site in ends or s.blocks_per_cycle <= 0 for s in suspects if s.is_leak)
    return tuple(
        replace(s, verdict=_ended(s.verdict, ends[s.site].until if s.site in ends else until, cycles))
        if s.is_leak and (s.site in ends or is_all)
        else s
        for s in suspects
    )


def _ended(series: SeriesVerdict, until: int, cycles: int) -> SeriesVerdict:
    needed = max(math.ceil(_ENOUGH_TO_BE_CLEAN * until) - cycles, 1)
    return replace(series, verdict=Verdict.INCONCLUSIVE, state=SeriesState.ENDED, until=until, needed=needed)
