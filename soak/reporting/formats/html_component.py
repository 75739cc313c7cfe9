"""One component's section of ``report.html``: what ``templates/component.html`` shows of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from soak.attribution.grouping import group_causes
from soak.attribution.pointers.reference_cycles import describe_ring
from soak.measurements import SIGNALS
from soak.reporting import words as say
from soak.reporting.figures.flame import flame_graph
from soak.reporting.figures.holder_chain import chain_figure
from soak.reporting.figures.plot import inline
from soak.reporting.formats.html_cause import CauseView, view_causes
from soak.reporting.outcome import excuse
from soak.reporting.templating import OwnMarkup
from soak.reporting.words.audit import AUDIT_TITLES, audit_rows, audit_sentence
from soak.reporting.words.paths import short_file
from soak.results import ComponentResult, Failure, Garbage, RssAudit, SignalResult, TracemallocResult
from soak.units import format_number, format_size

_MOST_CAUSES = 3
"""More are folded."""
_MOST_FRAMES, _LAST_LINES = 60, 12


@dataclass(frozen=True)
class FailureView:
    """How it failed: texts of more than one line, empty if there is nothing to show."""

    detail: str
    frames: str
    written: str


@dataclass(frozen=True)
class AuditView:
    """Where RSS went; without a figure where it hardly changed."""

    sentence: str
    figure: OwnMarkup | None
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class GrowingLine:
    """A Python line that tracemalloc blames, and its growth per cycle."""

    place: str
    short_place: str
    bytes: str
    blocks: str


@dataclass(frozen=True)
class TracemallocView:
    """Growth by Python line."""

    title: str
    lines: list[GrowingLine]


@dataclass(frozen=True)
class SignalRow:
    """A signal in the table of what was measured."""

    title: str
    verdict: str
    symbol: str
    growth: str
    first: str
    last: str
    role: str
    reason: str


@dataclass(frozen=True)
class ComponentView:
    """What the page shows of a component, in the order in which it is shown."""

    anchor: str
    name: str
    verdict: str
    symbol: str
    sentence: str
    remarks: list[str]
    needed: str | None
    messages: Sequence[str]
    failure: FailureView | None
    causes: list[CauseView]
    more_causes: str | None
    other_causes: list[CauseView]
    survivors: OwnMarkup | None
    figure: OwnMarkup | None
    audit: AuditView | None
    tracemalloc: TracemallocView | None
    garbage: OwnMarkup | None
    signals: list[SignalRow]
    ran: str
    output: str


def view_component(
    component: ComponentResult, anchor: str, figure: str | None, audit_figure: str | None, known: Collection[str]
) -> ComponentView:
    """Say all that the page shows of a component; ``figure`` and ``audit_figure`` are SVG."""
    groups = group_causes(component.causes)
    causes = view_causes(groups, known, component.cycle_noun)
    return ComponentView(
        anchor=anchor,
        name=component.name,
        verdict=component.verdict,
        symbol=say.SYMBOLS[component.verdict],
        sentence=say.component_sentence(component),
        remarks=_remarks(component, known),
        needed=say.needed_command(component),
        messages=(*say.role_sentences(component), *component.messages),
        failure=None if component.failure is None else _failure(component, component.failure),
        causes=causes[:_MOST_CAUSES],
        more_causes=say.more_causes_sentence(groups[_MOST_CAUSES:], component.cycle_noun),
        other_causes=causes[_MOST_CAUSES:],
        survivors=_inline(flame_graph(component.causes)),
        figure=_inline(figure),
        audit=None if component.audit is None else _audit(component.audit, audit_figure),
        tracemalloc=None if component.tracemalloc is None else _tracemalloc(component.tracemalloc),
        garbage=None if component.garbage is None else _garbage(component.garbage),
        signals=[_signal(name, signal, component.cycle_noun) for name, signal in component.signals.items()],
        ran=_ran(component),
        output=component.output_tail if component.output_tail.strip() else "",
    )


def _inline(figure: str | None) -> OwnMarkup | None:
    return inline(figure) if figure else None


def _remarks(component: ComponentResult, known: Collection[str]) -> list[str]:
    excused = excuse(component, known)
    remarks = (
        say.why_sentence(component),
        say.lookalike_sentence(component),
        say.excuse_sentence(excused) if excused else None,
    )
    return [remark for remark in remarks if remark]


def _ran(component: ComponentResult) -> str:
    sentences = (
        say.stop_sentence(component),
        say.pacing_sentence(component.pacing),
        say.pauses_sentence(component.pauses, component.cycle_noun),
        say.overhead_sentence(component),
        say.tracker_sentence(component.tracker),
        say.limits_sentence(component),
    )
    return " ".join(filter(None, sentences))


def _failure(component: ComponentResult, failure: Failure) -> FailureView:
    return FailureView(
        detail=failure.detail if len(failure.detail.splitlines()) > 1 else "",  # one line stands above
        frames="\n".join(say.telling_frames(failure, _MOST_FRAMES)),
        written="\n".join(say.last_written(component, _LAST_LINES)),
    )


def _audit(audit: RssAudit, figure: str | None) -> AuditView:
    return AuditView(audit_sentence(audit), _inline(figure), AUDIT_TITLES, audit_rows(audit))


def _tracemalloc(result: TracemallocResult) -> TracemallocView:
    return TracemallocView(
        title=f"Growth by Python line (tracemalloc, second pass of {say.count_words(result.iterations, 'cycle')})",
        lines=[
            GrowingLine(
                place=f"{line.file}:{line.line}",
                short_place=f"{short_file(line.file)}:{line.line}",
                bytes=format_number(line.bytes_per_iteration),
                blocks=format_number(line.blocks_per_iteration),
            )
            for line in result.top
        ],
    )


def _garbage(garbage: Garbage) -> OwnMarkup | None:
    if not garbage.ring:
        return None
    return _inline(chain_figure(garbage.ring, f"A reference cycle: {describe_ring(garbage.ring)}", is_ring=True))


def _signal(name: str, signal: SignalResult, noun: str) -> SignalRow:
    return SignalRow(
        title=SIGNALS[name].title if name in SIGNALS else name,
        verdict=signal.verdict,
        symbol=say.SYMBOLS[signal.verdict],
        growth=say.signal_cell(signal),
        first=_level(signal.first, signal.unit),
        last=_level(signal.last, signal.unit),
        role=signal.role,
        reason="" if signal.series is None else say.signal_sentence(name, signal.series, noun),
    )


def _level(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return format_size(value) if unit == "bytes" else format_number(value)
