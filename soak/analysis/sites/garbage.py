"""Few small objects of Python prove no leak where nobody collects garbage: they may wait for it, or lie in a free list.

CPython collects the youngest objects after 700 of them (3.13 after 2,000), and keeps up to 2,000 freed tuples of each
size for the next. Until then they are alive for the tracker. In a run soak collects at each checkpoint; a watched
program is left alone. The processes that a program starts collect after a checkpoint, when they run again: what has
become garbage since then is still there at the next one, and checkpoints come further and further apart. A collection
empties the free lists as well (80 dicts, 80 tables of dicts, 200 frames, ...), and they fill again at what looks like
one rate.

What waits at many call sites together is more: only containers count for the 700, and each has blocks of its own. Each
connection of uvicorn ends as a cycle of some fourteen blocks, half of them containers; they wait for 1,400 blocks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from soak.analysis.evidence import LEDGER, Evidence
from soak.analysis.sites.ledger import Suspect
from soak.verdict import SeriesState, SeriesVerdict, Verdict

WAITING_BLOCKS, WAITING_BLOCKS_SINCE_3_13 = 700, 2000
"""This many young objects start a collection."""
_BLOCKS_OF_A_CONTAINER = 4
"""A container that waits has about this many blocks at most: itself, its dict, its strings."""
_USUAL_BLOCK_BYTES, _LARGEST_MEAN_BYTES = 64, 256
"""Of what waits at many sites. A bytearray of 1 kB is a small object and a large block, 528 B on average."""
_STILL_GROWS = 0.5
"""The sites that grow now explain at least this share of a leak that no site is by itself."""
MOST_FREE_TUPLES = 2000
"""Of each size."""
LARGEST_OF_PYTHON_BYTES = 512
"""Larger ones come from malloc; no free list keeps them."""
LARGEST_TUPLE_BYTES = 192
"""Of 19 entries. Larger ones are not kept."""


_MOSTLY = 0.5
_PYTHON = re.compile(r"python3\.(\d+)")
_NEW_THRESHOLD = 13


def risen_blocks(first: Mapping[str, float], last: Mapping[str, float]) -> float:
    """Return how many more blocks are alive than at first; infinite if they were not counted.

    ``first`` and ``last``: the first and the latest reading of each signal. What waits for a collection is never more.
    """
    name = "tracked_blocks"
    return last[name] - first[name] if name in first and name in last else math.inf


def most_waiting(maps: str) -> int:
    """Return how many objects may wait for a collection in a process with these mappings."""
    minors = [int(minor) for minor in _PYTHON.findall(maps)]
    return WAITING_BLOCKS_SINCE_3_13 if max(minors, default=0) >= _NEW_THRESHOLD else WAITING_BLOCKS


def without_waiting(
    evidence: Evidence, of_python: Collection[int], free: Collection[int] = (), *, most: int = WAITING_BLOCKS
) -> Evidence:
    """Return the evidence without the leaks that rest on few blocks.

    ``of_python``: sites of Python objects that may be garbage. ``free``: sites that grow by what lies in a free list.
    ``most``: blocks that may wait for a collection.
    """
    suspects = tuple(
        _without_leak(suspect, evidence.cycles, MOST_FREE_TUPLES)
        if suspect.site in free
        else _without_leak(suspect, evidence.cycles, most)
        if _may_wait(suspect, of_python, evidence, most)
        else suspect
        for suspect in evidence.suspects
    )
    waits = any(suspect.is_leak or suspect.site in free for suspect in evidence.suspects)
    if any(suspect.is_leak for suspect in suspects):
        return replace(evidence, suspects=suspects)
    evidence = replace(evidence, suspects=suspects)
    if not waits:
        return _without_sum_of_few(evidence, of_python, most)
    blocks = evidence.series.get("tracked_blocks")
    in_free_list = sum(suspect.blocks_per_cycle for suspect in suspects if suspect.site in free)
    rate = 0.0 if blocks is None else (blocks.rate or 0.0) - in_free_list
    grown = min(rate * _cycles_of(blocks, evidence), evidence.risen_blocks)
    is_many = grown >= (most if in_free_list > 0 else _BLOCKS_OF_A_CONTAINER * most)
    if is_many and not in_free_list and _is_over(evidence):
        return _without_sum(evidence, evidence.cycles)
    if is_many:
        return evidence
    enough, of = (MOST_FREE_TUPLES, in_free_list) if in_free_list > 0 else (_BLOCKS_OF_A_CONTAINER * most, rate)
    cycles = int(min(evidence.cycles, evidence.risen_blocks / of)) if of > 0 else evidence.cycles
    taken_back = {
        name: _taken_back(each, of, cycles, enough) if name in LEDGER else each
        for name, each in evidence.series.items()
    }
    sooner = [suspect.verdict.needed for suspect in suspects if suspect.verdict.needed and suspect.site not in free]
    series = {name: _needing_at_most(each, sooner) if name in LEDGER else each for name, each in taken_back.items()}
    return replace(evidence, series=series)


def _without_sum_of_few(evidence: Evidence, of_python: Collection[int], most: int) -> Evidence:
    """Return the evidence without a leak of all sites together that may be small objects of many sites that wait.

    No site is a leak by itself. The sum stands for one while there are too many blocks to wait, and while sites grow.
    """
    leaking = _leaking(evidence)
    if not of_python or not leaking:
        return evidence
    in_bytes, rate = _rates_of(leaking)
    is_over = _is_over(evidence)
    cycles, enough = max(_cycles_of(each, evidence) for each in leaking.values()), _BLOCKS_OF_A_CONTAINER * most
    grown = min(rate * cycles, evidence.risen_blocks)
    is_few = grown < enough
    if not 0 < in_bytes <= _LARGEST_MEAN_BYTES * rate or not (is_few or is_over):
        return evidence
    needed = evidence.cycles if is_over else max(math.ceil((enough - grown) / rate), 1)
    return _without_sum(evidence, needed)


def _without_sum(evidence: Evidence, needed: int) -> Evidence:
    """Return the evidence with a leak of all sites together as undecided."""
    undecided = {name: _undecided(each, needed) for name, each in _leaking(evidence).items()}
    return replace(evidence, series={**evidence.series, **undecided})


def _is_over(evidence: Evidence) -> bool:
    """Whether the sites that grow now explain too little of a leak that was seen earlier: its rate is not that of now.

    What waits for a collection rises at one rate too, until there is one.
    """
    in_bytes, _ = _rates_of(_leaking(evidence))
    return sum(max(suspect.bytes_per_cycle, 0.0) for suspect in evidence.suspects) < _STILL_GROWS * in_bytes


def _leaking(evidence: Evidence) -> dict[str, SeriesVerdict]:
    """Return the series of all sites together that leak."""
    series = {name: evidence.series[name] for name in LEDGER if name in evidence.series}
    return {name: each for name, each in series.items() if each.verdict is Verdict.LEAK}


def _rates_of(leaking: Mapping[str, SeriesVerdict]) -> tuple[float, float]:
    """Return bytes and blocks a cycle. Where one of them does not leak, the usual size of a block gives it."""
    in_bytes, in_blocks = (leaking[name].rate if name in leaking else None for name in LEDGER)
    blocks = in_blocks or (in_bytes or 0.0) / _USUAL_BLOCK_BYTES
    return in_bytes or blocks * _USUAL_BLOCK_BYTES, blocks


def _cycles_of(series: SeriesVerdict | None, evidence: Evidence) -> int:
    """Return in how many cycles a series has grown."""
    return evidence.cycles - ((series.since if series is not None else None) or 0)


def without_young(evidence: Evidence, young_bytes: Callable[[int | None], float]) -> Evidence:
    """Return the evidence with leaks taken back that are mostly what was made since the latest collection.

    ``young_bytes``: returns what a site holds of Python objects of that age, or with None what all sites do. Of a leak
    that is little, for most of what it keeps is older.
    """

    def judged(site: int | None, series: SeriesVerdict) -> SeriesVerdict:
        if series.verdict is not Verdict.LEAK:
            return series
        is_old = young_bytes(site) < _MOSTLY * (series.rate or 0.0) * evidence.cycles
        return series if is_old else _undecided(series, evidence.cycles)

    suspects = tuple(replace(suspect, verdict=judged(suspect.site, suspect.verdict)) for suspect in evidence.suspects)
    series = dict(evidence.series)
    tracked = series.get("tracked")
    is_old = tracked is None or judged(None, tracked) is tracked
    if not is_old and not any(suspect.is_leak for suspect in suspects):
        found = {name: series[name] for name in LEDGER if name in series and series[name].verdict is Verdict.LEAK}
        series |= {name: _undecided(each, evidence.cycles) for name, each in found.items()}
    return replace(evidence, suspects=suspects, series=series)


def _may_wait(suspect: Suspect, of_python: Collection[int], evidence: Evidence, most: int) -> bool:
    if not suspect.is_leak or suspect.site not in of_python:
        return False
    # The rates of a leak that stands and of its blocks may be of different times.
    is_large = suspect.bytes_per_cycle > LARGEST_OF_PYTHON_BYTES * suspect.blocks_per_cycle
    if is_large if suspect.size_of_new is None else suspect.size_of_new > LARGEST_OF_PYTHON_BYTES:
        return False
    return suspect.blocks_per_cycle * evidence.cycles < most


def _without_leak(suspect: Suspect, cycles: int, most: int) -> Suspect:
    return replace(suspect, verdict=_taken_back(suspect.verdict, suspect.blocks_per_cycle, cycles, most))


def _taken_back(series: SeriesVerdict, blocks_per_cycle: float, cycles: int, most: int) -> SeriesVerdict:
    """Return a leak as undecided, with the cycles until there are more blocks than ``most``."""
    if series.verdict is not Verdict.LEAK:
        return series
    needed = max(math.ceil(most / blocks_per_cycle) - cycles, 1) if blocks_per_cycle > 0 else None
    return _undecided(series, needed)


def _needing_at_most(series: SeriesVerdict, sooner: Collection[int]) -> SeriesVerdict:
    """Return a series that needs no more cycles than one of the sites does to be a leak by itself."""
    return series if series.needed is None else replace(series, needed=min(series.needed, *sooner, series.needed))


def _undecided(leak: SeriesVerdict, needed: int | None) -> SeriesVerdict:
    state = SeriesState.UNSTEADY
    return replace(leak, verdict=Verdict.INCONCLUSIVE, state=state, decided_at=None, needed=needed)
