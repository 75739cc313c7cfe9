"""Measure by simulation how often memory that stops growing is called LEAK where few cycles or many threads mislead.

`benchmarks/calibrate.py` runs this and writes the table. Two kinds of components that are clean:

- cycles so slow that n_min has fallen, and caches of hidden size: dicts and lists whose code bounds them somehow;
- heaps of 1 to 64 threads, each of which keeps up to 231 KiB of freed chunks that malloc counts as in use, beside a
  ledger that sees every block and is flat.

`ComponentJudge` and `decide` judge the runs: the code that judges a real component. Seeds are fixed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from calibrate_counts import CountRow, count, judge_families

from soak.analysis.component import ComponentJudge, choose_n_min
from soak.analysis.decision.decide import decide
from soak.analysis.evidence import TCACHE_BYTES, Evidence, Proven
from soak.analysis.sites.caches import CachedSite
from soak.analysis.sites.ledger import LedgerJudge
from soak.grounds import Keeper
from soak.measurements import Reading
from soak.verdict import SeriesState, SeriesVerdict, Verdict

Values = npt.NDArray[np.float64]

FEWEST_CYCLES, MOST_CYCLES = 30, 1_000
MOST_READINGS = 200
MOST_FALSE_LEAKS = 0.001
LEAST_POWER = 0.99
MOST_CYCLES_OF_LEAK = 64
"""A leak into a container that only grows, as its code shows, must be found in so few cycles."""
BLOCK_BYTES = 500.0


@dataclass(frozen=True)
class Run:
    """A simulated run: the live bytes and blocks after each cycle, ``(cycles + 1,)``, and what is known besides."""

    tracked: Values
    blocks: Values
    heap: Values
    threads: int = 1
    only_grows: bool = False
    """The code of what holds it shows no bound; see calibrate_keepers.py."""


def steps(fills: Values) -> Run:
    """Return a run whose ledger and heap hold so many entries after each cycle."""
    sizes = BLOCK_BYTES * fills
    return Run(sizes, fills, 1.05 * sizes)


def hidden_cache(rng: np.random.Generator, cycles: int) -> Run:
    """Fill a cache of hidden size by one entry a cycle; it may be larger than the run is long."""
    size, each = int(np.exp(rng.uniform(np.log(10), np.log(10 * cycles)))), rng.integers(1, 400)
    return steps(each * np.minimum(np.arange(cycles + 1.0), size))


def several_caches(rng: np.random.Generator, cycles: int) -> Run:
    """Fill two to six caches of hidden sizes at once, each from a cycle of its own on."""
    at, fills = np.arange(cycles + 1.0), np.zeros(cycles + 1)
    for _ in range(rng.integers(2, 7)):
        size, start = np.exp(rng.uniform(np.log(10), np.log(3 * cycles))), rng.integers(0, cycles // 2)
        fills += np.clip(at - start, 0, int(size))
    return steps(fills)


def random_keys(rng: np.random.Generator, cycles: int) -> Run:
    """Fill a cache by the new ones of random keys: ever more slowly."""
    keys = rng.integers(0, int(np.exp(rng.uniform(np.log(20), np.log(3 * cycles)))), cycles)
    _, firsts = np.unique(keys, return_index=True)
    new = np.zeros(cycles + 1)
    new[firsts + 1] = 1
    return steps(np.cumsum(new))


def random_replacement(rng: np.random.Generator, cycles: int) -> Run:
    """Put one entry a cycle into one of so many places: ever more of them are taken already."""
    places = rng.integers(0, int(np.exp(rng.uniform(np.log(20), np.log(10 * cycles)))), cycles)
    _, firsts = np.unique(places, return_index=True)
    new = np.zeros(cycles + 1)
    new[firsts + 1] = rng.integers(1, 400)
    return steps(np.cumsum(new))


def emptied_when_full(rng: np.random.Generator, cycles: int) -> Run:
    """Fill a buffer of hidden size, and empty it whenever it is full."""
    size = int(np.exp(rng.uniform(np.log(10), np.log(10 * cycles))))
    return steps(rng.integers(1, 400) * (np.arange(cycles + 1.0) % size))


def heap_of_threads(rng: np.random.Generator, cycles: int) -> Run:
    """Let each of 1 to 64 threads fill its tcache up to a level of its own, at a pace of its own."""
    threads, at = int(rng.integers(1, 65)), np.arange(cycles + 1.0)
    heap = np.zeros(cycles + 1)
    for _ in range(threads):
        level, pace = rng.uniform(0, TCACHE_BYTES), np.exp(rng.uniform(np.log(0.05), np.log(3))) * cycles
        heap += level * np.minimum(at / pace, 1.0)
    flat = np.full(cycles + 1, 1e6)
    return Run(flat, np.full(cycles + 1, 2e3), flat + heap, threads)


def kept_list(rng: np.random.Generator, cycles: int) -> Run:
    """Keep one object or several hundred of each cycle in a list that has no bound, beside some that come and go."""
    each = int(np.exp(rng.uniform(0, np.log(500))))
    beside = rng.integers(0, 1 + each // 20, cycles + 1)
    return replace(steps(each * np.arange(cycles + 1.0) + beside), only_grows=True)


CLEAN: dict[str, Callable[[np.random.Generator, int], Run]] = {
    "one cache of hidden size, slow cycles": hidden_cache,
    "several caches of hidden sizes, slow cycles": several_caches,
    "random keys, slow cycles": random_keys,
    "random replacement, slow cycles": random_replacement,
    "emptied when full, slow cycles": emptied_when_full,
    "tcaches of 1 to 64 threads": heap_of_threads,
}
LEAKS: dict[str, Callable[[np.random.Generator, int], Run]] = {"kept in a list, slow cycles": kept_list}


@dataclass(frozen=True)
class MemoryRow(CountRow):
    """What was said of one family's runs, with the gates of this page."""

    def failures(self) -> list[str]:
        """Return the gates that this family misses."""
        if self.family in LEAKS:
            return [f"power {self.leak / self.runs:.3f}"] if self.leak < LEAST_POWER * self.runs else []
        return [f"{self.leak} false LEAK in {self.runs} runs"] if self.leak > MOST_FALSE_LEAKS * self.runs else []


def verdict_of(run: Run) -> Verdict:
    """Judge a run at its end, with the n_min that its number of cycles brings."""
    cycles = len(run.tracked) - 1
    judge = ComponentJudge(1.0, {}, frozenset({"heap"}))
    judge.fix_n_min(choose_n_min(cycles))
    for cycle in np.unique(np.linspace(0, cycles, min(cycles, MOST_READINGS) + 1).astype(int)).tolist():
        values = {"tracked": run.tracked[cycle], "tracked_blocks": run.blocks[cycle], "heap": run.heap[cycle]}
        judge.add(Reading(cycle, float(cycle), {**values, "threads": float(run.threads)}))
    evidence: Evidence = judge.evidence(is_last=True)
    rate = evidence.series["tracked"].rate or 0.0
    is_leak = evidence.series["tracked"].verdict is Verdict.LEAK
    site = CachedSite(rate, None, is_leak)
    return decide(replace(evidence, cached=(site,), kept=_kept(run))).verdict


def _kept(run: Run) -> Proven | None:
    """Return what the ledger makes of a container whose code shows no bound; soak says it of no other."""
    if not run.only_grows:
        return None
    ledger = LedgerJudge(1.0)
    for cycle, blocks in enumerate(run.blocks.tolist()):
        ledger.add(cycle, np.array([0, blocks], np.int64), np.array([0, BLOCK_BYTES * blocks], np.int64))
    if not ledger.grows_in_each_cycle(1):
        return None
    cycles = len(run.blocks) - 1
    rate = float(run.tracked[-1] - run.tracked[cycles // 2]) / (cycles - cycles // 2)
    growth = SeriesVerdict(Verdict.LEAK, SeriesState.MEASURED, rate, rate, rate)
    return Proven(1, growth, growth, cycles, is_settled=True, keeper=Keeper("KEPT", "app.py", 14))


def simulate(family: str, number: int, runs: int) -> list[Verdict]:
    """Make and judge a batch of runs from its own seed."""
    rng = np.random.default_rng((zlib.crc32(family.encode()), number))
    most = MOST_CYCLES_OF_LEAK if family in LEAKS else MOST_CYCLES
    lengths = np.exp(rng.uniform(np.log(FEWEST_CYCLES), np.log(most), runs)).astype(int)
    return [verdict_of((CLEAN | LEAKS)[family](rng, int(cycles))) for cycles in lengths]


def calibrate_memory(runs: int, *, processes: int = 2) -> list[MemoryRow]:
    """Judge so many runs of each family."""
    verdicts = judge_families(simulate, LEAKS | CLEAN, runs, processes)
    return [MemoryRow(family, len(said), *count(said)) for family, said in verdicts.items()]


def section_of_memory(rows: list[MemoryRow]) -> list[str]:
    """Write the section of docs/calibration.md."""
    shown = [
        f"| {row.family} | {row.runs:,} | {row.leak:,} | {row.clean:,} | {row.settling:,} | {row.inconclusive:,} |"
        for row in rows
    ]
    return [
        "## Slow cycles and many threads",
        "",
        f"Runs of {FEWEST_CYCLES} to {MOST_CYCLES:,} cycles, judged at their end with the n_min that so many cycles",
        "bring, 256 at least. Some caches are larger than the run is long, and an entry may be several hundred blocks.",
        "The ledger of the heaps of threads is flat. All columns are numbers of runs. Gates: LEAK of at most",
        f"{100 * MOST_FALSE_LEAKS:g} % of the clean runs, and of at least {100 * LEAST_POWER:g} % of those that keep",
        f"objects for {FEWEST_CYCLES} to {MOST_CYCLES_OF_LEAK} cycles in a list whose code shows no bound (below).",
        "",
        "| family | runs | LEAK | CLEAN | SETTLING | INCONCLUSIVE |",
        "|---|--:|--:|--:|--:|--:|",
        *shown,
        "",
    ]
