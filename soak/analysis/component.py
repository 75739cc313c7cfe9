"""A component's verdict from its signals: which one decides, and what it takes to be CLEAN."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from soak.analysis.ledger import Suspect
from soak.analysis.series import SeriesJudge
from soak.analysis.survivors import FEWEST_CYCLES
from soak.analysis.wording import count, growth, more_cycles
from soak.measurements import SIGNALS, Reading, Role, Signal
from soak.units import format_duration
from soak.verdict import SeriesVerdict, Verdict

USUAL_TOLERANCE_BYTES = 1.0
"""A larger tolerance is somebody's will: so many bytes are accepted, in however many blocks, lost or held."""
SMALLEST_N_MIN = 256
LARGEST_N_MIN = 131_072
_LIMIT_SHARE = 0.05
"""A count that runs into a limit must be judged long before: n_min is at most this part of the limit, in cycles."""
_MEMORY_SIGNALS = ("tracked", "heap", "python_blocks")
_LEDGER_SEES = ("tracked", "tracked_blocks", "heap", "python_blocks")
"""Where the ledger proves that nothing stays, these must not grow, but need no proof of their own."""
_BLOCK_SIGNALS = ("tracked_blocks", "mapped")
_NEXT_TIME = 1.001
"""Times of checkpoints are kept a thousandth of their cycle apart: twenty thousand of a run of any length."""
_DECIDING_ALARMS = ("mapped",)
"""Mapped memory is counted to the page, so that its growth is a leak; but when it does not grow that proves nothing."""
_COUNTED_IN_BLOCKS = ("tracked_blocks", "python_blocks")
_CHECKED_BY_LEDGER = {"heap": "tracked", "python_blocks": "tracked_blocks"}
"""Counters of what the ledger knows block by block: where its own sum is CLEAN, they need no proof of theirs."""
_TCACHE_BYTES = 64 * 7 * 528
"""What glibc keeps for a thread of freed chunks and counts as in use: 64 sizes up to 1,032 B, seven of each."""
_SMALLEST_LIMITED_N_MIN = 64
"""Below this many cycles not even a checkpoint after each gives the rule two readings a block."""


@dataclass(frozen=True)
class Judgement:
    """What the signals together say."""

    verdict: Verdict
    why: str
    decided_by: str | None
    """The signal's name; None when nothing stands."""
    needed: int | None
    """More cycles that would decide, where that can be told."""
    standing: bool
    """Nothing that may still come in this run would change what people are told: LEAK, or all signals CLEAN."""
    series: Mapping[str, SeriesVerdict]
    decided_at: int | None = None
    """Cycles after which LEAK or CLEAN stood."""
    by_scan: bool = False
    """A scan of the memory decided: blocks are lost, whatever the series say."""


class ComponentJudge:
    """Judges all signals of one component while they are read."""

    def __init__(self, tolerance_bytes: float, limits: Mapping[str, float], required: frozenset[str]) -> None:
        """Begin with nothing read.

        ``tolerance_bytes``: for the byte signals. ``limits``: the process's limits by signal name. ``required``: the
        deciding signals that must be read before CLEAN may be said.
        """
        self._tolerance_bytes = tolerance_bytes
        self._limits = limits
        self._required = required
        self._judges: dict[str, SeriesJudge] = {}
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.readings: dict[str, int] = {}
        self.n_min: int | None = None
        self._may_fall = False
        self.n_clean: float = FEWEST_CYCLES
        """Cycles from which the ledger may prove CLEAN."""
        self._early: dict[str, SeriesJudge] = {}
        self._waiting: dict[str, tuple[list[int], list[float]]] = {}
        self._cycles, self._times_s = array("q"), array("d")
        self._incomplete: frozenset[str] = frozenset()

    def fix_n_min(self, n_min: int, *, asked_for: bool = False, may_fall: bool = False) -> None:
        """Fix n_min for every signal; only once, before which no signal decides.

        ``asked_for``: it is the user's, and holds for CLEAN by the ledger too. ``may_fall``: see `lower_n_min`.
        """
        self.n_min, self._may_fall = n_min, may_fall
        self.n_clean = n_min if asked_for else min(n_min, FEWEST_CYCLES)
        for name, judge in self._judges.items():
            judge.fix_n_min(self._n_min_of(SIGNALS[name], n_min), may_fall=may_fall)

    def lower_n_min(self, n_min: int) -> None:
        """Lower n_min for every signal that may still do with less: it has not been judged by n_min cycles yet."""
        self.n_min = n_min
        self.n_clean = min(n_min, self.n_clean)
        for name, judge in self._judges.items():
            judge.lower_n_min(self._n_min_of(SIGNALS[name], n_min))

    def add(self, reading: Reading) -> None:
        """Take in one checkpoint (quickly: nothing is judged yet); signals it did not read are left as they are."""
        if not self._cycles or reading.cycle >= self._cycles[-1] * _NEXT_TIME:
            self._cycles.append(reading.cycle)
            self._times_s.append(reading.at_s)
        for name, value in reading.values.items():
            if name not in self._judges:
                self._judges[name] = self._make_judge(SIGNALS[name], self.n_min)
                # Long before n_min a cache that fills looks like a leak, and is none when it is full.
                self._early[name] = self._make_judge(SIGNALS[name], FEWEST_CYCLES, leak_is_final=False)
                self._waiting[name] = ([], [])
                self.first[name] = value
            cycles, values = self._waiting[name]
            cycles.append(reading.cycle)
            values.append(value)
            self.last[name] = value
            self.readings[name] = self.readings.get(name, 0) + 1

    def distrust(self, names: Iterable[str]) -> None:
        """Take note that signals miss something: their growth is still growth, but without it they prove nothing."""
        self._incomplete = frozenset(names)

    def time_of(self, cycle: int) -> float:
        """Return the seconds at which the first checkpoint at or after ``cycle`` was, to a thousandth of it."""
        return self._times_s[min(bisect_left(self._cycles, cycle), len(self._times_s) - 1)]

    def judge(self, survivors: SeriesVerdict | None = None, *, at_end: bool = False) -> Judgement:
        """Combine what the signals say so far; ``at_end`` takes one more look at the end of each series.

        ``survivors``: what the births of all live blocks say, where the ledger covers all of them.
        """
        for name, (cycles, values) in self._waiting.items():
            self._judges[name].extend(cycles, values)
            self._early[name].extend(cycles, values)
            cycles.clear()
            values.clear()
        series = _verdicts(self._judges, at_end=at_end)
        distrusted = self._incomplete
        unread = {name for name, verdict in series.items() if verdict.rate is None}
        if at_end and not unread & self._required:
            distrusted |= {name for name in unread if SIGNALS[name].role is Role.DECIDES}
        trusted = {
            name: verdict
            for name, verdict in series.items()
            if name not in distrusted or verdict.verdict is Verdict.LEAK
        }
        judgement = combine_within(self._tolerance_bytes, trusted, self._required)
        if survivors is None or judgement.verdict in (Verdict.LEAK, Verdict.CLEAN):
            return judgement
        early = _verdicts(self._early, at_end=at_end) if self.n_clean == FEWEST_CYCLES else trusted
        return clean_by_survivors(early, survivors, self._required, at_end=at_end) or judgement

    def judge_at_guard(self, name: str, cycles: int) -> Judgement:
        """Judge a component that a guard stopped because ``name`` came near its limit: what there is decides.

        Where the rule has no verdict yet, growth from the first reading to the limit's neighbourhood is one.
        """
        judgement = self.judge(at_end=True)
        growth = self.last.get(name, 0.0) - self.first.get(name, 0.0)
        if judgement.verdict is Verdict.LEAK or growth <= 0 or cycles <= 0:
            return judgement
        signal = SIGNALS[name]
        allowed = self._limits.get(name, float("inf"))
        limit = f" of {count(allowed)} that are allowed" if self.last[name] >= allowed / 2 else ""
        reason = (
            f"Rose from {count(self.first[name])} to {count(self.last[name])} {signal.unit}{limit} in {count(cycles)} "
            "cycles and was stopped before the end; too soon for an interval."
        )
        rate = growth / cycles
        stopped = SeriesVerdict(Verdict.LEAK, reason, rate, rate, rate, decided_at=cycles, since=0)
        series = {**judgement.series, name: stopped}
        return Judgement(Verdict.LEAK, _named(name, stopped), name, None, True, series, cycles)

    def _make_judge(self, signal: Signal, n_min: int | None, *, leak_is_final: bool = True) -> SeriesJudge:
        tolerance = self._tolerance_bytes if signal.tolerance is None else signal.tolerance
        unit = "B" if signal.unit == "bytes" else signal.unit
        judge = SeriesJudge(tolerance, None, signal.grain, unit=unit, leak_is_final=leak_is_final)
        if n_min is not None:
            judge.fix_n_min(self._n_min_of(signal, n_min), may_fall=self._may_fall)
        return judge

    def _n_min_of(self, signal: Signal, n_min: int) -> int:
        limit = self._limits.get(signal.limit or "", float("inf"))
        # By halves, so that all signals are looked at at the same cycles.
        while n_min > _LIMIT_SHARE * limit and n_min >= 2 * _SMALLEST_LIMITED_N_MIN:
            n_min //= 2
        return n_min


def choose_n_min(budget_cycles: float) -> int:
    """Return n_min for a budget of so many cycles: an eighth of it, within the bounds."""
    return int(min(max(budget_cycles / 8, SMALLEST_N_MIN), LARGEST_N_MIN))


def n_min_at_half_time(n_min: int, cycles: int) -> int:
    """Return n_min for a component that has made so many cycles in half of its time.

    An eighth of the time should have brought it. Where half of the time has not, cycles are slower than the first
    ones were, or checkpoints dearer, and n_min falls to what has been made, so that it is judged at all. That follows
    from the pace, not from what was read, and comes before the first look that decides.
    """
    return min(n_min, max(cycles, SMALLEST_N_MIN))


def combine(series: Mapping[str, SeriesVerdict], required: frozenset[str]) -> Judgement:
    """Combine the signals' verdicts by their roles (see soak.measurements); ``series`` in the order of SIGNALS."""
    deciding = {name: verdict for name, verdict in series.items() if SIGNALS[name].role is Role.DECIDES}
    alarms = {name: verdict for name, verdict in series.items() if SIGNALS[name].role is Role.ALARMS}
    candidates = {**deciding, **{name: alarms[name] for name in _DECIDING_ALARMS if name in alarms}}
    if _is_free_heap(series):
        del candidates["heap"]

    leaking = [name for name, verdict in candidates.items() if verdict.verdict is Verdict.LEAK]
    if leaking:
        decided_by = leaking[0]
        return Judgement(
            Verdict.LEAK,
            _named(decided_by, series[decided_by]),
            decided_by,
            None,
            not _something_nearer_may_still_decide(decided_by, candidates),
            series,
            series[decided_by].decided_at,
        )

    missing = sorted(required - deciding.keys())
    open_ones = {
        name: verdict
        for name, verdict in deciding.items()
        if verdict.verdict is not Verdict.CLEAN and not _is_checked(name, series)
    }
    needed = max((verdict.needed for verdict in open_ones.values() if verdict.needed), default=None)
    if missing:
        titles = ", ".join(SIGNALS[name].title for name in missing)
        return Judgement(
            Verdict.INCONCLUSIVE, f"{titles} could not be read, so growth there cannot be ruled out.", None, needed,
            False, series,
        )  # fmt: skip
    if open_ones:
        settling = all(verdict.verdict is Verdict.SETTLING for verdict in open_ones.values())
        # The signal that needs most is the one to name; of several, one that speaks of memory.
        name = max(open_ones, key=lambda name: (open_ones[name].needed or 0, name in _MEMORY_SIGNALS))
        verdict = Verdict.SETTLING if settling else Verdict.INCONCLUSIVE
        return Judgement(verdict, _named(name, open_ones[name]), name, needed, False, series)

    # An alarm stands while it sounds: pages that malloc took at first, and no more, are no news at the end.
    unexplained = [name for name, seen in alarms.items() if seen.verdict is Verdict.LEAK and seen.is_growing]
    if unexplained:
        name = unexplained[0]
        why = f"Unexplained growth: {_named(name, series[name])} Memory in use does not grow."
        return Judgement(Verdict.INCONCLUSIVE, why, name, None, False, series)
    proven = {name: verdict for name, verdict in deciding.items() if verdict.verdict is Verdict.CLEAN}
    decided_at = max((verdict.decided_at or 0 for verdict in proven.values()), default=0)
    return Judgement(Verdict.CLEAN, _clean(proven), _least_certain(proven), None, True, series, decided_at)


def _is_free_heap(series: Mapping[str, SeriesVerdict]) -> bool:
    """Whether the heap has grown by nothing but chunks that malloc keeps in its tcache, and counts as in use.

    The ledger sees every block, so that what malloc counts beyond is no block of the program's. It is little, but
    fills as slowly as a program comes to ask for each size. Only more than fits in there is memory that the ledger
    does not see.
    """
    heap = series.get("heap")
    if heap is None or "tracked" not in series or heap.rate is None:
        return False
    if heap.judged_at is None:
        return False
    return not heap.is_growing or heap.rate * heap.judged_at <= _TCACHE_BYTES


def _is_checked(name: str, series: Mapping[str, SeriesVerdict]) -> bool:
    """Whether the ledger has proven that what a counter counts does not grow, and the counter does not object."""
    ledger = series.get(_CHECKED_BY_LEDGER.get(name, ""))
    if ledger is None or ledger.verdict is not Verdict.CLEAN:
        return False
    return not series[name].is_growing or (name == "heap" and _is_free_heap(series))


def combine_within(tolerance_bytes: float, series: Mapping[str, SeriesVerdict], required: frozenset[str]) -> Judgement:
    """Combine the signals; where more bytes than usual are accepted and the ledger counts them, blocks only inform."""
    if tolerance_bytes <= USUAL_TOLERANCE_BYTES or "tracked" not in series:
        return combine(series, required)
    in_bytes = {name: verdict for name, verdict in series.items() if name not in _COUNTED_IN_BLOCKS}
    return replace(combine(in_bytes, required.difference(_COUNTED_IN_BLOCKS)), series=series)


def clean_by_survivors(
    series: Mapping[str, SeriesVerdict], survivors: SeriesVerdict, required: frozenset[str], *, at_end: bool = False
) -> Judgement | None:
    """Return CLEAN where the ledger proves that no memory stays and no signal says otherwise; else None.

    Counters of memory need not prove it themselves, for under a sawtooth of megabytes they never could. What the
    ledger does not see (descriptors, threads, processes) must be CLEAN by itself. Resident memory that settles is
    waited for while there is time (``at_end``: there is none): it is what the allocators take for themselves at first.
    """
    if survivors.verdict is not Verdict.CLEAN:
        return None
    counted = {name for name in series if SIGNALS[name].role is Role.DECIDES} - set(_LEDGER_SEES)
    if required - counted - set(_LEDGER_SEES):
        return None
    if any(series[name].verdict is not Verdict.CLEAN for name in counted):
        return None
    if any(_objects(name, series, at_end=at_end) for name in series):
        return None
    decided_at = max(verdict.decided_at or 0 for verdict in (survivors, *(series[name] for name in counted)))
    shown = {name: survivors if name == "tracked" else verdict for name, verdict in series.items()}
    also = f" Nor do {', '.join(SIGNALS[name].title for name in series if name in counted)} grow."
    return Judgement(Verdict.CLEAN, survivors.reason + also, "tracked", None, True, shown, decided_at)


def _objects(name: str, series: Mapping[str, SeriesVerdict], *, at_end: bool) -> bool:
    """Whether a signal grows, and not only as pages grow under a heap that itself goes up just now."""
    role, seen, heap = SIGNALS[name].role, series[name], series.get("heap")
    if role is Role.INFORMS or not seen.is_growing:
        return False
    if name == "heap":
        return not _is_free_heap(series)
    if name == "rss" and at_end and seen.verdict is Verdict.SETTLING:
        return False
    heap_rate = heap.rate if heap is not None and heap.rate is not None else 0.0
    return role is Role.DECIDES or (seen.low or 0.0) > heap_rate


def with_leaking_sites(judgement: Judgement, suspects: Sequence[Suspect], tolerance_bytes: float) -> Judgement:
    """Add what the ledger's sites say: one that leaks makes the component leak, though the sums do not show it.

    Where something else leaks already, the sites still bound by how much memory does, and that is what decides if it
    was their blocks that were counted: a table that is resized widens the interval of all bytes together until it
    tells nothing, and that of no site but its own.
    """
    leaking = [suspect for suspect in suspects if suspect.is_leak and _is_too_much(suspect.verdict, tolerance_bytes)]
    if not leaking:
        return judgement
    together = _together([suspect.verdict for suspect in leaking])
    if judgement.verdict is not Verdict.LEAK or judgement.decided_by == "mapped":
        series = {**judgement.series, "tracked": together}
        return Judgement(Verdict.LEAK, _named("tracked", together), "tracked", None, True, series, together.decided_at)
    whole = judgement.series.get("tracked")
    if whole is None or whole.verdict is Verdict.LEAK:
        return judgement
    whole = _at_least(whole, together)
    series = {**judgement.series, "tracked": whole}
    if judgement.decided_by not in _LEDGER_SEES:
        return replace(judgement, series=series)
    standing = not _something_nearer_may_still_decide("tracked", series)
    why = _named("tracked", whole)
    return replace(judgement, why=why, decided_by="tracked", standing=standing, series=series)


def _together(verdicts: Sequence[SeriesVerdict]) -> SeriesVerdict:
    """Return the growth of sites that leak as that of one."""
    rate, low, high = (sum(getattr(verdict, name) or 0.0 for verdict in verdicts) for name in ("rate", "low", "high"))
    since = max(verdict.since or 0 for verdict in verdicts)
    sites = "one call site" if len(verdicts) == 1 else f"{len(verdicts)} call sites"
    reason = f"At {sites} it grows by {growth(rate, low, high, 'B')}, steady since cycle {count(since)} or before."
    return replace(verdicts[0], reason=reason, rate=rate, low=low, high=high, since=since)


def _at_least(whole: SeriesVerdict, part: SeriesVerdict) -> SeriesVerdict:
    """Return the growth of a whole, of which a ``part`` leaks: no less than that, for the rest cannot go below none."""
    if whole.rate is None or whole.low is None or whole.high is None or part.rate is None or part.low is None:
        return part
    rate, low = max(whole.rate, part.rate), max(whole.low, part.low)
    high = max(whole.high, part.high or 0.0)
    reason = f"Grows by {growth(rate, low, high, 'B')}. {part.reason}"
    return replace(part, reason=reason, rate=rate, low=low, high=high)


def with_lost_sites(
    judgement: Judgement,
    growth: SeriesVerdict | None,
    sites: int,
    cycle: int | None,
    tolerance_bytes: float,
    *,
    standing: bool,
) -> Judgement:
    """Add what a scan of the memory says: blocks of so many ``sites``, which grow by ``growth``, are lost.

    Lost blocks are a leak at once, however few the cycles. ``cycle``: when that was seen; None when nothing is lost.
    ``standing``: whether to wait for the series too, which say more exactly by how much, is worth nothing any more.
    """
    if growth is None or cycle is None or growth.rate is None or growth.rate <= 0:
        return judgement
    if not _is_too_much(growth, tolerance_bytes):
        return judgement
    if judgement.verdict is Verdict.LEAK and judgement.decided_by not in (*_MEMORY_SIGNALS, *_BLOCK_SIGNALS):
        return judgement
    seen = judgement.series.get("tracked")
    if seen is None or seen.verdict is not Verdict.LEAK:
        seen = replace(growth, reason=f"Grows by about {count(growth.rate)} B per cycle.", decided_at=cycle)
    where = "one call site" if sites == 1 else f"{count(sites)} call sites"
    why = f"Blocks of past cycles from {where} are lost: nothing in the process points to them any more. {seen.reason}"
    series = {**judgement.series, "tracked": seen}
    return Judgement(Verdict.LEAK, why, "tracked", None, judgement.standing or standing, series, cycle, by_scan=True)


def _is_too_much(growth: SeriesVerdict, tolerance_bytes: float) -> bool:
    """Whether no tolerance accepts it: the usual one accepts nothing that is proven, however little a cycle it is."""
    return tolerance_bytes <= USUAL_TOLERANCE_BYTES or (growth.low or 0.0) > tolerance_bytes


def _verdicts(judges: Mapping[str, SeriesJudge], *, at_end: bool) -> dict[str, SeriesVerdict]:
    """Return what each series says, in the order of SIGNALS; ``at_end`` after one more look at its end."""
    found = {}
    for name in SIGNALS:
        if name in judges:
            found[name] = judges[name].verdict
            last = judges[name].finish() if at_end else found[name]
            # Where the run happened to end, the blocks may hold too few readings to say anything new.
            if last.rate is not None or found[name].rate is None:
                found[name] = last
    return found


def _something_nearer_may_still_decide(decided_by: str, candidates: Mapping[str, SeriesVerdict]) -> bool:
    """Whether a signal that explains more (it stands before in the table) grows too, but has no verdict yet."""
    for name, verdict in candidates.items():
        if name == decided_by:
            return False
        if verdict.verdict is Verdict.INCONCLUSIVE and verdict.rate is not None and verdict.rate > 0:
            return True
    return False


def _least_certain(deciding: Mapping[str, SeriesVerdict]) -> str | None:
    """Name the signal whose bound says most about memory: the heap's, or what there is in its place."""
    for name in (*_MEMORY_SIGNALS, *deciding):
        if name in deciding:
            return name
    return None


def _named(name: str, verdict: SeriesVerdict) -> str:
    title = SIGNALS[name].title
    return f"{title[0].upper()}{title[1:]}: {verdict.reason[0].lower()}{verdict.reason[1:]}"


def _clean(series: Mapping[str, SeriesVerdict]) -> str:
    name = _least_certain(series)
    if name is None:
        return "Nothing was read."
    others = [SIGNALS[other].title for other in series if SIGNALS[other].role is Role.DECIDES and other != name]
    also = f" Nor do {', '.join(others)}." if others else ""
    return _named(name, series[name]) + also


def describe_missing_cycles(needed: int, cycle_s: float) -> str:
    """Say how many more cycles would decide, and how long they take at the present pace."""
    return f"{more_cycles(needed)} would decide, {format_duration(needed * cycle_s)} at the present pace."
