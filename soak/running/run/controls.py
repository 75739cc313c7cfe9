"""The controls of every run: a blank (nothing grows) and spikes (planted leaks of known size, one of each kind).

What rests on a signal whose control failed is not proven: see `soak.analysis.decide`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeVar

from soak.attribution.rounding import chunk_bytes
from soak.inside.injection import CONTROL
from soak.measurements import SIGNALS
from soak.request import Injection
from soak.results import Blank, Controls, SignalSpike, Spike
from soak.running.component.supervisor import Observations, RunContext, soak_component
from soak.settings import ComponentPlan
from soak.targets import EMPTY
from soak.units import format_number
from soak.verdict import SeriesVerdict, Verdict

PLANTED_BYTES = 106
RECOVERED_WITHIN = 0.02
BLANK_RATE_BYTES = 0.05
_ITERATIONS = 16384
_N_MIN = 2048
_SPIKE_ITERATIONS, _SPIKE_N_MIN = 4096, 512
_CHECKPOINTS = 64
"""As many as the rule needs for one look at the end, a whole number of planted leaks apart."""
_AT_ONCE = 2


# Threads take Python blocks and mappings with them, and objects an arena, which is a mapping: a step of 1 MiB at some
# time or other. So threads are planted alone, and so are mappings.
_ALONE = (("thread", 1, 64), ("mmap", 16384, 16))
_SIGNALS = {"object": "python_blocks", "fd": "fds", "child": "children", "mmap": "mapped", "thread": "threads"}
"""By which signal each kind is found again."""


def run_controls(context: RunContext) -> Controls:
    """Measure all controls, each in a fresh process; about a second in all."""
    plan = ComponentPlan(
        EMPTY,
        iterations=_ITERATIONS,
        early_stop=False,
        n_min=_N_MIN,
        checkpoint_every=_ITERATIONS // _CHECKPOINTS,
    )
    native = replace(plan, injection=Injection("native", PLANTED_BYTES))
    short = replace(
        plan,
        iterations=_SPIKE_ITERATIONS,
        n_min=_SPIKE_N_MIN,
        checkpoint_every=_SPIKE_ITERATIONS // _CHECKPOINTS,
    )
    many = replace(short, injection=Injection("control", 1))

    def soak(plan: ComponentPlan) -> Observations:
        return soak_component(plan, context, audits=False)

    def planted_alone(one: tuple[str, int, int]) -> tuple[SignalSpike, ...]:
        return _judge_kinds([one], soak(replace(short, injection=Injection(*one))))

    # A measured process dies with the thread that started it; the pool's stay until all are done.
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        blank = pool.submit(_repeated, lambda: _judge_blank(soak(plan)))
        spike = pool.submit(_repeated, lambda: _judge_spike(soak(native)))
        of_kinds = pool.submit(_repeated_kinds, lambda: _judge_kinds(CONTROL, soak(many)))
        alone = [pool.submit(_repeated_kinds, partial(planted_alone, one)) for one in _ALONE]
        kinds = [kind for kinds in (of_kinds, *alone) for kind in kinds.result()]
    return Controls(blank.result(), replace(spike.result(), of_kinds=tuple(kinds)))


_Record = TypeVar("_Record", Blank, Spike)


def _repeated(measure: Callable[[], _Record]) -> _Record:
    """Return a control; one that fails is measured once more.

    A machine that is held up may read too little the first time; whatever is wrong with it is so the second time too.
    """
    first = measure()
    return first if first.ok else measure()


def _repeated_kinds(measure: Callable[[], tuple[SignalSpike, ...]]) -> tuple[SignalSpike, ...]:
    """Return spikes of several kinds; where one fails, all are measured once more."""
    first = measure()
    return first if all(each.ok for each in first) else measure()


def _judge_blank(observed: Observations) -> Blank:
    series = observed.decision.series
    heap = series.get("heap")
    others = {name for name, verdict in series.items() if verdict.verdict is Verdict.LEAK}
    if observed.failure is not None or heap is None or heap.rate is None or heap.low is None or heap.high is None:
        failed = _in_order(others | {"heap"})
        return Blank(False, None, None, None, None, observed.iterations, _unmeasured(observed), failed)
    # Between two readings the counter resolves no less than its grain, over the half of the run that is compared.
    limit = max(abs(heap.low), abs(heap.high)) + 2 * SIGNALS["heap"].grain / (observed.iterations / 2)
    failed = _in_order(others | ({"heap"} if abs(heap.rate) >= BLANK_RATE_BYTES else set()))
    detail = f"an empty cycle grows by {format_number(heap.rate)} B"
    if others:
        detail += f"; {', '.join(_in_order(others))} grow"
    return Blank(not failed, limit, heap.rate, heap.low, heap.high, observed.iterations, detail, failed)


def _judge_spike(observed: Observations) -> Spike:
    planted = chunk_bytes(PLANTED_BYTES)
    series = observed.decision.series
    heap, tracked = series.get("heap"), series.get("tracked")
    failed = set()
    if observed.failure is not None or heap is None or heap.rate is None:
        detail = _unmeasured(observed)
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
    return Spike(not failed, PLANTED_BYTES, planted, requested, allocated, observed.iterations, detail, wanting)


def _judge_kinds(planted: Iterable[tuple[str, int, int]], observed: Observations) -> tuple[SignalSpike, ...]:
    """Return what each signal made of what was planted: kind, size and cycles between two of them."""
    return tuple(_judge_kind(kind, size if kind == "mmap" else 1, every, observed) for kind, size, every in planted)


def _judge_kind(kind: str, amount: int, every: int, observed: Observations) -> SignalSpike:
    name, planted = _SIGNALS[kind], amount / every
    signal, series = SIGNALS[name], observed.decision.series.get(name)
    rate = series.rate if series is not None else None
    if observed.failure is not None:
        detail = f"the control's process failed: {observed.failure.detail}"
    elif series is None or rate is None:
        detail = f"{signal.title} could not be read"
    else:
        verdict = series.verdict.value
        detail = f"{format_number(rate)} of {format_number(planted)} {signal.unit} per cycle recovered, {verdict}"
    ok = series is not None and _recovers(series, planted)
    return SignalSpike(ok, name, kind, signal.unit, planted, rate, observed.iterations, detail)


def _in_order(names: set[str]) -> tuple[str, ...]:
    return tuple(name for name in SIGNALS if name in names)


def _recovers(series: SeriesVerdict, planted: float) -> bool:
    close = series.rate is not None and abs(series.rate - planted) <= RECOVERED_WITHIN * planted
    return close and series.verdict is Verdict.LEAK


def _unmeasured(observed: Observations) -> str:
    if observed.failure is not None:
        return f"the control's process failed: {observed.failure.detail}"
    return "malloc's heap in use could not be read: no glibc, or an allocator in its place"
