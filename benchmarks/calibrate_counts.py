"""Measure by simulation how often exact counts of few cycles are called LEAK at the end of a run.

`benchmarks/calibrate.py` runs this and writes the table. Every simulated run has 20 to 256 cycles, with a reading after
each cycle, or after each 2, 4 or 8 cycles if there are enough, as on a faster machine. `ComponentJudge` and `decide`
judge the runs: the code that judges a real component. Seeds are fixed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from soak.analysis.component import SMALLEST_N_MIN, ComponentJudge
from soak.analysis.decision.decide import decide
from soak.analysis.sites.streaks import FEWEST_CYCLES_OF_A_STREAK
from soak.measurements import Reading
from soak.reporting.words.verdicts.series import CACHE_FITS_INTO_N_MIN
from soak.verdict import Verdict

Counts = npt.NDArray[np.int64]
"""The count after 0, 1, 2, … cycles, ``(cycles + 1,)``."""

FEWEST_CYCLES, MOST_CYCLES = FEWEST_CYCLES_OF_A_STREAK, 256
SPACINGS = (1, 2, 4, 8)
FEWEST_READINGS = 8
LONGEST_FILL = int(CACHE_FITS_INTO_N_MIN * SMALLEST_N_MIN)
BATCH = 256
LEAST_POWER = 0.97


def constant_leak(rng: np.random.Generator, cycles: int) -> Counts:
    """Leave 1 to 4 open in each cycle."""
    return rng.integers(1, 5) * np.arange(cycles + 1)


def noisy_count(rng: np.random.Generator, cycles: int) -> Counts:
    """Have up to 1, 2, … 8 more open at any reading, which are closed again."""
    return rng.integers(0, rng.integers(2, 10), cycles + 1)


def filling_pool(rng: np.random.Generator, cycles: int) -> Counts:
    """Fill a pool of hidden size by 1 to 4 a cycle, from the start or from later on; it is full before the end.

    Where n_min is reached the rule decides as in all families, so there it fills within 0.6 n_min.
    """
    reaches_n_min = cycles + max(SPACINGS) > SMALLEST_N_MIN
    at, length = np.arange(cycles + 1), int(rng.integers(1, LONGEST_FILL if reaches_n_min else cycles))
    start = int(rng.integers(0, cycles - length)) if rng.random() < 0.5 else 0
    return rng.integers(1, 5) * np.clip(at - start, 0, length)


def one_off_steps(rng: np.random.Generator, cycles: int) -> Counts:
    """Open up to 64 at once, one to five times, each time for good."""
    opened = np.zeros(cycles + 1, dtype=np.int64)
    times = rng.integers(0, cycles, rng.integers(1, 6))
    np.add.at(opened, times, rng.integers(1, 65, len(times)))
    return np.cumsum(opened)


def sawtooth(rng: np.random.Generator, cycles: int) -> Counts:
    """Open 1 to 4 in each cycle until garbage collection closes all: teeth of one length, or up to three times it."""
    period, spread = int(rng.integers(2, max(cycles // 2, 3))), rng.choice([1.0, 3.0])
    counts, open_now, left = [0], 0, period
    rate = int(rng.integers(1, 5))
    for _ in range(cycles):
        open_now, left = (open_now + rate, left - 1) if left else (0, int(period * rng.uniform(1, spread)))
        counts.append(open_now)
    return np.array(counts)


CLEAN: dict[str, Callable[[np.random.Generator, int], Counts]] = {
    "noisy count": noisy_count,
    "pool of hidden size": filling_pool,
    "one-off steps": one_off_steps,
    "sawtooth": sawtooth,
}
LEAKS: dict[str, Callable[[np.random.Generator, int], Counts]] = {"constant leak": constant_leak}
STOPPED = ("noisy count", "pool of hidden size", "one-off steps")
"""Their count does not rise up to the end, so not one of them may be called LEAK."""
MOST_FALSE_LEAKS = 0.001
"""Of the others: a last tooth that is much longer than all before looks like a leak."""


@dataclass(frozen=True)
class CountRow:
    """What was said of one family's runs."""

    family: str
    runs: int
    leak: int
    clean: int
    settling: int
    inconclusive: int

    def failures(self) -> list[str]:
        """Return the gates that this family misses."""
        if self.family in LEAKS:
            return [f"power {self.leak / self.runs:.3f}"] if self.leak < LEAST_POWER * self.runs else []
        allowed = 0 if self.family in STOPPED else MOST_FALSE_LEAKS * self.runs
        return [f"{self.leak} false LEAK in {self.runs} runs"] if self.leak > allowed else []


def verdict_of(counts: Counts, spacing: int) -> Verdict:
    """Judge descriptors that are read each ``spacing`` cycles and after the last one."""
    judge = ComponentJudge(1.0, {}, frozenset({"fds"}))
    judge.fix_n_min(SMALLEST_N_MIN)
    end = len(counts) - 1
    for cycle in (*range(0, end, spacing), end):
        judge.add(Reading(cycle, float(cycle), {"fds": float(counts[cycle])}))
    return decide(judge.evidence(is_last=True)).verdict


def simulate(family: str, number: int, runs: int) -> list[Verdict]:
    """Make and judge a batch of runs from its own seed."""
    rng = np.random.default_rng((zlib.crc32(family.encode()), number))
    verdicts = []
    for _ in range(runs):
        cycles = int(rng.integers(FEWEST_CYCLES, MOST_CYCLES + 1))
        spacing = int(rng.choice([each for each in SPACINGS if each * FEWEST_READINGS <= cycles]))
        verdicts.append(verdict_of((CLEAN | LEAKS)[family](rng, cycles), spacing))
    return verdicts


def count(verdicts: list[Verdict]) -> list[int]:
    """Count the runs by verdict: LEAK, CLEAN, SETTLING, INCONCLUSIVE."""
    return [verdicts.count(each) for each in (Verdict.LEAK, Verdict.CLEAN, Verdict.SETTLING, Verdict.INCONCLUSIVE)]


def judge_families(
    simulate: Callable[[str, int, int], list[Verdict]], families: Iterable[str], runs: int, processes: int
) -> dict[str, list[Verdict]]:
    """Make and judge so many runs of each family, in batches, each from its own seed."""
    with ProcessPoolExecutor(processes) as pool:
        pending = {
            family: [
                pool.submit(simulate, family, number, min(BATCH, runs - first))
                for number, first in enumerate(range(0, runs, BATCH))
            ]
            for family in families
        }
        return {family: [v for batch in batches for v in batch.result()] for family, batches in pending.items()}


def calibrate_counts(runs: int, *, processes: int = 2) -> list[CountRow]:
    """Judge so many runs of each family."""
    verdicts = judge_families(simulate, LEAKS | CLEAN, runs, processes)
    return [CountRow(family, len(said), *count(said)) for family, said in verdicts.items()]


def as_section(rows: list[CountRow]) -> list[str]:
    """Write the section of docs/calibration.md."""
    shown = [
        f"| {row.family} | {row.runs:,} | {row.leak:,} | {row.clean:,} | {row.settling:,} | {row.inconclusive:,} |"
        for row in rows
    ]
    every = " or ".join([", ".join(map(str, SPACINGS[:-1])), str(SPACINGS[-1])])
    return [
        "## Exact counts of few cycles: descriptors, threads, child processes, things left behind",
        "",
        f"Runs of {FEWEST_CYCLES} to {MOST_CYCLES} cycles with a reading every {every} cycles,",
        f"judged at their end with n_min = {SMALLEST_N_MIN} cycles. All columns are numbers of runs.",
        "Gates: no LEAK of a count that does not rise up to the end, LEAK of at most",
        f"{100 * MOST_FALSE_LEAKS:g} % of the sawteeth and of at least {100 * LEAST_POWER:g} % of the constant leaks.",
        f"In runs that reach n_min a pool fills within {CACHE_FITS_INTO_N_MIN:g} n_min.",
        "",
        "| family | runs | LEAK | CLEAN | SETTLING | INCONCLUSIVE |",
        "|---|--:|--:|--:|--:|--:|",
        *shown,
        "",
    ]
