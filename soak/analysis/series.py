"""Judge one series of (iteration, value) readings, whole or as it comes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from soak.analysis.looks import RunningLooks, Standing, Tolerance
from soak.analysis.rule import FloatArray, LookOutcome
from soak.errors import SeriesError, UsageError
from soak.verdict import SeriesState, SeriesVerdict, Verdict

Numbers = Sequence[float] | npt.NDArray[np.generic]
NameRow = Callable[[int], str]
"""Names a row, counted from 0, in error messages."""


def judge(
    iterations: Numbers,
    values: Numbers,
    *,
    tolerance: Tolerance,
    n_min: float,
    grain: float = 0.0,
) -> SeriesVerdict:
    """Apply every look to a whole series ``(m,)`` of readings and return what stands at the end.

    The cycles n are counted from the first iteration: ``decided_at``, ``since`` and ``needed`` are such counts, so
    adding a number to all iterations changes nothing. The first reading only marks the start. ``tolerance`` is in
    the values' unit per cycle, ``grain`` (the counter's resolution) in the values' unit.
    Fewer readings than two per block of a window, down to none, are INCONCLUSIVE.

    Raises SeriesError naming the row when the series is unsorted, has duplicates or holds anything but finite
    numbers; UsageError when tolerance, n_min or grain cannot be used. CLEAN means clean so far.
    """
    series = SeriesJudge(tolerance, n_min, grain)
    series.extend(iterations, values)
    return series.finish()


class SeriesJudge:
    """Judges a series while it is being measured; the same looks as `judge`, each as soon as n reaches it.

    Memory stays bounded once n_min is known. ``n_min`` may be fixed later, once, by `fix_n_min`: until then
    readings are kept and nothing is looked at. Where it may still fall, they are kept until the series reaches it.
    """

    def __init__(
        self,
        tolerance: Tolerance,
        n_min: float | None = None,
        grain: float = 0.0,
        *,
        leak_is_final: bool = True,
    ) -> None:
        """Begin; arguments as of `judge`. Without ``leak_is_final`` a later look may take back a LEAK."""
        if not callable(tolerance) and not (math.isfinite(tolerance) and tolerance > 0):
            raise UsageError(f"the tolerance must be above 0, not {tolerance!r}: no series can prove growth of 0")
        if not (math.isfinite(grain) and grain >= 0):
            raise UsageError(f"the grain must be 0 or above, not {grain!r}")
        self._tolerance = tolerance
        self._grain = grain
        self._leak_is_final = leak_is_final
        self._n_min: float | None = None
        self._looks: RunningLooks | None = None
        self._may_fall = False
        self._kept: list[tuple[FloatArray, FloatArray]] = []
        self._first = math.nan
        self._last = -math.inf
        self._readings = 0
        if n_min is not None:
            self.fix_n_min(n_min)

    @property
    def n_min(self) -> float | None:
        """The cycles before which nothing is decided; None until fixed."""
        return self._n_min

    @property
    def leak_is_final(self) -> bool:
        """Whether a LEAK stands whatever is looked at later; it may be changed until n_min is reached."""
        return self._leak_is_final

    @leak_is_final.setter
    def leak_is_final(self, is_final: bool) -> None:
        self._leak_is_final = is_final
        if self._looks is not None:
            self._looks.leak_is_final = is_final

    @property
    def n(self) -> float:
        """The cycles between the first reading and the last; 0 before there are two."""
        return self._last - self._first if self._readings else 0.0

    def fix_n_min(self, n_min: float, *, may_fall: bool = False) -> None:
        """Fix n_min and take the looks that are due. Raises UsageError when it is fixed already or not above 0.

        n_min must not be moved after looking: that would break the error rate. ``may_fall``: see `lower_n_min`.
        """
        if self._n_min is not None:
            raise UsageError(f"n_min is fixed at {self._n_min:g} already; moving it would break the error rate")
        if not (math.isfinite(n_min) and n_min > 0):
            raise UsageError(f"n_min must be above 0, not {n_min!r}")
        self._may_fall = may_fall
        self._begin_to_look(n_min)

    def lower_n_min(self, n_min: float) -> None:
        """Make n_min this, where it is larger, may fall and has not been reached: no look has decided anything yet.

        Otherwise nothing happens. The reason must not be in the values, or the error rate is another one.
        """
        if self._may_fall and self._n_min is not None and n_min < self._n_min:
            self._begin_to_look(n_min)

    def _begin_to_look(self, n_min: float) -> None:
        self._n_min = n_min
        self._looks = RunningLooks(
            tolerance=self._tolerance, n_min=n_min, grain=self._grain, leak_is_final=self._leak_is_final
        )
        for cycles, values in self._kept:
            self._looks.extend(cycles, values)
        self._forget_what_was_looked_at()

    def add(self, iteration: float, value: float) -> None:
        """Take in one reading; raises SeriesError as `judge` does, and then forgets the reading."""
        self.extend([iteration], [value])

    def extend(self, iterations: Numbers, values: Numbers) -> None:
        """Take in readings that follow those before; all or, when SeriesError is raised, none of them."""
        at, read = check_series(
            iterations, values, after=self._last, name_row=lambda row: f"row {self._readings + row + 1}"
        )
        if not at.size:
            return
        if not self._readings:
            self._first = float(at[0])
        self._last = float(at[-1])
        self._readings += len(at)
        cycles, readings = at - self._first, read[np.newaxis]
        if cycles[0] == 0:
            cycles, readings = cycles[1:], readings[:, 1:]
        self._kept.append((cycles, readings))
        if self._looks is not None:
            self._looks.extend(cycles, readings)
            self._forget_what_was_looked_at()

    def _forget_what_was_looked_at(self) -> None:
        self._may_fall = self._may_fall and self._n_min is not None and self.n < self._n_min
        if not self._may_fall:
            self._kept.clear()

    @property
    def verdict(self) -> SeriesVerdict:
        """What stands after the regular looks so far."""
        return self._verdict(self._looks.standing if self._looks else None)

    def finish(self) -> SeriesVerdict:
        """Return what stands when the series ends here, with one more look at its end.

        That look leaves no trace: after it more readings may follow, and the verdict is then that of the whole
        series, as if `finish` had not been called.
        """
        spacing = self.n / max(self._readings - 1, 1)
        return self._verdict(self._looks.at_end(self.n, spacing) if self._looks else None)

    def _verdict(self, standing: Standing | None) -> SeriesVerdict:
        if self._n_min is None:
            return SeriesVerdict(Verdict.INCONCLUSIVE, SeriesState.NO_HORIZON, cycles=int(self.n))
        if standing is None:
            needed = math.ceil(self._n_min - self.n)
            return SeriesVerdict(
                Verdict.INCONCLUSIVE,
                SeriesState.FEW_CYCLES,
                needed=needed,
                cycles=int(self.n),
                n_min=self._n_min,
            )
        return verdict_of(standing, n_min=self._n_min)


_STATES = {
    LookOutcome.LEAK: (Verdict.LEAK, SeriesState.STEADY),
    LookOutcome.CLEAN: (Verdict.CLEAN, SeriesState.FLAT),
    LookOutcome.SETTLING: (Verdict.SETTLING, SeriesState.SLOWING),
    LookOutcome.TOO_FEW: (Verdict.INCONCLUSIVE, SeriesState.FEW_READINGS),
    LookOutcome.EARLY: (Verdict.INCONCLUSIVE, SeriesState.EARLY),
    LookOutcome.UNSTEADY: (Verdict.INCONCLUSIVE, SeriesState.UNSTEADY),
    LookOutcome.UNDECIDED: (Verdict.INCONCLUSIVE, SeriesState.UNDECIDED),
}


_GROWS = (LookOutcome.SETTLING, LookOutcome.UNSTEADY)


def verdict_of(standing: Standing, *, n_min: float, run: int = 0) -> SeriesVerdict:
    """Return what stands in one run as plain numbers."""
    look = standing.look
    finding = LookOutcome(int(look.finding[run]))
    verdict, state = _STATES[finding]
    has_rate = finding is not LookOutcome.TOO_FEW
    is_leak, decides = finding is LookOutcome.LEAK, finding in (LookOutcome.LEAK, LookOutcome.CLEAN)
    has_ended = is_leak and not math.isnan(standing.until[run])
    is_decided = decides or finding is LookOutcome.SETTLING
    return SeriesVerdict(
        verdict,
        state,
        rate=float(look.rate[run]) if has_rate else None,
        low=float(look.low[run]) if has_rate else None,
        high=float(look.high[run]) if has_rate else None,
        decided_at=int(standing.decided_at[run]) if is_decided else None,
        since=math.ceil(look.since[run]) if is_leak else None,
        until=int(standing.until[run]) if has_ended else None,
        needed=None if decides else math.ceil(look.needed[run]),
        is_growing=bool(standing.is_growing[run]) if is_leak else finding in _GROWS,
        judged_at=int(look.end) if has_rate else None,
        cycles=int(look.n / 2) if finding is LookOutcome.CLEAN else int(look.end),
        tolerance=look.tolerance,
        n_min=n_min,
    )


def check_series(
    iterations: Numbers,
    values: Numbers,
    *,
    after: float = -math.inf,
    name_row: NameRow = lambda row: f"row {row + 1}",
) -> tuple[FloatArray, FloatArray]:
    """Both columns as ``(m,)`` float64, or SeriesError naming the first row that cannot be judged.

    Every number must be finite, and the iterations must ascend, the first one from above ``after``.
    """
    if len(iterations) != len(values):
        raise SeriesError(f"{len(iterations)} iterations, but {len(values)} values: one of each is needed per reading")
    at = _numbers(iterations, "iteration", name_row)
    read = _numbers(values, "value", name_row)
    ascends = at[1:] > at[:-1]
    if at.size and not (at[0] > after and ascends.all()):
        row = int(np.argmin(np.concatenate(([at[0] > after], ascends))))
        before = at[row - 1] if row else after
        fault = "appears twice" if at[row] == before else f"comes after {before:.15g}; sort the readings"
        raise SeriesError(f"{name_row(row)}: iteration {at[row]:.15g} {fault}")
    return at, read


def _numbers(column: Numbers, name: str, name_row: NameRow) -> FloatArray:
    try:
        numbers = np.array(column, dtype=np.float64).reshape(len(column))
    except (TypeError, ValueError):
        numbers = np.array([_number_or_nan(entry) for entry in column])
    are_finite = np.isfinite(numbers)
    if not are_finite.all():
        row = int(np.argmin(are_finite))
        raise SeriesError(f"{name_row(row)}: the {name} {column[row]!r} is not a finite number")
    return numbers


def _number_or_nan(entry: object) -> float:
    try:
        return float(entry)  # type: ignore[arg-type]  # whatever is not a number is what this looks for
    except (TypeError, ValueError):
        return math.nan
