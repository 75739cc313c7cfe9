"""A component's signals while they are read: one judge each, and together the evidence for a verdict."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping

import numpy as np

from soak.analysis.evidence import COUNTS, MEMORY, Evidence, Stop
from soak.analysis.looks import Tolerance, tolerance_at
from soak.analysis.series import SeriesJudge
from soak.analysis.sites.streaks import StreakCounter
from soak.analysis.sites.survivors import FEWEST_CYCLES, NEXT_LOOK
from soak.analysis.staying import FIRST_LOOK, StayingJudge
from soak.grounds import N_MIN_OF_OWN_CACHES, Limit
from soak.measurements import SIGNALS, Identity, Reading, Role, Signal
from soak.verdict import SeriesVerdict, Verdict

SMALLEST_N_MIN = 256
LARGEST_N_MIN = 131_072
PROVISIONAL_N_MIN = 400
"""A long run may decide only after hours. With this n_min it says earlier what grows: within a minute at 100 ms."""
_PROVISIONAL = (*COUNTS, "tracked", "heap")
"""The signals that a long run reports before it decides; the heap only without the tracker."""
_RISING = (*COUNTS, *MEMORY, "rss")
"""The signals whose streaks are followed."""
_HAVE_IDENTITIES = ("threads", "children")
"""The counts of which it is also read who is alive."""
_INTERVALS_AT_FIRST = 12
"""Growth in so many intervals, one after another, may be a leak: what a verdict would need is prepared."""
_LIMIT_SHARE = 0.05
"""A count that runs into a limit must be judged long before: n_min is at most this part of the limit, in cycles."""
_NEXT_TIME = 1.001
"""Times of checkpoints are kept a thousandth of their cycle apart: twenty thousand of a run of any length."""
_FIRST_CYCLES = 64
"""In these a program allocates what it keeps for good."""
_SMALLEST_LIMITED_N_MIN = 64
"""Below this many cycles not even a checkpoint after each gives the rule two readings a block."""


class ComponentJudge:
    """Judges all signals of one component while they are read."""

    def __init__(
        self,
        tolerance_bytes: float,
        limits: Mapping[str, float],
        required: frozenset[str],
        *,
        rss_limit_bytes: float | None = None,
    ) -> None:
        """Begin with nothing read.

        ``tolerance_bytes``: for the byte signals. ``limits``: the process's limits by signal name. ``required``: the
        deciding signals that must be read before CLEAN may be said. ``rss_limit_bytes``: the resident memory at which
        the component is stopped.
        """
        self._rss_limit_bytes = rss_limit_bytes
        self._tolerance_bytes = tolerance_bytes
        self._limits = limits
        self._required = required
        self._judges: dict[str, SeriesJudge] = {}
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self._last_read_at: dict[str, int] = {}
        self.readings: dict[str, int] = {}
        self.n_min: int | None = None
        self._may_fall = False
        self._is_of_slow_cycles, self._may_be_of_slow_cycles = False, False
        self.n_clean: float = FEWEST_CYCLES
        """Cycles from which the ledger may prove CLEAN."""
        self._early: dict[str, SeriesJudge] = {}
        self._waiting: dict[str, tuple[list[int], list[float]]] = {}
        self._provisional = {
            name: SeriesJudge(
                self._tolerance_of(SIGNALS[name]), PROVISIONAL_N_MIN, SIGNALS[name].grain, leak_is_final=False
            )
            for name in _PROVISIONAL
        }
        self._streaks = {name: StreakCounter(at_one_rate=name in COUNTS) for name in _RISING}
        self._staying = {
            name: StayingJudge(self._tolerance_of(SIGNALS[name]), SIGNALS[name].grain) for name in _HAVE_IDENTITIES
        }
        self._living_due: float = FIRST_LOOK
        self._cycles, self._times_s = array("q"), array("d")
        self._incomplete: frozenset[str] = frozenset()
        self._heap_range = math.inf, -math.inf

    def fix_n_min(
        self, n_min: int, *, asked_for: bool = False, may_fall: bool = False, are_cycles_slow: bool = True
    ) -> None:
        """Fix n_min for every signal; only once, before which no signal decides.

        ``asked_for``: it is the user's, and holds for CLEAN by the ledger too. ``may_fall``: see `lower_n_min`.
        ``are_cycles_slow``: whether it follows from how long cycles take, rather than from how many are asked for.
        """
        self.n_min, self._may_fall = n_min, may_fall
        self._is_of_slow_cycles = not asked_for and are_cycles_slow
        self._may_be_of_slow_cycles = not asked_for
        self.n_clean = n_min if asked_for else min(n_min, FEWEST_CYCLES)
        for name, judge in self._judges.items():
            judge.leak_is_final = self._is_leak_final(name)
            judge.fix_n_min(self._n_min_of(SIGNALS[name], n_min), may_fall=may_fall)

    def take_pace(self, *, are_cycles_slow: bool) -> None:
        """Take note of whether cycles are slow: n_min may have been fixed before that was known."""
        is_reached = self.n_min is None or (bool(self._cycles) and self._cycles[-1] >= self.n_min)
        if not self._may_be_of_slow_cycles or is_reached or are_cycles_slow == self._is_of_slow_cycles:
            return
        self._is_of_slow_cycles = are_cycles_slow
        for name, judge in self._judges.items():
            judge.leak_is_final = self._is_leak_final(name)

    def lower_n_min(self, n_min: int) -> None:
        """Lower n_min for every signal that may still do with less: it has not been judged by n_min cycles yet."""
        self.n_min, self._is_of_slow_cycles, self._may_be_of_slow_cycles = n_min, True, False
        self.n_clean = min(n_min, self.n_clean)
        for name, judge in self._judges.items():
            judge.leak_is_final = self._is_leak_final(name)
            judge.lower_n_min(self._n_min_of(SIGNALS[name], n_min))

    def add(self, reading: Reading) -> None:
        """Take in one checkpoint (quickly: nothing is judged yet); signals it did not read are left as they are."""
        if not self._cycles or reading.cycle >= self._cycles[-1] * _NEXT_TIME:
            self._cycles.append(reading.cycle)
            self._times_s.append(reading.at_s)
        for name, value in reading.values.items():
            if name not in self._judges:
                self._judges[name] = self._make_judge(SIGNALS[name], self.n_min)
                # Long before n_min a cache that fills looks like a leak; when it is full, it is not one.
                self._early[name] = self._make_judge(SIGNALS[name], FEWEST_CYCLES, leak_is_final=False)
                self._waiting[name] = ([], [])
                self.first[name] = value
            cycles, values = self._waiting[name]
            cycles.append(reading.cycle)
            values.append(value)
            # A count of a later cycle would break a streak that goes on.
            if name in self._streaks and not (reading.is_late and name in COUNTS):
                self._streaks[name].add(reading.cycle, value)
            if name in self._staying:
                self._staying[name].add_count(reading.cycle, value)
            if name == "heap" and reading.cycle >= _FIRST_CYCLES:
                self._heap_range = min(self._heap_range[0], value), max(self._heap_range[1], value)
            self.last[name], self._last_read_at[name] = value, reading.cycle
            self.readings[name] = self.readings.get(name, 0) + 1

    def is_living_due(self, cycle: int) -> bool:
        """Whether `add_living` is wanted at this checkpoint."""
        return cycle >= self._living_due

    def add_living(self, cycle: int, living: Mapping[str, frozenset[Identity]]) -> None:
        """Take in who was alive at a checkpoint that was due, by signal, before its counts are added.

        A signal of which that could not be read is absent.
        """
        self._living_due = cycle * NEXT_LOOK
        for name, identities in living.items():
            self._staying[name].look(cycle, identities)

    def distrust(self, names: Iterable[str]) -> None:
        """Take note that signals miss something: their growth is still growth, but without it they prove nothing."""
        self._incomplete = frozenset(names)

    def time_of(self, cycle: int) -> float:
        """Return the seconds at which the first checkpoint at or after ``cycle`` was, to a thousandth of it."""
        return self._times_s[min(bisect_left(self._cycles, cycle), len(self._times_s) - 1)]

    def evidence(self, survivors: SeriesVerdict | None = None, *, is_last: bool = False) -> Evidence:
        """Return what the signals say so far; ``is_last`` takes one more look at the end of each series.

        ``survivors``: what the births of all live blocks say, where the ledger covers all of them.
        """
        for name, (cycles, values) in self._waiting.items():
            at, read = np.array(cycles, np.float64), np.array(values, np.float64)
            for judges in (self._judges, self._early, self._provisional):
                if name in judges and cycles:
                    judges[name].extend(at, read)
            cycles.clear()
            values.clear()
        series = self._verdicts(self._judges, is_last=is_last)
        distrusted = self._incomplete
        unread = {name for name, verdict in series.items() if verdict.rate is None}
        if is_last and not unread & self._required:
            # A signal that is seldom read may have too few readings when a short run ends.
            distrusted |= {name for name in unread if SIGNALS[name].role is Role.DECIDES}
        distrusted -= self._risen_counts(series)
        return Evidence(
            series=series,
            required=self._required,
            tolerance_bytes=self._tolerance_bytes,
            cycles=self._cycles[-1] if self._cycles else 0,
            n_min=self.n_min,
            is_n_min_of_slow_cycles=self._is_of_slow_cycles,
            distrusted=distrusted,
            streaks={name: counter.streak for name, counter in self._streaks.items() if counter.streak is not None},
            early=self._verdicts(self._early, is_last=is_last) if self.n_clean == FEWEST_CYCLES else series,
            rss_limit_bytes=self._rss_limit_bytes,
            survivors=survivors,
            threads=int(self.last.get("threads", 1)),
            heap_rise_bytes=max(self._heap_range[1] - self._heap_range[0], 0.0),
            is_last=is_last,
        )

    def _verdicts(self, judges: Mapping[str, SeriesJudge], *, is_last: bool) -> dict[str, SeriesVerdict]:
        """Return what each series says, and who stays."""
        found = _verdicts(judges, is_last=is_last)
        return {name: self._staying[name].completed(s) if name in self._staying else s for name, s in found.items()}

    def _risen_counts(self, series: Mapping[str, SeriesVerdict]) -> set[str]:
        """Return the undecided counts that have risen: what was not counted would only make them larger."""
        cycles = self._cycles[-1] if self._cycles else 0
        undecided = [name for name in COUNTS if name in series and series[name].verdict is Verdict.INCONCLUSIVE]
        return {
            name
            for name in undecided
            if self.last[name] - self.first[name] > tolerance_at(self._tolerance_of(SIGNALS[name]), cycles) * cycles
        }

    def provisional(self) -> tuple[str, SeriesVerdict] | None:
        """Return the first signal that grows by the rule of a short run, as of the latest `evidence`."""
        names = [name for name in _PROVISIONAL if name != "heap" or "tracked" not in self._judges]
        found = ((name, self._provisional[name].verdict) for name in names)
        return next(((name, verdict) for name, verdict in found if verdict.verdict is Verdict.LEAK), None)

    @property
    def rises_at_first(self) -> bool:
        """Whether the ledger's sum has risen in each of some of the first cycles; a cache that fills does so too."""
        streak = self._streaks["tracked"].streak
        return streak is not None and streak.intervals >= _INTERVALS_AT_FIRST

    def stop_at(self, name: str, *, is_reached: bool = False) -> Stop:
        """Return how far a signal rose, up to its latest reading, until a guard stopped the component.

        On a busy machine the component may have made many cycles since. ``is_reached``: it ran into the limit.
        """
        allowed, last = self._limits.get(name, float("inf")), self.last.get(name, 0.0)
        shown, cycles = allowed if last >= allowed / 2 else None, self._last_read_at.get(name, 0)
        return Stop(name, Limit(self.first.get(name, 0.0), last, shown, cycles, is_reached))

    def _make_judge(self, signal: Signal, n_min: int | None, *, leak_is_final: bool = True) -> SeriesJudge:
        leak_is_final &= self._is_leak_final(signal.name)
        judge = SeriesJudge(self._tolerance_of(signal), None, signal.grain, leak_is_final=leak_is_final)
        if n_min is not None:
            judge.fix_n_min(self._n_min_of(signal, n_min), may_fall=self._may_fall)
        return judge

    def _is_leak_final(self, name: str) -> bool:
        """Whether a LEAK stands: not of memory in few cycles, which may be a cache that comes to its end."""
        is_enough = self.n_min is None or not self._is_of_slow_cycles or self.n_min >= N_MIN_OF_OWN_CACHES
        return is_enough or name not in MEMORY

    def _tolerance_of(self, signal: Signal) -> Tolerance:
        return self._tolerance_bytes if signal.tolerance is None else signal.tolerance

    def _n_min_of(self, signal: Signal, n_min: int) -> int:
        limit = self._limits.get(signal.limit or "", float("inf"))
        n_min = signal.own_n_min(n_min)
        # By halves, so that all signals are looked at at the same cycles.
        while n_min > _LIMIT_SHARE * limit and n_min >= 2 * _SMALLEST_LIMITED_N_MIN:
            n_min //= 2
        return n_min


def choose_n_min(budget_cycles: float) -> int:
    """Return n_min for a budget of ``budget_cycles``: an eighth of it, within the bounds."""
    return int(min(max(budget_cycles / 8, SMALLEST_N_MIN), LARGEST_N_MIN))


def n_min_at_half_time(n_min: int, cycles: int) -> int:
    """Return n_min for a component that has made ``cycles`` cycles in half of its time.

    An eighth of the time should have brought it. Where half of the time has not, cycles are slower than the first
    ones were, or checkpoints dearer, and n_min falls to what has been made, so that it is judged at all. That follows
    from the pace, not from what was read, and comes before the first look that decides.
    """
    return min(n_min, max(cycles, SMALLEST_N_MIN))


def _verdicts(judges: Mapping[str, SeriesJudge], *, is_last: bool) -> dict[str, SeriesVerdict]:
    """Return what each series says, in the order of SIGNALS; ``is_last`` after one more look at its end."""
    found = {}
    for name in SIGNALS:
        if name in judges:
            found[name] = judges[name].verdict
            last = judges[name].finish() if is_last else found[name]
            # Where the run happened to end, the blocks may hold too few readings to say anything new.
            if last.rate is not None or found[name].rate is None:
                found[name] = last
    return found
