"""Measure by simulation how often a watched service is called LEAK, with marks and without.

`benchmarks/calibrate.py` runs this and writes the table. Each run is a service that is watched for one to two minutes:
some seconds of imports, perhaps idle time, then requests at random times, whose rate wanders. Its blocks are counted
when `CountPace` has them counted, and judged by what judges a real watch: `OutsideJudge`, `LedgerJudge`,
`StandingLeaks`, `without_drops`, `without_waiting` and `decide`. Seeds are fixed.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from calibrate_counts import count, judge_families

from soak.analysis.decision.decide import decide
from soak.analysis.outside import OutsideJudge
from soak.analysis.sites.drops import without_drops
from soak.analysis.sites.garbage import WAITING_BLOCKS, without_waiting
from soak.analysis.sites.ledger import LedgerJudge
from soak.analysis.sites.standing import StandingLeaks
from soak.reporting.words.verdicts.series import CACHE_FITS_INTO_N_MIN
from soak.running.watch.judging.count_pace import CountPace
from soak.running.watch.judging.pace import WatchPace
from soak.running.watch.judging.quiet import QuietTime
from soak.running.watch.plan import WatchPlan
from soak.verdict import Verdict

Counts = npt.NDArray[np.int64]
"""Of one call site, at each sample: ``(samples,)``."""
Site = tuple[Counts, Counts]
"""Live blocks and live bytes."""

EVERY_S, COUNT_S = 0.1, 0.02
IDLE_CPU_S = 0.0002
"""What a server uses in a sample without requests."""
KEPT_BYTES = 1024
LEAST_POWER, MOST_FALSE_LEAKS = 0.95, 0.005
SMALLEST_CHOSEN_N_MIN = 256


@dataclass(frozen=True)
class Service:
    """What a service does, sample by sample."""

    requests: Counts
    """How many there were until each sample."""
    at_work: Counts
    """How many are at work at it."""
    cpu_s: npt.NDArray[np.float64]
    """The processor time that it has used until each sample."""
    rng: np.random.Generator

    def new_entries(self, size: int, kinds: int) -> Counts:
        """Return how many of ``size`` places are filled until each sample, where each request asks for one of kinds."""
        filled: Counts = np.minimum(kinds * -np.expm1(-self.requests / kinds), size).astype(np.int64)
        return filled


def make_service(rng: np.random.Generator, *, idle_s: float, pauses: bool = False) -> Service:
    """Make one of 20 to 400 requests a second, whose rate wanders by up to a factor of three either way.

    ``pauses``: again and again none comes for some seconds.
    """
    seconds = rng.uniform(60, 120)
    samples = int(seconds / EVERY_S)
    starts = int((rng.uniform(1, 4) + idle_s) / EVERY_S)
    wander = np.cumsum(rng.normal(0, 0.02, samples))
    rate_hz = np.exp(rng.uniform(np.log(20), np.log(400))) * np.exp(np.clip(wander, -1, 1))
    rate_hz[:starts] = 0
    if pauses:
        working, resting = rng.uniform(5, 20), rng.uniform(2, 8)
        rate_hz[np.arange(samples) * EVERY_S % (working + resting) > working] = 0
    requests = np.cumsum(rng.poisson(rate_hz * EVERY_S))
    at_work = rng.poisson(rate_hz * rng.uniform(0.005, 0.1))
    used_s = IDLE_CPU_S + np.diff(requests, prepend=0) * rng.uniform(0.0002, 0.002)
    used_s[: starts - int(idle_s / EVERY_S)] = EVERY_S  # imports
    return Service(requests, at_work, np.cumsum(np.minimum(used_s, EVERY_S)), rng)


def requests_of_random_sizes(service: Service) -> list[Site]:
    """Have what is at work at a sample, of sizes from 100 B to 100 kB."""
    sizes = np.exp(service.rng.normal(np.log(3000), 1.2, len(service.at_work)))
    return [(service.at_work * 5, (service.at_work * sizes).astype(np.int64))]


def pool_of_connections(service: Service) -> list[Site]:
    """Open a connection when all are at work, up to a hidden size, and keep it."""
    size = int(service.rng.integers(2, 100))
    most = np.minimum(np.maximum.accumulate(service.at_work), size)
    return [*requests_of_random_sizes(service), (most * 12, most * 20_000)]


def filling_cache(service: Service) -> list[Site]:
    """Fill a cache of up to 0.6 n_min entries with what random requests ask for; most come again and again."""
    size = int(service.rng.integers(8, int(CACHE_FITS_INTO_N_MIN * SMALLEST_CHOSEN_N_MIN)))
    filled = service.new_entries(size, int(size * service.rng.uniform(0.5, 20)))
    return [*requests_of_random_sizes(service), (filled, filled * 500)]


def buffers_that_come_and_go(service: Service) -> list[Site]:
    """Collect log lines for a hundred to a thousand requests, and then write all of them."""
    lines = service.requests % int(service.rng.integers(50, 150))
    return [*requests_of_random_sizes(service), (lines, lines * 200)]


def connections_that_wait(service: Service) -> list[Site]:
    """Leave each connection behind as a cycle, which waits until 700 containers do. Each has a block of its own."""
    requests_of_each, containers = int(service.rng.integers(1, 32)), int(service.rng.integers(2, 16))
    waiting = service.requests // requests_of_each % (WAITING_BLOCKS // containers)
    return [*requests_of_random_sizes(service), *[(2 * waiting, 2 * waiting * 64)] * containers]


def replaced_workers(service: Service) -> list[Site]:
    """Serve by two to four workers that are replaced after some hundred requests; each fills a cache anew."""
    workers, lives = int(service.rng.integers(2, 5)), int(service.rng.integers(100, 2000))
    size = int(service.rng.integers(8, int(CACHE_FITS_INTO_N_MIN * SMALLEST_CHOSEN_N_MIN)))
    begun = service.rng.integers(0, lives, workers)
    filled = sum(np.minimum((service.requests // workers + first) % lives, size) for first in begun)
    return [*requests_of_random_sizes(service), (filled, filled * 500)]


def leak(service: Service) -> list[Site]:
    """Keep 1 kB of each request."""
    return [*buffers_that_come_and_go(service), (service.requests, service.requests * KEPT_BYTES)]


def leak_of_one_route(service: Service) -> list[Site]:
    """Keep 1 kB of one request in ten, chosen at random."""
    kept = np.cumsum(service.rng.binomial(np.diff(service.requests, prepend=0), 0.1))
    return [*requests_of_random_sizes(service), (kept, kept * KEPT_BYTES)]


CLEAN: dict[str, Callable[[Service], list[Site]]] = {
    "requests at random times, sizes and routes": requests_of_random_sizes,
    "connection pools": pool_of_connections,
    "caches filling": filling_cache,
    "buffers that come and go": buffers_that_come_and_go,
    "connections that wait for a collection": connections_that_wait,
    "workers replaced": replaced_workers,
}
LEAKS: dict[str, Callable[[Service], list[Site]]] = {
    "1 kB a request": leak,
    "1 kB of one request in ten": leak_of_one_route,
}
MARKED, UNMARKED, IDLE = "marks", "samples", "samples, idle then load"
PAUSES = "samples, with pauses"
WAYS = (MARKED, UNMARKED, IDLE, PAUSES)


@dataclass(frozen=True)
class ServiceRow:
    """What was said of one family's runs."""

    family: str
    way: str
    runs: int
    leak: int
    clean: int
    settling: int
    inconclusive: int

    def failures(self) -> list[str]:
        """Return the gates that this family misses."""
        if self.family in LEAKS:
            missed = [f"{self.clean} CLEAN of a leak"] if self.clean else []
            power = self.leak / self.runs
            return [*missed, f"power {power:.3f}"] if power < LEAST_POWER and self.way == MARKED else missed
        is_wrong = self.leak > MOST_FALSE_LEAKS * self.runs
        return [f"{self.leak} false LEAK in {self.runs} runs"] if is_wrong else []


def verdict_of(service: Service, sites: list[Site], *, marked: bool) -> Verdict:
    """Judge a service as a watch does at its end."""
    plan = WatchPlan(EVERY_S, None, 1.0, None, stop_at_leak=False)
    pace, counting = WatchPace(plan, 0, tracked=True), CountPace(EVERY_S)
    judge, ledger, taken = _judges(pace.n_min)
    standing = StandingLeaks()
    quiet = QuietTime(EVERY_S)
    for sample in range(len(service.requests)):
        blocks = np.array([counts[sample] for counts, _ in sites])
        sizes = np.array([in_bytes[sample] for _, in_bytes in sites])
        if pace.turn(sample, int(service.requests[sample]) if marked else 0):
            judge, ledger, taken = _judges(pace.n_min)
            counting, standing = CountPace(EVERY_S), StandingLeaks()
        live = tuple(blocks.tolist()), tuple(sizes.tolist())
        is_quiet = not pace.marks and quiet.is_quiet(
            sample * EVERY_S, float(service.cpu_s[sample]), partial(_counted, live)
        )
        cycles = pace.cycles_at(sample, is_quiet=is_quiet)
        if cycles is None:
            continue
        if counting.is_due(taken * EVERY_S):
            counting.spend(taken * EVERY_S, COUNT_S)
            ledger.add(cycles, blocks, sizes)
            counted = {"tracked": float(sizes.sum()), "tracked_blocks": float(blocks.sum())}
            if judge.add_ledger(cycles, counted):
                standing.keep(ledger.suspects(pace.n_min))
        judge.add(cycles, {"threads": 8.0, "children": 0.0, "fds": 20.0})
        taken += 1
    evidence = judge.evidence(is_last=True)
    suspects = tuple(standing.keep(ledger.suspects(pace.n_min, at_end=True)))
    evidence = without_drops(replace(evidence, suspects=suspects, cycles=pace.cycles), ledger.drop)
    evidence = without_waiting(evidence, range(len(sites)))
    return decide(evidence).verdict


def _counted(live: Hashable) -> tuple[Hashable, float]:
    return live, COUNT_S


def _judges(n_min: int) -> tuple[OutsideJudge, LedgerJudge, int]:
    return OutsideJudge(1.0, n_min, huge_pages=False, tracked=True), LedgerJudge(1.0), 0


def simulate(name: str, number: int, runs: int) -> list[Verdict]:
    """Make and judge a batch of runs from its own seed. ``name``: the family, a colon, and how it is watched."""
    family, _, way = name.partition(": ")
    rng = np.random.default_rng((zlib.crc32(name.encode()), number))
    verdicts = []
    for _ in range(runs):
        service = make_service(rng, idle_s=rng.uniform(5, 30) if way == IDLE else 0.0, pauses=way == PAUSES)
        verdicts.append(verdict_of(service, (CLEAN | LEAKS)[family](service), marked=way == MARKED))
    return verdicts


def calibrate_services(runs: int, *, processes: int = 2) -> list[ServiceRow]:
    """Judge so many runs of each family, in each way."""
    names = [f"{family}: {way}" for family in CLEAN | LEAKS for way in WAYS]
    rows = []
    for name, said in judge_families(simulate, names, runs, processes).items():
        family, _, way = name.partition(": ")
        rows.append(ServiceRow(family, way, len(said), *count(said)))
    return rows


def section_of_services(rows: list[ServiceRow]) -> list[str]:
    """Write the section of docs/calibration.md."""
    shown = [
        f"| {row.family} | {row.way} | {row.runs:,} | {row.leak:,} | {row.clean:,} | {row.settling:,} "
        f"| {row.inconclusive:,} |"
        for row in rows
    ]
    return [
        "## Watched services",
        "",
        "A service is watched for one to two minutes: imports, perhaps idle time, then 20 to 400 requests a second at",
        "random times, at a rate that wanders, perhaps with pauses. A cycle is a mark (one for each request), or a",
        "sample of 100 ms in which the service did something. All columns are numbers of runs. Gates: LEAK of at most",
        f"{100 * MOST_FALSE_LEAKS:g} % of the clean runs, no CLEAN of a leak, and with marks LEAK of at least",
        f"{100 * LEAST_POWER:g} % of the leaks.",
        f"Caches hold up to {CACHE_FITS_INTO_N_MIN:g} of the smallest n_min.",
        "",
        "| family | cycles | runs | LEAK | CLEAN | SETTLING | INCONCLUSIVE |",
        "|---|---|--:|--:|--:|--:|--:|",
        *shown,
        "",
    ]


if __name__ == "__main__":
    import sys

    found = calibrate_services(int(sys.argv[1]))
    print("\n".join(section_of_services(found)))
    print([fault for row in found for fault in row.failures()])
