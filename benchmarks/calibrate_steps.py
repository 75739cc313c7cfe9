"""How often a table that grows by steps is called a leak: families that fill, stop, slow down or are random, and leaks.

    python benchmarks/calibrate_steps.py [--runs 5000]

Seeds are fixed. Readings are a 48th of the cycles so far apart, up to 8 n_min, and each run is judged at each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from measuring import Figure, at_most, make_parser, publish, shown
from numpy.typing import NDArray

from soak.analysis.sites.steps import judge_steps

N_MIN = 4096
LONGEST = 8 * N_MIN
SEED = 20261129
MOST_FALSE_LEAKS_PERCENT = 0.1
_FACTORS = (1.25, 1.5, 2.0, 4.0)

FloatArray = NDArray[np.float64]
Family = Callable[[np.random.Generator, FloatArray], FloatArray]


@dataclass(frozen=True)
class Found:
    """What was said of one run."""

    at: float
    """The cycle of the first LEAK; infinite without one."""
    rate: float
    low: float
    high: float
    steps: int
    """How often the table had been made larger by then."""


def readings(random: np.random.Generator) -> FloatArray:
    """Return the cycles of the readings of one run."""
    found = [0, *range(1, 49)]
    while found[-1] < LONGEST:
        spacing = max(1.0, found[-1] / 48)
        found.append(found[-1] + max(1, round(spacing * random.uniform(0.875, 1.125))))
    return np.array(found, float)


def table_of(random: np.random.Generator, content: FloatArray) -> FloatArray:
    """Return the bytes of a table that is made larger by a factor whenever its content does not fit any more."""
    factor = random.choice(_FACTORS)
    first = float(np.exp(random.uniform(np.log(16), np.log(512))))
    steps = np.maximum(np.ceil(np.log(np.maximum(content, 1) / first) / np.log(factor)), 0)
    return np.asarray(first * factor**steps)


def _counted(random: np.random.Generator, mean: FloatArray) -> FloatArray:
    """Return content that comes by chance, with this mean."""
    return np.asarray(np.cumsum(random.poisson(np.diff(mean, prepend=0.0))).astype(float))


def _rate(random: np.random.Generator) -> float:
    return float(np.exp(random.uniform(np.log(2), np.log(200))))


def filling(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Fill a cache at one rate within 0.6 n_min at most, and stop."""
    bound = random.uniform(0.02, 0.6) * N_MIN
    return table_of(random, _counted(random, _rate(random) * np.minimum(cycles, bound)))


def random_keys(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Fill a cache by random keys, to 95 % within 0.6 n_min at most."""
    time = random.uniform(0.02, 0.6) * N_MIN / 3
    return table_of(random, _counted(random, _rate(random) * time * (1 - np.exp(-cycles / time))))


def logarithm(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Grow by less and less."""
    return table_of(random, _rate(random) * 1000 * np.log1p(cycles / random.uniform(1, 200)))


def root(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Grow as the square root, or slower."""
    return table_of(random, _rate(random) * 100 * cycles ** random.uniform(0.2, 0.6))


def records(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Keep a buffer for the largest request so far; with a heavy tail the largest grows with the cycles."""
    tail = random.uniform(0.8, 2.5)
    largest = random.exponential(size=len(cycles)) / np.maximum(np.diff(cycles, prepend=0.0), 1)
    return table_of(random, 16 * np.maximum.accumulate(largest ** (-1 / tail)))


def jumps(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Jump by any amount at any time, as often in each doubling of the cycles."""
    jumped = random.poisson(random.uniform(0.3, 4) * np.diff(np.log2(cycles + 1), prepend=0.0))
    return np.asarray(np.cumsum(jumped * np.exp(random.normal(0, random.uniform(0.1, 2), len(cycles))) * 1e4))


def chance(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Double an arena for no reason, about once in each doubling of the cycles."""
    jumped = random.poisson(random.uniform(0.5, 1.5) * np.diff(np.log2(cycles + 1), prepend=0.0))
    return np.asarray(1000 * 2.0 ** np.minimum(np.cumsum(jumped), 40))


def evenly(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Double an arena some times, at random cycles of the run."""
    at = np.sort(random.uniform(0, LONGEST, random.integers(4, 16)))
    return np.asarray(1000 * 2.0 ** np.searchsorted(at, cycles))


def emptied(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Fill a table at one rate, and empty it now and then."""
    period = random.uniform(0.1, 0.6) * N_MIN
    return table_of(random, _rate(random) * (cycles % period))


def no_table(random: np.random.Generator, cycles: FloatArray) -> FloatArray:
    """Grow by less and less, to be seen at each reading."""
    return _counted(random, _rate(random) * 100 * cycles ** random.uniform(0.2, 0.65))


def leak(random: np.random.Generator, cycles: FloatArray) -> tuple[FloatArray, float]:
    """Return content that grows at one rate, from something that was there before, and that rate."""
    rate = _rate(random)
    held = random.choice([0.0, rate * random.uniform(0, 16)])
    return table_of(random, held + _counted(random, rate * cycles)), rate


CLEAN: tuple[Family, ...] = (filling, random_keys, logarithm, root, records, jumps, chance, evenly, emptied, no_table)


def judged(cycles: FloatArray, values: FloatArray) -> Found:
    """Judge a run at each of its readings; return the first LEAK."""
    changed = np.flatnonzero(np.diff(values)) + 1
    for place in changed.tolist():
        verdict = judge_steps(cycles[: place + 1], values[: place + 1], N_MIN, 1.0)
        if verdict is not None:
            assert verdict.rate is not None
            assert verdict.low is not None
            assert verdict.high is not None
            steps = int(np.searchsorted(changed, place, "right"))
            return Found(float(cycles[place]), verdict.rate, verdict.low, verdict.high, steps)
    return Found(np.inf, 0.0, 0.0, 0.0, len(changed))


def false_leaks(family: Family, runs: int) -> int:
    """Return how many of these runs are called a leak."""
    count = 0
    for run in range(runs):
        random = np.random.default_rng([SEED, run])
        cycles = readings(random)
        count += judged(cycles, family(random, cycles)).at < np.inf
    return count


def leaks(runs: int) -> list[tuple[Found, float]]:
    """Return what is said of runs that leak, and their rates."""
    found = []
    for run in range(runs):
        random = np.random.default_rng([SEED, 1, run])
        cycles = readings(random)
        values, rate = leak(random, cycles)
        found.append((judged(cycles, values), rate))
    return found


def main() -> int:
    """Judge the runs and print the figures."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=5000, metavar="N", help="runs of each family (5000)")
    options = parser.parse_args()
    counts = {family.__name__: false_leaks(family, options.runs) for family in CLEAN}
    found = leaks(options.runs)
    told = [(one, rate) for one, rate in found if one.at < np.inf]
    at = np.array([one.at for one, _ in told]) / N_MIN
    errors = np.array([abs(one.rate / rate - 1) for one, rate in told])
    covered = sum(one.low <= rate <= one.high for one, rate in told)
    figures: list[Figure] = [
        *(
            at_most(f"false LEAK: {name}", 100 * count / options.runs, "%", MOST_FALSE_LEAKS_PERCENT)
            for name, count in counts.items()
        ),
        shown(f"leaks found within {LONGEST // N_MIN} n_min", 100 * len(told) / options.runs, "%"),
        shown("cycles that takes, median", float(np.median(at)), "n_min"),
        shown("error of the rate, median", 100 * float(np.median(errors)), "%"),
        shown("error of the rate, at most", 100 * float(errors.max()), "%"),
        shown("intervals that contain the rate", 100 * covered / len(told), "%"),
    ]
    return publish("calibrate_steps", figures, {"runs": options.runs, "false": counts}, options.json)


if __name__ == "__main__":
    raise SystemExit(main())
