"""Measure the error rates of the verdict rule by simulation: false LEAK, power, rate error, interval coverage.

    python benchmarks/calibrate.py            all gates, writes docs/calibration.md
    python benchmarks/calibrate.py --quick    a tenth of the runs, writes nothing
    python benchmarks/calibrate.py --json -   the table as JSON on standard output

Every simulated run has 1,048,576 cycles with a reading every 128 cycles, a tolerance of 1 B per cycle and n_min =
131,072 cycles. `soak.analysis.looks.RunningLooks` judges the runs: the code that judges a real series. Seeds are fixed.
`benchmarks/calibrate_counts.py` adds runs of 20 to 256 cycles, `benchmarks/calibrate_memory.py` slow cycles and many
threads, `benchmarks/calibrate_services.py` watched services.
The exit code is 1 when a gate fails. docs/verdict.md explains the gates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from calibrate_counts import CountRow, as_section, calibrate_counts
from calibrate_keepers import KeeperRow, calibrate_keepers, section_of_keepers
from calibrate_memory import MemoryRow, calibrate_memory, section_of_memory
from calibrate_services import ServiceRow, calibrate_services, section_of_services

from soak.analysis import SeriesJudge
from soak.analysis.looks import RunningLooks
from soak.analysis.rule import LookOutcome

FloatArray = npt.NDArray[np.float64]
Make = Callable[[np.random.Generator, int], FloatArray]
"""Makes values ``(runs, READINGS)`` in bytes."""

CYCLES = 1 << 20
SPACING = 128
READINGS = CYCLES // SPACING
N_MIN = 131_072
LONGEST = 0.6 * N_MIN
"""The longest cache fill and the longest period of a clean run, in cycles."""
TOLERANCE = 1.0
PAGE = 4096.0
ARENA = 132 * 1024.0
RATES = (2.0, 16.0, 106.0, 1024.0)
AT = SPACING * np.arange(1, READINGS + 1, dtype=np.float64)
BATCH = 256

MOST_FALSE_LEAKS = 0.001
MOST_FALSE_CLEANS_AT_LIMIT = 0.001
LEAST_POWER = 0.97
MOST_RATE_ERROR = 0.01
LEAST_COVERAGE = 0.95


# --- clean programs ---------------------------------------------------------------------------------------------


def log_uniform(rng: np.random.Generator, low: float, high: float, runs: int) -> FloatArray:
    """Draw one value per run as a column ``(runs, 1)``, evenly spread over the orders of magnitude."""
    return np.exp(rng.uniform(np.log(low), np.log(high), (runs, 1)))


def autoregressive(rng: np.random.Generator, runs: int, *, sigma: FloatArray, memory: FloatArray) -> FloatArray:
    """Draw noise of standard deviation ``sigma`` whose neighbours correlate by ``memory``, both ``(runs, 1)``."""
    shocks = rng.standard_normal((READINGS, runs)) * (sigma * np.sqrt(1 - memory**2))[:, 0]
    noise = np.empty_like(shocks)
    noise[0] = sigma[:, 0] * rng.standard_normal(runs)
    for k in range(1, READINGS):
        np.multiply(noise[k - 1], memory[:, 0], out=noise[k])
        noise[k] += shocks[k]
    return np.ascontiguousarray(noise.T)


def small_noise(rng: np.random.Generator, runs: int) -> FloatArray:
    """Draw noise as a heap counter shows it: 30 B to 10 kB, in whole 16 B chunks."""
    sigma, memory = log_uniform(rng, 30, 10_000, runs), rng.uniform(0, 0.95, (runs, 1))
    return np.round(autoregressive(rng, runs, sigma=sigma, memory=memory) / 16) * 16


def flat_noise(rng: np.random.Generator, runs: int) -> FloatArray:
    """Hold a level under noise of any size and up to long memory."""
    sigma, memory = log_uniform(rng, 10, 1_000_000, runs), 1 - log_uniform(rng, 0.001, 1, runs)
    return 5e7 + autoregressive(rng, runs, sigma=sigma, memory=memory)


def constant(rng: np.random.Generator, runs: int) -> FloatArray:
    """Hold the same value throughout."""
    return np.broadcast_to(rng.integers(0, 1 << 32, (runs, 1)).astype(np.float64), (runs, READINGS))


def warm_up(rng: np.random.Generator, runs: int) -> FloatArray:
    """Approach a level exponentially."""
    height, slowness = log_uniform(rng, 10_000, 100_000_000, runs), log_uniform(rng, 500, LONGEST, runs)
    return height * -np.expm1(-AT / slowness)


def linear_fill(rng: np.random.Generator, runs: int) -> FloatArray:
    """Fill a bounded cache at one rate, from the start or from later on."""
    rate, length = log_uniform(rng, 2, 2000, runs), rng.uniform(0.02, 1, (runs, 1)) * LONGEST
    start = np.where(rng.random((runs, 1)) < 0.5, 0, rng.uniform(0, CYCLES, (runs, 1)))
    return rate * np.clip(AT - start, 0, length)


def random_key_cache(rng: np.random.Generator, runs: int) -> FloatArray:
    """Cache a fixed set of keys drawn at random: each cycle is a hit or adds one entry."""
    keys, entry = log_uniform(rng, 100, LONGEST, runs)[:, 0], log_uniform(rng, 48, 4096, runs)
    held = np.zeros((READINGS, runs))
    for k in range(1, READINGS):
        misses = rng.binomial(SPACING, np.clip(1 - held[k - 1] / keys, 0, 1))
        held[k] = np.minimum(held[k - 1] + misses, keys)
    return entry * held.T


def lru_of_random_sizes(rng: np.random.Generator, runs: int) -> FloatArray:
    """Cache a fixed number of entries of random sizes, filled and then replaced one by one."""
    size, spread = log_uniform(rng, 48, 16_384, runs), rng.uniform(0.1, 1.5, (runs, 1))
    added = SPACING * size + np.sqrt(SPACING) * spread * size * rng.standard_normal((runs, READINGS))
    total = np.cumsum(added, axis=1)
    entries = log_uniform(rng, SPACING, LONGEST, runs) // SPACING
    left = np.arange(READINGS) - entries.astype(np.int64)
    return total - np.where(left >= 0, np.take_along_axis(total, np.maximum(left, 0), axis=1), 0)


def sawtooth(rng: np.random.Generator, runs: int, *, longest: float = LONGEST, highest: float = 8e6) -> FloatArray:
    """Collect garbage periodically: equal teeth, or teeth of two alternating heights."""
    period, height = log_uniform(rng, 200, longest, runs), log_uniform(rng, 1000, highest, runs)
    tooth = AT / period + rng.random((runs, 1))
    uneven = np.where(rng.random((runs, 1)) < 0.5, rng.uniform(0, 0.5, (runs, 1)), 0)
    values: FloatArray = height * (tooth % 1) * (1 - uneven * (np.floor(tooth) % 2))
    return values


def refresh(rng: np.random.Generator, runs: int) -> FloatArray:
    """Reload something periodically: both copies live for part of the period, each copy is of another size."""
    period, size = log_uniform(rng, 500, LONGEST, runs), log_uniform(rng, 1000, 2e7, runs)
    phase = AT / period + rng.random((runs, 1))
    both = (phase % 1) < rng.uniform(0.02, 0.6, (runs, 1))
    sizes = 1 + rng.uniform(0, 0.3, (runs, 1)) * rng.random((runs, READINGS))
    copies = np.minimum(np.floor(phase), READINGS - 1).astype(np.int64)
    return size * np.take_along_axis(sizes, copies, axis=1) * (1 + both)


def jumps(rng: np.random.Generator, runs: int) -> FloatArray:
    """Step one to three times at random times, one step in five downwards, under small noise."""
    values = small_noise(rng, runs)
    for present in (1.0, 0.5, 0.25):
        height = log_uniform(rng, 1000, 5e7, runs) * np.where(rng.random((runs, 1)) < 0.2, -1, 1)
        values += height * (rng.random((runs, 1)) < present) * (rng.uniform(0, CYCLES, (runs, 1)) < AT)
    return values


def logarithmic(rng: np.random.Generator, runs: int) -> FloatArray:
    """Grow with the logarithm of the cycles, like a table of cases that become rarer and rarer."""
    return log_uniform(rng, 1000, 3_000_000, runs) * np.log1p(AT / log_uniform(rng, 1, 10_000, runs))


def arena_walk(rng: np.random.Generator, runs: int) -> FloatArray:
    """Walk at random between two bounds: fragmentation of an arena that is large enough."""
    room = log_uniform(rng, 20_000, 6e7, runs)
    step = room / log_uniform(rng, 3, 100, runs)
    walk = rng.uniform(0, 2, (runs, 1)) * room + np.cumsum(step * rng.standard_normal((runs, READINGS)), axis=1)
    return fold(walk, room)


def fold(walk: FloatArray, room: FloatArray) -> FloatArray:
    """Reflect a walk at 0 and ``room`` ``(runs, 1)``."""
    folded: FloatArray = np.abs(walk % (2 * room) - room)
    return folded


PARTS_OF_SUMS: tuple[Make, ...] = (
    warm_up,
    linear_fill,
    random_key_cache,
    lru_of_random_sizes,
    sawtooth,
    refresh,
    jumps,
    logarithmic,
    arena_walk,
)


def sums(rng: np.random.Generator, runs: int) -> FloatArray:
    """Add up two or three of the others, and small noise."""
    values = small_noise(rng, runs)
    for make in rng.permutation(np.array(PARTS_OF_SUMS, dtype=object))[: rng.integers(2, 4)]:
        values += make(rng, runs)
    return values


def through_rss(values: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Convert values to RSS: arenas grow in steps and stay resident until a trim releases their free memory."""
    runs = len(values)
    arena = PAGE * 2.0 ** rng.integers(0, 11, runs)
    trims = rng.random((READINGS, runs)) < log_uniform(rng, 0.1, 100, runs)[:, 0] / READINGS
    resident = np.ascontiguousarray(np.ceil(values / arena[:, None]).T * arena)
    for k in range(1, READINGS):
        held = np.where(trims[k], resident[k], resident[k - 1])
        np.maximum(resident[k], held, out=resident[k])
    return np.ascontiguousarray(resident.T)


def sums_through_rss(rng: np.random.Generator, runs: int) -> FloatArray:
    """Convert the sums to RSS."""
    return through_rss(sums(rng, runs), rng)


def flat_through_rss(rng: np.random.Generator, runs: int) -> FloatArray:
    """Convert flat noise, sawteeth and walks to RSS."""
    make = (flat_noise, sawtooth, arena_walk)[rng.integers(3)]
    return through_rss(make(rng, runs), rng)


CLEAN: dict[str, Make] = {
    "flat with noise": flat_noise,
    "constant": constant,
    "exponential warm-up": warm_up,
    "linear cache fill": linear_fill,
    "random-key cache": random_key_cache,
    "LRU of random sizes": lru_of_random_sizes,
    "sawtooth": sawtooth,
    "periodic refresh": refresh,
    "one-off jumps": jumps,
    "logarithmic": logarithmic,
    "arena walk": arena_walk,
    "sums of these": sums,
    "flat, saw, walk as RSS": flat_through_rss,
    "sums as RSS": sums_through_rss,
    "sums, stopped anywhere": sums,
}


# --- leaks ------------------------------------------------------------------------------------------------------


def leak_steadily(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Lose the same amount in each cycle."""
    return rate * AT + small_noise(rng, runs)


def leak_into_list(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Keep objects in a list that over-allocates by an eighth; its pointers are part of the rate."""
    size = rng.integers(3, 64, (runs, 1)) * 16.0
    appended = np.floor(rate / (size + 8) * AT)
    room = np.maximum(np.log(np.maximum(appended, 1)), 0) / np.log(1.125) + rng.random((runs, 1))
    spare = appended * (1.125 ** (1 - room % 1) - 1)
    held: FloatArray = size * appended + 8 * (appended + spare)
    return held + small_noise(rng, runs)


def leak_in_chunks(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Lose, in every thousandth cycle, the amount of a thousand cycles."""
    return rate * 1000 * np.floor(AT / 1000 + rng.random((runs, 1))) + small_noise(rng, runs)


def leak_later(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Begin to leak after 5 to 80 % of the run."""
    return rate * np.maximum(AT - rng.uniform(0.05, 0.8, (runs, 1)) * CYCLES, 0) + small_noise(rng, runs)


def leak_under_sawtooth(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Leak under a sawtooth of garbage that is shorter than the blocks of the windows."""
    values: FloatArray = rate * AT + sawtooth(rng, runs, longest=8192, highest=300_000 * rate)
    return values


def leak_after_fill(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Leak beside a cache that fills first."""
    fill, length = log_uniform(rng, 2, 2000, runs), rng.uniform(0.02, 1, (runs, 1)) * LONGEST
    return rate * AT + fill * np.minimum(AT, length) + small_noise(rng, runs)


def leak_in_walking_arena(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Leak into an arena whose fragmentation walks by up to the loss of 30,000 cycles."""
    room = log_uniform(rng, 1000, 30_000, runs) * rate
    walk = np.cumsum(room / log_uniform(rng, 2, 10, runs) * rng.standard_normal((runs, READINGS)), axis=1)
    return rate * AT + fold(walk, room)


def leak_as_rss(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Convert a steady leak to whole pages."""
    return np.ceil(leak_steadily(rate, rng, runs) / PAGE) * PAGE


def leak_under_any_sawtooth(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Leak under garbage of up to 8 MB that may be collected as rarely as every 0.6 n_min cycles."""
    values: FloatArray = rate * AT + sawtooth(rng, runs)
    return values


def leak_in_loud_noise(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Leak under noise of 1 to 100 kB with long memory."""
    sigma, memory = log_uniform(rng, 1000, 100_000, runs), 1 - log_uniform(rng, 0.01, 1, runs)
    return rate * AT + autoregressive(rng, runs, sigma=sigma, memory=memory)


def leak_in_any_walk(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Leak into an arena that walks over up to 60 MB."""
    return rate * AT + arena_walk(rng, runs)


def leak_as_rss_in_arenas(rate: float, rng: np.random.Generator, runs: int) -> FloatArray:
    """Convert a steady leak to a heap that grows by 132 KiB at a time."""
    return np.ceil(leak_steadily(rate, rng, runs) / ARENA) * ARENA


LEAKS: dict[str, Callable[[float, np.random.Generator, int], FloatArray]] = {
    "constant": leak_steadily,
    "list over-allocation": leak_into_list,
    "each thousandth cycle": leak_in_chunks,
    "from 5 to 80 % on": leak_later,
    "under a sawtooth": leak_under_sawtooth,
    "after a cache fill": leak_after_fill,
    "in a walking arena": leak_in_walking_arena,
    "as RSS": leak_as_rss,
}
LIMITS: dict[str, Callable[[float, np.random.Generator, int], FloatArray]] = {
    "under any sawtooth": leak_under_any_sawtooth,
    "in loud noise": leak_in_loud_noise,
    "in any walking arena": leak_in_any_walk,
    "as RSS in arenas": leak_as_rss_in_arenas,
}
"""Leaks that are small against the noise. Power and rate error have no gate here. An arena may by chance walk down by
as much as the program loses, so CLEAN is allowed as often as a false LEAK."""


# --- counting ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """The rule's verdicts on the runs of one family: shares of all runs, rates relative to the truth."""

    family: str
    rate: float
    """The true rate in bytes per cycle; 0 for clean families."""
    runs: int
    leak: int
    clean: int
    settling: int
    inconclusive: int
    cycles_to_verdict: float | None
    """The median over the runs with a right verdict."""
    rate_error: float | None
    """The median of |rate - truth| / truth over the runs that were called LEAK."""
    coverage: float | None
    """How often the interval of a LEAK contains the true rate."""

    def failures(self) -> list[str]:
        """Return the gates that this family misses."""
        if not self.rate:
            allowed = max(MOST_FALSE_LEAKS * self.runs, 1)
            return [f"{self.leak} false LEAK in {self.runs} runs"] if self.leak > allowed else []
        allowed = max(MOST_FALSE_CLEANS_AT_LIMIT * self.runs, 1) if self.family in LIMITS else 0
        gates = {
            f"{self.clean} leaks called CLEAN": self.clean > allowed,
            f"coverage {self.coverage}": self.coverage is not None and self.coverage < LEAST_COVERAGE,
        }
        if self.family in LEAKS:
            gates[f"power {self.leak / self.runs:.3f}"] = self.leak < LEAST_POWER * self.runs
            gates[f"median rate error {self.rate_error}"] = (self.rate_error or 0) > MOST_RATE_ERROR
        return [fault for fault, failed in gates.items() if failed]


@dataclass(frozen=True)
class Batch:
    """Runs of one family that are simulated together."""

    family: str
    rate: float
    number: int
    runs: int


@dataclass(frozen=True)
class Outcome:
    """The verdict at the end of each run of a batch, arrays ``(runs,)``."""

    finding: npt.NDArray[np.int64]
    decided_at: FloatArray
    rate: FloatArray
    low: FloatArray
    high: FloatArray


def make_runs(batch: Batch) -> tuple[FloatArray, int, float]:
    """Make a batch of runs from its own seed: values ``(runs, end)``, the end, and the grain of the counter."""
    seed = (zlib.crc32(batch.family.encode()), round(batch.rate), batch.number)
    rng = np.random.default_rng(seed)
    if batch.rate:
        values = (LEAKS | LIMITS)[batch.family](batch.rate, rng, batch.runs)
    else:
        values = CLEAN[batch.family](rng, batch.runs)
    end = int(rng.integers(READINGS // 8, READINGS)) if "stopped" in batch.family else READINGS
    grain = ARENA if "RSS in arenas" in batch.family else PAGE if "RSS" in batch.family else 0.0
    return values[:, :end], end, grain


def simulate(batch: Batch) -> Outcome:
    """Make a batch of runs and judge them."""
    values, end, grain = make_runs(batch)
    looks = RunningLooks(tolerance=TOLERANCE, n_min=N_MIN, grain=grain, runs=batch.runs)
    looks.extend(AT[:end], values)
    standing = looks.at_end(AT[end - 1], SPACING)
    assert standing is not None
    newest = standing.look
    return Outcome(newest.finding, standing.decided_at, newest.rate, newest.low, newest.high)


def count(family: str, rate: float, outcomes: list[Outcome]) -> Row:
    """Sum up the batches of one family."""
    finding, decided_at, found, low, high = (
        np.concatenate([getattr(outcome, name) for outcome in outcomes])
        for name in ("finding", "decided_at", "rate", "low", "high")
    )
    leak, clean, settling = (finding == which for which in (LookOutcome.LEAK, LookOutcome.CLEAN, LookOutcome.SETTLING))
    right = leak if rate else clean
    judged = rate > 0 and bool(leak.any())
    covered = (low <= rate) & (rate <= high)
    return Row(
        family=family,
        rate=rate,
        runs=len(finding),
        leak=int(leak.sum()),
        clean=int(clean.sum()),
        settling=int(settling.sum()),
        inconclusive=int((~(leak | clean | settling)).sum()),
        cycles_to_verdict=float(np.median(decided_at[right])) if right.any() else None,
        rate_error=float(np.median(np.abs(found[leak] / rate - 1))) if judged else None,
        coverage=float(covered[leak].mean()) if judged else None,
    )


def calibrate(clean_runs: int, leak_runs: int, *, processes: int = 2) -> list[Row]:
    """Judge the given numbers of runs of every clean family, and of every leak at every rate."""
    families = [(family, 0.0, clean_runs) for family in CLEAN]
    families += [(family, rate, leak_runs) for family in LEAKS | LIMITS for rate in RATES]
    with ProcessPoolExecutor(processes) as pool:
        pending = [
            (family, rate, [pool.submit(simulate, batch) for batch in batches(family, rate, runs)])
            for family, rate, runs in families
        ]
        rows = []
        for family, rate, outcomes in pending:
            rows.append(count(family, rate, [outcome.result() for outcome in outcomes]))
            print(as_line(rows[-1]), file=sys.stderr, flush=True)
    return rows


def batches(family: str, rate: float, runs: int) -> list[Batch]:
    """Split the runs of a family into batches that fit into memory."""
    return [Batch(family, rate, number, min(BATCH, runs - first)) for number, first in enumerate(range(0, runs, BATCH))]


def seconds_per_look() -> float:
    """Time looks at the end of a long series, from its cells to the verdict: CPU seconds, the mean of 200."""
    series = SeriesJudge(TOLERANCE, N_MIN)
    end = READINGS * 7 // 8
    series.extend(AT[:end], 106 * AT[:end])
    started = time.process_time()
    for _ in range(200):
        series.finish()
    return (time.process_time() - started) / 200


# --- showing ----------------------------------------------------------------------------------------------------

HEADINGS = (
    "| family | B/cycle | runs | LEAK | CLEAN | SETTLING | INCONCLUSIVE | cycles to it | rate error | coverage |",
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
)


def as_line(row: Row) -> str:
    """Return one family as a row of a Markdown table."""
    share = [f"{100 * part / row.runs:.2f} %" for part in (row.leak, row.clean, row.settling, row.inconclusive)]
    cells = [
        row.family,
        f"{row.rate:g}",
        f"{row.runs:,}",
        f"{row.leak}" if not row.rate else share[0],
        *share[1:],
        "" if row.cycles_to_verdict is None else f"{row.cycles_to_verdict:,.0f}",
        "" if row.rate_error is None else f"{100 * row.rate_error:.2f} %",
        "" if row.coverage is None else f"{100 * row.coverage:.1f} %",
    ]
    return "| " + " | ".join(cells) + " |"


def as_page(
    rows: list[Row],
    count_rows: list[CountRow],
    memory_rows: list[MemoryRow],
    service_rows: list[ServiceRow],
    keeper_rows: list[KeeperRow],
    look_s: float,
) -> str:
    """Return the text of docs/calibration.md."""
    clean, leaking, drowned = (
        [row for row in rows if row.family in families and bool(row.rate) is leaks]
        for families, leaks in ((CLEAN, False), (LEAKS, True), (LIMITS, True))
    )
    false_leaks, clean_runs = sum(row.leak for row in clean), sum(row.runs for row in clean)
    return "\n".join(
        [
            "# Calibration of the verdict rule",
            "",
            "Written by `make calibrate`; do not edit. The families are in `benchmarks/calibrate.py`.",
            "[verdict.md](verdict.md) describes the rule.",
            "",
            f"Every run has {CYCLES:,} cycles with a reading every {SPACING} cycles. The rule judges it at every look,",
            f"with a tolerance of {TOLERANCE:g} B per cycle and n_min = {N_MIN:,} cycles. Seeds are fixed.",
            "",
            "## Clean families: how often a clean program is called LEAK",
            "",
            f"Gate: at most {100 * MOST_FALSE_LEAKS:g} % per family. In total {false_leaks} of {clean_runs:,} runs.",
            "Here LEAK is a number of runs. INCONCLUSIVE is no error: noise may hide a rate of 1 B per cycle.",
            "",
            *HEADINGS,
            *map(as_line, clean),
            "",
            "## Leaks: how often they are found, how exact the rate is, how often the interval contains it",
            "",
            f"Gates: LEAK in at least {100 * LEAST_POWER:g} %, never CLEAN, median rate error at most",
            f"{100 * MOST_RATE_ERROR:g} %, coverage at least {100 * LEAST_COVERAGE:g} %.",
            "",
            *HEADINGS,
            *map(as_line, leaking),
            "",
            "## Leaks at the limit: small against the noise",
            "",
            f"Gates: CLEAN in at most {100 * MOST_FALSE_CLEANS_AT_LIMIT:g} %, coverage. Power and rate error have no",
            "gate: a leak of 2 B per cycle is 2 MB in the whole run, and an arena that walks over 60 MB may by chance",
            "walk down by as much. INCONCLUSIVE says how many cycles would decide.",
            "",
            *HEADINGS,
            *map(as_line, drowned),
            "",
            *as_section(count_rows),
            *section_of_memory(memory_rows),
            *section_of_services(service_rows),
            *section_of_keepers(keeper_rows),
            f"One look takes {1e3 * look_s:.2f} ms of CPU time, whatever the length of the run.",
            "",
        ]
    )


def main() -> int:
    """Simulate, show, write; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the runs; docs/calibration.md stays")
    parser.add_argument("--json", metavar="FILE", help="also write the table as JSON; - is standard output")
    options = parser.parse_args()

    started = time.perf_counter()
    rows = calibrate(512, 256) if options.quick else calibrate(5120, 1024)
    count_rows = calibrate_counts(512 if options.quick else 5120)
    memory_rows = calibrate_memory(256 if options.quick else 2048)
    service_rows = calibrate_services(16 if options.quick else 64)
    keeper_rows = calibrate_keepers(512 if options.quick else 4096)
    look_s = seconds_per_look()
    failures = {f"{row.family}, {row.rate:g} B": row.failures() for row in rows if row.failures()}
    failures |= {f"counts: {row.family}": row.failures() for row in count_rows if row.failures()}
    failures |= {f"memory: {row.family}": row.failures() for row in memory_rows if row.failures()}
    failures |= {f"services: {row.family}, {row.way}": row.failures() for row in service_rows if row.failures()}
    failures |= {f"containers: {row.family}": row.failures() for row in keeper_rows if row.failures()}
    if not options.quick:
        Path(__file__).parents[1].joinpath("docs", "calibration.md").write_text(
            as_page(rows, count_rows, memory_rows, service_rows, keeper_rows, look_s)
        )
    if options.json:
        document = {
            "seconds": time.perf_counter() - started,
            "seconds_per_look": look_s,
            "failures": failures,
            "families": [asdict(row) for row in rows],
            "counts": [asdict(row) for row in count_rows],
            "memory": [asdict(row) for row in memory_rows],
            "services": [asdict(row) for row in service_rows],
            "containers": [asdict(row) for row in keeper_rows],
        }
        text = json.dumps(document, indent=1) + "\n"
        sys.stdout.write(text) if options.json == "-" else Path(options.json).write_text(text)
    for family, faults in failures.items():
        print(f"gate missed: {family}: {', '.join(faults)}", file=sys.stderr)
    families = len(rows) + len(count_rows) + len(memory_rows) + len(service_rows) + len(keeper_rows)
    print(f"{len(failures)} of {families} families miss a gate", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
