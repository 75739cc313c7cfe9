"""Measure how often a cache of hidden size is called LEAK after few cycles, where every part of them is alike.

    python benchmarks/calibrate_few_cycles.py                1,000 runs of each family (about ten minutes)
    python benchmarks/calibrate_few_cycles.py --runs 50

Where cycles are slow, soak's n_min is 256 to 1,023, and growth that something holds is no LEAK before 2,048 cycles; or
before 1,280, where the ledger shows as many new blocks in each eighth of them, up to the last. Each simulated run has
two call sites, the entries and the table of a container. It is judged by the code that judges a real component, at the
first checkpoints from 1,280 cycles on, and at one in each later eighth up to 4,096. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import math
import sys
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from measuring import at_least, at_most, equal, make_parser, publish, shown

from soak.analysis.component import ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.sites.ledger import LedgerJudge
from soak.measurements import Reading
from soak.verdict import Verdict

Entries = npt.NDArray[np.int64]
"""How many there are after 0, 1, 2, ... cycles."""

CYCLES, EARLIEST = 4096, 1280
SMALLEST, LARGEST_CERTAIN, LARGEST = 10, 1_000, 1_240
"""Of caches, in cycles that they take to fill. No run may call one LEAK that is full after 1,000."""
N_MIN = (256, 1023)
_DENSEST, _SPARSEST = 64, 34
"""Of the cycles so far, checkpoints are this part apart, as soak's own are."""
_FIRST_LOOKS = 3
_BATCH = 25
_MOST_FALSE_LEAKS = 0.001
_LEAST_POWER = 0.95


def full_at(rng: np.random.Generator, largest: int) -> int:
    """Choose after how many cycles a cache is full; large ones are the hard ones."""
    return int(rng.integers(largest // 2, largest + 1) if rng.random() < 0.7 else rng.integers(SMALLEST, largest + 1))


def fills_and_stops(rng: np.random.Generator, largest: int) -> Entries:
    """Fill by one to three entries a cycle and then drop an old one for each new one."""
    filled: Entries = np.minimum(np.arange(CYCLES + 1), full_at(rng, largest)) * int(rng.integers(1, 4))
    return filled


def fills_at_random(rng: np.random.Generator, largest: int) -> Entries:
    """Add an entry in some cycles only, or in some more than one."""
    added = np.cumsum(np.concatenate(([0], rng.poisson(rng.uniform(0.05, 3), CYCLES))))
    filled: Entries = np.minimum(added, added[full_at(rng, largest)])
    return filled


def fills_from_later_on(rng: np.random.Generator, largest: int) -> Entries:
    """Begin to fill after up to a quarter of the cycles that it takes."""
    at = full_at(rng, largest)
    begun = int(rng.integers(0, at // 4 + 1))
    return np.minimum(np.maximum(np.arange(CYCLES + 1) - begun, 0), at - begun)


def is_emptied(rng: np.random.Generator, largest: int) -> Entries:
    """Empty it when it is full, all of it or to a half: a history that is cut, garbage that is collected."""
    size = full_at(rng, largest)
    left = 0 if rng.random() < 0.5 else size // 2
    at = np.arange(CYCLES + 1)
    return np.where(at < size, at, left + (at - size) % (size - left))


def random_keys(rng: np.random.Generator, largest: int) -> Entries:
    """Have as many keys as its size, which come at random: it fills ever more slowly."""
    keys = rng.integers(0, full_at(rng, largest), CYCLES)
    is_new = np.zeros(CYCLES, np.int64)
    is_new[np.unique(keys, return_index=True)[1]] = 1
    return np.concatenate(([0], np.cumsum(is_new)))


def some_keys_more_often(rng: np.random.Generator, largest: int) -> Entries:
    """Have keys some of which come often and most seldom, up to a bound."""
    keys = rng.zipf(rng.uniform(1.05, 1.8), CYCLES)
    is_new = np.zeros(CYCLES, np.int64)
    is_new[np.unique(keys, return_index=True)[1]] = 1
    found = np.concatenate(([0], np.cumsum(is_new)))
    filled: Entries = np.minimum(found, found[full_at(rng, largest)])
    return filled


def entries_of_some_time(rng: np.random.Generator, largest: int) -> Entries:
    """Keep each entry for about so many cycles."""
    kept_for = full_at(rng, largest)
    life = rng.uniform(0.7, 1.0, CYCLES) * kept_for
    ends = np.ceil(np.arange(CYCLES) + life).astype(np.int64)
    gone = np.bincount(np.minimum(ends, CYCLES), minlength=CYCLES + 1)[: CYCLES + 1]
    return np.arange(CYCLES + 1) - np.cumsum(gone)


def leak(rng: np.random.Generator, _: int) -> Entries:
    """Keep one to three in each cycle, or one in every second, third or fourth."""
    each, every = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    return np.arange(CYCLES + 1) // every * each


CACHES: dict[str, Callable[[np.random.Generator, int], Entries]] = {
    "fills and stops": fills_and_stops,
    "fills at random": fills_at_random,
    "fills from later on": fills_from_later_on,
    "is emptied": is_emptied,
    "random keys": random_keys,
    "some keys more often": some_keys_more_often,
    "entries of some time": entries_of_some_time,
}


@dataclass(frozen=True)
class Run:
    """What was said of one run: after how many cycles it was called LEAK; None if it was not."""

    leak_at: int | None


def checkpoints(rng: np.random.Generator) -> Iterator[int]:
    """Give the cycles of a run's checkpoints, as a slow program has them; of some at whole periods only."""
    period, at = int(rng.choice([1, 1, 2, 6, 32])), 0
    while at <= CYCLES:
        yield at
        step = max(int(rng.uniform(at / _DENSEST, at / _SPARSEST)), 1)
        at += max(step // period, 1) * period


def judged(rng: np.random.Generator, entries: Entries) -> Run:
    """Judge a container as soak judges a component whose cycles are slow."""
    n_min, size = int(rng.integers(*N_MIN)), int(rng.choice([24, 100, 4096, 98304]))
    table = 8 * 2.0 ** np.ceil(np.log2(np.maximum(entries, 5)))
    component, ledger = ComponentJudge(1.0, {}, frozenset({"tracked"})), LedgerJudge(1.0)
    component.fix_n_min(n_min, are_cycles_slow=True)
    next_look, looks = float(EARLIEST), 0
    for at in checkpoints(rng):
        held, blocks = size * int(entries[at]) + int(table[at]), int(entries[at])
        component.add(Reading(at, at / 10, {"tracked": float(held), "tracked_blocks": float(blocks + 1)}))
        ledger.add(at, np.array([0, blocks, 1]), np.array([0, held - int(table[at]), int(table[at])]))
        if at < next_look:
            continue
        looks += 1
        next_look = at + 1 if looks < _FIRST_LOOKS else math.ceil(at * 9 / 8)
        evidence = replace(component.evidence(), cycles=at, suspects=tuple(ledger.suspects(n_min)))
        if decide(evidence).verdict is Verdict.LEAK:
            return Run(at)
    return Run(None)


def simulate(family: str, largest: int, number: int) -> list[Run]:
    """Make and judge a batch of runs from its own seed."""
    rng = np.random.default_rng((zlib.crc32(family.encode()), largest, number))
    make = CACHES.get(family, leak)
    return [judged(rng, make(rng, largest)) for _ in range(_BATCH)]


def runs_of(family: str, largest: int, batches: int, pool: ProcessPoolExecutor) -> list[Run]:
    """Return so many batches of runs of a family."""
    return [run for batch in pool.map(partial(simulate, family, largest), range(batches)) for run in batch]


def main() -> int:
    """Simulate, and print the table."""
    options = parse_arguments()
    batches, figures = max(options.runs // _BATCH, 1), []
    with ProcessPoolExecutor() as pool:
        for largest in (LARGEST_CERTAIN, LARGEST):
            for family in CACHES:
                runs = runs_of(family, largest, batches, pool)
                leaks = sum(run.leak_at is not None for run in runs)
                name = f"{family}, full after at most {largest:,} cycles: LEAK in {len(runs):,} runs"
                most = 0 if largest == LARGEST_CERTAIN else math.floor(_MOST_FALSE_LEAKS * len(runs))
                figures.append(equal(name, leaks, "", 0) if not most else at_most(name, leaks, "", most))
        runs = runs_of("leak", LARGEST, batches, pool)
        found = [run.leak_at for run in runs if run.leak_at is not None]
        figures.append(at_least("leaks found", len(found) / len(runs), "", _LEAST_POWER))
        figures.append(shown("after, median", float(np.median(found)), "cycles"))
    return publish("few_cycles", figures, {"runs": batches * _BATCH}, options.json)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=1000, metavar="N", help="runs of each family (1000)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
