"""The controls of every run: a blank (nothing grows) and spikes (planted leaks of known size, one of each kind).

What rests on a signal whose control failed is not proven: see `soak.analysis.decision.rules.controls`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from soak.analysis.series import SeriesJudge
from soak.attribution.rounding import chunk_bytes
from soak.measurements import SIGNALS
from soak.results import Blank, Controls, Failure, SignalSpike, Spike
from soak.running.context import RunContext
from soak.running.run.control_process import Stretch, measure_stretches
from soak.settings import DEFAULT_TOLERANCE_BYTES
from soak.units import format_number
from soak.verdict import SeriesVerdict, Verdict

PLANTED_BYTES = 106
RECOVERED_WITHIN = 0.02
BLANK_RATE_BYTES = 0.05
_SIGNALS = {"object": "python_blocks", "fd": "fds", "child": "children", "mmap": "mapped", "thread": "threads"}
"""By which signal each kind is found again."""


def run_controls(context: RunContext) -> Controls:
    """Measure all controls, in one process; about half a second.

    A control that fails is measured once more. A machine that is held up may read too little the first time; whatever
    is wrong with it is so the second time too. Raises OSError when the process cannot be started.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    first = judge_stretches(measure_stretches(context))
    return replace(
        first if first.ok else _best_of(first, judge_stretches(measure_stretches(context))), measured=started
    )


def judge_stretches(stretches: list[Stretch]) -> Controls:
    """Return what was found of what each stretch of the control process planted."""
    blank, native, *others = stretches
    kinds = [kind for stretch in others for kind in _judge_kinds(stretch)]
    return Controls(_judge_blank(blank), replace(_judge_spike(native), of_kinds=tuple(kinds)))


def _best_of(first: Controls, second: Controls) -> Controls:
    """Return each control as the first measurement found it, or where it failed there as the second did."""
    one, other = first.spike, second.spike
    kinds = tuple(a if a.ok else b for a, b in zip(one.of_kinds, other.of_kinds, strict=True))
    return Controls(first.blank if first.blank.ok else second.blank, replace(one if one.ok else other, of_kinds=kinds))


def _judge_series(stretch: Stretch, names: Iterable[str]) -> dict[str, SeriesVerdict]:
    """Judge signals of a stretch at its end, by the rule that a component is judged by.

    n_min are all cycles of the stretch: it has as many readings as one look needs, so no earlier look sees anything.
    """
    judged = {}
    for name in names:
        signal = SIGNALS[name]
        tolerance = DEFAULT_TOLERANCE_BYTES if signal.tolerance is None else signal.tolerance
        judge = SeriesJudge(tolerance, stretch.cycles, signal.grain)
        read = [(one.cycle, one.values[name]) for one in stretch.readings if name in one.values]
        judge.extend([cycle for cycle, _ in read], [value for _, value in read])
        if read:
            judged[name] = judge.finish()
    return judged


def _rising(stretch: Stretch) -> set[str]:
    """Return the signals, but for the heap, that were above their first value: no other one can leak."""
    first: dict[str, float] = {}
    for reading in stretch.readings:
        first = {**reading.values, **first}
    return {n for each in stretch.readings for n, value in each.values.items() if value > first[n]} - {"heap"}


def _judge_blank(stretch: Stretch) -> Blank:
    series = _judge_series(stretch, ["heap", *_rising(stretch)])
    heap = series.get("heap")
    others = {name for name, verdict in series.items() if verdict.verdict is Verdict.LEAK}
    if stretch.failure is not None or heap is None or heap.rate is None or heap.low is None or heap.high is None:
        failed = _in_order(others | {"heap"})
        return Blank(False, None, None, None, None, stretch.cycles, _unmeasured(stretch.failure), failed)
    # Between two readings the counter resolves no less than its grain, over the half of the run that is compared.
    limit = max(abs(heap.low), abs(heap.high)) + 2 * SIGNALS["heap"].grain / (stretch.cycles / 2)
    failed = _in_order(others | ({"heap"} if abs(heap.rate) >= BLANK_RATE_BYTES else set()))
    detail = f"an empty cycle grows by {format_number(heap.rate)} B"
    if others:
        detail += f"; {', '.join(_in_order(others))} grow"
    return Blank(not failed, limit, heap.rate, heap.low, heap.high, stretch.cycles, detail, failed)


def _judge_spike(stretch: Stretch) -> Spike:
    planted = chunk_bytes(PLANTED_BYTES)
    series = _judge_series(stretch, ("heap", "tracked"))
    heap, tracked = series.get("heap"), series.get("tracked")
    failed = set()
    if stretch.failure is not None or heap is None or heap.rate is None:
        detail = _unmeasured(stretch.failure)
        failed.add("heap")
    else:
        detail = f"{format_number(heap.rate)} B per cycle recovered of {planted} B planted, {heap.verdict.value}"
        if not _recovers(heap, planted):
            failed.add("heap")
    requested = tracked.rate if tracked is not None else None
    if tracked is not None:
        shown = "nothing" if requested is None else f"{format_number(requested)} B"
        detail += f"; {shown} of {PLANTED_BYTES} B requested"
        if not _recovers(tracked, PLANTED_BYTES):
            failed.add("tracked")
    allocated = heap.rate if heap is not None else None
    wanting = _in_order(failed)
    return Spike(not failed, PLANTED_BYTES, planted, requested, allocated, stretch.cycles, detail, wanting)


def _judge_kinds(stretch: Stretch) -> list[SignalSpike]:
    """Return what each signal made of what was planted in a stretch."""
    series = _judge_series(stretch, [_SIGNALS[kind] for kind, _, _ in stretch.planted])
    return [
        _judge_kind(kind, (size if kind == "mmap" else 1) / every, series, stretch)
        for kind, size, every in stretch.planted
    ]


def _judge_kind(kind: str, planted: float, judged: Mapping[str, SeriesVerdict], stretch: Stretch) -> SignalSpike:
    name = _SIGNALS[kind]
    signal, series = SIGNALS[name], judged.get(name)
    rate = series.rate if series is not None else None
    if stretch.failure is not None:
        detail = f"the control's process failed: {stretch.failure.detail}"
    elif series is None or rate is None:
        detail = f"{signal.title} could not be read"
    else:
        verdict = series.verdict.value
        detail = f"{format_number(rate)} of {format_number(planted)} {signal.unit} per cycle recovered, {verdict}"
    ok = series is not None and stretch.failure is None and _recovers(series, planted)
    return SignalSpike(ok, name, kind, signal.unit, planted, rate, stretch.cycles, detail)


def _in_order(names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in SIGNALS if name in names)


def _recovers(series: SeriesVerdict, planted: float) -> bool:
    close = series.rate is not None and abs(series.rate - planted) <= RECOVERED_WITHIN * planted
    return close and series.verdict is Verdict.LEAK


def _unmeasured(failure: Failure | None) -> str:
    if failure is not None:
        return f"the control's process failed: {failure.detail}"
    return "malloc's heap in use could not be read: no glibc, or an allocator in its place"
