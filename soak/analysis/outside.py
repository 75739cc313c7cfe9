"""The verdict on a process that is watched: its cycles are samples, one every so many seconds, or marks of its own.

Where only the outside is seen RSS may raise LEAK, for nothing nearer is seen; it never gives CLEAN (see
docs/verdict.md), so a process that does not grow is INCONCLUSIVE, with what was ruled out. Where the tracker is in it
the ledger decides, as in a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from soak.analysis.evidence import COUNTS, LEDGER, REQUIRED_FROM_OUTSIDE, Evidence
from soak.analysis.looks import next_look
from soak.analysis.series import SeriesJudge
from soak.measurements import SIGNALS
from soak.verdict import SeriesState, SeriesVerdict, Verdict

DECIDING = (*COUNTS, "rss", "mapped")
"""May raise LEAK, in the order in which they explain: a leaked thread has a stack that is mapped."""
SHOWN = ("pss", "uss", "swap")
_REQUIRED = REQUIRED_FROM_OUTSIDE.union(LEDGER)
"""Where the tracker is in the process, these must be flat before CLEAN may be said."""
_HUGE_PAGE_BYTES = 2.0 * 2**20
_BUFFERED = 64
_FROM_THE_START = 0.25
"""Growth that was there after this share of the cycles that showed it may be warm-up."""
_IS_OVER = 0.1
"""Growth has ended when what follows is proven to be less than this share of its rate."""
_FIRST_PROOFS, _PROOFS_PER_N_MIN = 4, 8
"""What is proven by the code is asked for from this part of n_min on, and after each of these parts."""


class OutsideJudge:
    """Judges all signals of a process while it is sampled; memory stays bounded however long that is."""

    def __init__(self, tolerance_bytes: float, n_min: int, *, huge_pages: bool, tracked: bool = False) -> None:
        """Begin with nothing read.

        ``huge_pages``: the kernel backs this process with pages of 2 MiB, so that its memory grows in such steps.
        ``tracked``: the tracker is in it.
        """
        self._n_min = n_min
        self._judges: dict[str, SeriesJudge] = {}
        self._leaks: dict[str, SeriesVerdict] = {}
        self._ended: set[str] = set()
        self._waiting: dict[str, tuple[list[int], list[float]]] = {}
        self._tolerance_bytes = tolerance_bytes
        self._huge_pages = huge_pages
        self._tracked = tracked
        self._incomplete = False
        self._cycles = 0
        self._names = tuple(name for name in SIGNALS if name in (*DECIDING, *SHOWN, *LEDGER))
        self._next_look = {"outside": n_min / 8, "ledger": n_min / 8}
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.readings: dict[str, int] = {}

    def add(self, sample: int, values: Mapping[str, float]) -> bool:
        """Take in one sample; return whether a look of the rule may be due, so that it may say more."""
        self._take(sample, values)
        return self._is_look_due("outside", sample)

    def add_ledger(self, sample: int, values: Mapping[str, float]) -> bool:
        """Take in what the ledger had at a sample, perhaps some time ago; return as `add` does."""
        self._take(sample, values)
        return self._is_look_due("ledger", sample)

    def _take(self, sample: int, values: Mapping[str, float]) -> None:
        self._cycles = max(self._cycles, sample)
        for name in self._names:
            if name not in values:
                continue
            samples, read = self._waiting.setdefault(name, ([], []))
            samples.append(sample)
            read.append(values[name])
            self.first.setdefault(name, values[name])
            self.last[name] = values[name]
            self.readings[name] = self.readings.get(name, 0) + 1
            if len(read) >= _BUFFERED:
                self._flush(name)

    def _is_look_due(self, of: str, sample: int) -> bool:
        due = sample >= self._next_look[of]
        while sample >= self._next_look[of]:
            self._next_look[of] = _next_decision(self._next_look[of], self._n_min)
        return due

    def evidence(self, survivors: SeriesVerdict | None = None, *, is_last: bool = False) -> Evidence:
        """Return what the signals say; ``is_last`` takes one more look at the end of each series.

        ``survivors``: what the births of all live blocks say, where the ledger covers all of them.
        """
        for name in list(self._waiting):
            self._flush(name)
        series: dict[str, SeriesVerdict] = {}
        for name in self._names:
            if name in self._judges:
                judge = self._judges[name]
                last = judge.finish() if is_last else judge.verdict
                series[name] = self._standing(name, judge.verdict if last.rate is None else last)
        return Evidence(
            series=series,
            required=_REQUIRED if self._tracked else frozenset(),
            tolerance_bytes=self._tolerance_bytes,
            cycles=self._cycles,
            n_min=self._n_min,
            distrusted=frozenset(LEDGER if self._incomplete else ()),
            only_outside=not self._tracked,
            early=series,
            survivors=survivors,
            is_last=is_last,
        )

    def _standing(self, name: str, newest: SeriesVerdict) -> SeriesVerdict:
        """Return what stands of a signal: the first LEAK, unless the later half of all cycles shows a warm-up.

        That is where growth was there from the start and what follows it is next to nothing, or much less that goes on.
        """
        leak = self._leaks.get(name)
        is_less = leak is not None and newest.high is not None and newest.high < _IS_OVER * (leak.rate or 0.0)
        if newest.verdict is Verdict.LEAK and (leak is None or is_less or name in self._ended):
            self._leaks[name] = leak = newest
            self._ended.discard(name)
        if leak is None:
            return newest
        if not is_less or newest.is_growing or newest.judged_at is None:
            return newest if name in self._ended else replace(leak, is_growing=newest.is_growing)
        until = newest.judged_at // 2
        if (leak.since or 0) > _FROM_THE_START * (leak.decided_at or 0):
            return replace(leak, is_growing=False, until=until)
        self._ended.add(name)
        return replace(newest, verdict=Verdict.INCONCLUSIVE, state=SeriesState.ENDED, until=until)

    def distrust_ledger(self) -> None:
        """Take note that the ledger misses something: growth there is still growth, but it proves no absence."""
        self._incomplete = True

    def _flush(self, name: str) -> None:
        if name not in self._judges:
            self._judges[name] = self._make_judge(name)
        samples, read = self._waiting[name]
        if samples:
            self._judges[name].extend(samples, read)
        samples.clear()
        read.clear()

    def _make_judge(self, name: str) -> SeriesJudge:
        signal = SIGNALS[name]
        in_bytes = signal.unit == "bytes"
        tolerance = self._tolerance_bytes if signal.tolerance is None else signal.tolerance
        grain = _HUGE_PAGE_BYTES if in_bytes and self._huge_pages and name not in LEDGER else signal.grain
        return SeriesJudge(tolerance, self._n_min, grain, leak_is_final=False)


def _next_decision(at: float, n_min: float) -> float:
    """Return the cycle at which to decide next after cycle ``at``.

    The rule says nothing new between its looks. What the code proves may come at any cycle.
    """
    is_between = n_min / _FIRST_PROOFS <= at < n_min
    return at + n_min / _PROOFS_PER_N_MIN if is_between else next_look(at, n_min)
