"""The verdict on a process that is watched: its cycles are samples, one every so many seconds, or marks of its own.

Where only the outside is seen RSS may raise LEAK, for nothing nearer is seen; it never gives CLEAN (see
docs/verdict.md), so a process that does not grow is INCONCLUSIVE, with what was ruled out. Where the tracker is in it
the ledger decides, as in a run.
"""

from __future__ import annotations

from collections.abc import Mapping

from soak.analysis.evidence import COUNTS, LEDGER, REQUIRED_FROM_OUTSIDE, Evidence
from soak.analysis.series import SeriesJudge
from soak.measurements import SIGNALS
from soak.verdict import SeriesVerdict

DECIDING = (*COUNTS, "rss", "mapped")
"""May raise LEAK, in the order in which they explain: a leaked thread has a stack that is mapped."""
SHOWN = ("pss", "uss", "swap")
_REQUIRED = REQUIRED_FROM_OUTSIDE.union(LEDGER)
"""Where the tracker is in the process, these must be flat before CLEAN may be said."""
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
        self._cycles = 0
        self._names = tuple(name for name in SIGNALS if name in (*DECIDING, *SHOWN, *LEDGER))
        self._next_look = n_min / 8
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}
        self.readings: dict[str, int] = {}

    def add(self, sample: int, values: Mapping[str, float]) -> bool:
        """Take in one sample; return whether a look of the rule is due, that is whether `judge` may say more."""
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
        due = sample >= self._next_look
        while sample >= self._next_look:
            self._next_look *= 2
        return due

    def evidence(self, *, is_last: bool = False) -> Evidence:
        """Return what the signals say; ``is_last`` takes one more look at the end of each series."""
        for name in list(self._waiting):
            self._flush(name)
        series: dict[str, SeriesVerdict] = {}
        for name in self._names:
            if name in self._judges:
                judge = self._judges[name]
                last = judge.finish() if is_last else judge.verdict
                series[name] = judge.verdict if last.rate is None else last
        return Evidence(
            series=series,
            required=_REQUIRED if self._tracked else frozenset(),
            tolerance_bytes=self._tolerance_bytes,
            cycles=self._cycles,
            n_min=self._n_min,
            distrusted=frozenset(LEDGER if self._incomplete else ()),
            only_outside=not self._tracked,
            is_last=is_last,
        )

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
        return SeriesJudge(tolerance, self._n_min, grain)
