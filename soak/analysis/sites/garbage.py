"""Few small objects of Python prove no leak where nobody collects garbage: they may wait for it, or lie in a free list.

CPython collects the youngest objects after 700 of them, and keeps up to 2,000 freed tuples of each size for the next.
Until then they are alive for the tracker. In a run soak collects at each checkpoint; a watched program is left alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace

from soak.analysis.evidence import LEDGER, Evidence
from soak.analysis.sites.ledger import Suspect
from soak.verdict import SeriesState, SeriesVerdict, Verdict

WAITING_BLOCKS = 700
MOST_FREE_TUPLES = 2000
"""Of each size."""
LARGEST_OF_PYTHON_BYTES = 512
"""Larger ones come from malloc; no free list keeps them."""

LARGEST_TUPLE_BYTES = 192
"""Of 19 entries. Larger ones are not kept."""


def without_waiting(evidence: Evidence, of_python: Collection[int], free: Collection[int] = ()) -> Evidence:
    """Return the evidence with leaks taken back that so few blocks rest on.

    ``of_python``: sites of Python objects. ``free``: sites that grow by what lies in a free list.
    """
    suspects = tuple(
        _without_leak(suspect, evidence.cycles, MOST_FREE_TUPLES)
        if suspect.site in free
        else _without_leak(suspect, evidence.cycles, WAITING_BLOCKS)
        if _may_wait(suspect, of_python, evidence)
        else suspect
        for suspect in evidence.suspects
    )
    waits = any(suspect.is_leak or suspect.site in free for suspect in evidence.suspects)
    if any(suspect.is_leak for suspect in suspects) or not waits:
        return replace(evidence, suspects=suspects)
    blocks = evidence.series.get("tracked_blocks")
    in_free_list = sum(suspect.blocks_per_cycle for suspect in suspects if suspect.site in free)
    rate = 0.0 if blocks is None else (blocks.rate or 0.0) - in_free_list
    if rate * evidence.cycles >= WAITING_BLOCKS:
        return replace(evidence, suspects=suspects)
    most, of = (MOST_FREE_TUPLES, in_free_list) if in_free_list > 0 else (WAITING_BLOCKS, rate)
    series = {
        name: _taken_back(each, of, evidence.cycles, most) if name in LEDGER else each
        for name, each in evidence.series.items()
    }
    return replace(evidence, suspects=suspects, series=series)


def _may_wait(suspect: Suspect, of_python: Collection[int], evidence: Evidence) -> bool:
    if not suspect.is_leak or suspect.site not in of_python:
        return False
    if suspect.bytes_per_cycle > LARGEST_OF_PYTHON_BYTES * suspect.blocks_per_cycle:
        return False
    return suspect.blocks_per_cycle * evidence.cycles < WAITING_BLOCKS


def _without_leak(suspect: Suspect, cycles: int, most: int) -> Suspect:
    return replace(suspect, verdict=_taken_back(suspect.verdict, suspect.blocks_per_cycle, cycles, most))


def _taken_back(series: SeriesVerdict, blocks_per_cycle: float, cycles: int, most: int) -> SeriesVerdict:
    """Return a leak as undecided, with the cycles until there are more blocks than ``most``."""
    if series.verdict is not Verdict.LEAK:
        return series
    needed = max(math.ceil(most / blocks_per_cycle) - cycles, 1) if blocks_per_cycle > 0 else None
    state = SeriesState.UNSTEADY
    return replace(series, verdict=Verdict.INCONCLUSIVE, state=state, decided_at=None, needed=needed)
