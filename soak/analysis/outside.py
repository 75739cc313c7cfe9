"""The verdict on a process that is watched: its cycles are samples, one every so many seconds, or marks of its own.

Where only the outside is seen RSS may raise LEAK, for nothing nearer is seen; it never gives CLEAN (see
docs/verdict.md), so a process that does not grow is INCONCLUSIVE, with what was ruled out. Where the tracker is in it
the ledger decides, as in a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from soak.analysis.component import Judgement, combine_within
from soak.analysis.series import SeriesJudge
from soak.analysis.wording import RSS_LIMIT
from soak.measurements import SIGNALS
from soak.verdict import SeriesVerdict, Verdict

DECIDING = ("threads", "children", "fds", "rss", "mapped")
"""May raise LEAK, in the order in which they explain: a leaked thread has a stack that is mapped."""
SHOWN = ("pss", "uss", "swap")
TRACKED = ("tracked", "tracked_blocks")
"""Read where the tracker is in the process; they and the exact counts must be flat before CLEAN may be said."""
_REQUIRED = frozenset({"threads", "children", "fds", *TRACKED})
_HUGE_PAGE_BYTES = 2.0 * 2**20
_BUFFERED = 64


class OutsideJudge:
    """Judges all signals of a process while it is sampled; memory stays bounded however long that is."""

    def __init__(self, tolerance_bytes: float, n_min: int, *, huge_pages: bool, tracked: bool = False) -> None:
        """Begin with nothing read.

        ``huge_pages``: the kernel backs this process with pages of 2 MiB, so that its memory grows in such steps.
        ``tracked``: the tracker is in it.
        """
        self._n_min = n_min
        self._judges: dict[str, SeriesJudge] = {}
        self._waiting: dict[str, tuple[list[int], list[float]]] = {}
        self._tolerance_bytes = tolerance_bytes
        self._huge_pages = huge_pages
        self._tracked = tracked
        self._incomplete = False
        self._names = tuple(name for name in SIGNALS if name in (*DECIDING, *SHOWN, *TRACKED))
        self._next_look = n_min / 8
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.readings: dict[str, int] = {}

    def add(self, sample: int, values: Mapping[str, float]) -> bool:
        """Take in one sample; return whether a look of the rule is due, that is whether `judge` may say more."""
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
        due = sample >= self._next_look
        while sample >= self._next_look:
            self._next_look *= 2
        return due

    def judge(self, *, at_end: bool = False) -> Judgement:
        """Combine what the signals say; ``at_end`` takes one more look at the end of each series."""
        for name in list(self._waiting):
            self._flush(name)
        series: dict[str, SeriesVerdict] = {}
        for name in self._names:
            if name in self._judges:
                judge = self._judges[name]
                last = judge.finish() if at_end else judge.verdict
                series[name] = judge.verdict if last.rate is None else last
        if not self._tracked:
            return combine_outside(series)
        distrusted = TRACKED if self._incomplete else ()
        trusted = {name: s for name, s in series.items() if name not in distrusted or s.verdict is Verdict.LEAK}
        return replace(combine_within(self._tolerance_bytes, trusted, _REQUIRED), series=series)

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
        grain = _HUGE_PAGE_BYTES if in_bytes and self._huge_pages and name not in TRACKED else signal.grain
        return SeriesJudge(tolerance, self._n_min, grain, unit="B" if in_bytes else signal.unit)


def combine_outside(series: Mapping[str, SeriesVerdict]) -> Judgement:
    """Combine the signals' verdicts; ``series`` in the order of DECIDING."""
    deciding = {name: series[name] for name in DECIDING if name in series}
    for name, verdict in deciding.items():
        if verdict.verdict is Verdict.LEAK:
            return Judgement(Verdict.LEAK, _named(name, verdict), name, None, True, series, verdict.decided_at)
    open_ones = {name: verdict for name, verdict in deciding.items() if verdict.verdict is not Verdict.CLEAN}
    settling = [name for name, verdict in open_ones.items() if verdict.verdict is Verdict.SETTLING]
    growing = [name for name in open_ones if name not in settling and (open_ones[name].low or 0.0) > 0]
    if settling and not growing:
        name = settling[0]
        return Judgement(
            Verdict.SETTLING, _named(name, open_ones[name]), name, open_ones[name].needed, False, series
        )  # fmt: skip
    told = growing or [name for name in ("rss", *open_ones) if name in open_ones]
    if told:
        verdict = open_ones[told[0]]
        why = _named(told[0], verdict)
        return Judgement(Verdict.INCONCLUSIVE, f"{why} {RSS_LIMIT}", None, verdict.needed, False, series)
    return Judgement(Verdict.INCONCLUSIVE, f"Nothing that was read grows. {RSS_LIMIT}", None, None, False, series)


def _named(name: str, verdict: SeriesVerdict) -> str:
    title = SIGNALS[name].title
    reason = verdict.reason.replace("cycles", "samples").replace("cycle", "sample")
    return f"{title[0].upper()}{title[1:]}: {reason[0].lower()}{reason[1:]}"
