"""``report.html``: one self-contained page, no script, no network, for screen and paper.

What a tired reader needs comes first: the run in one sentence, a line per component with the worst on top, and for
each that is not clean what grows, from where, and what to do. The evidence follows below it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from soak.attribution.reference_cycles import describe_ring
from soak.measurements import SIGNALS
from soak.reporting import words as say
from soak.reporting.figures.flame import flame_graph
from soak.reporting.figures.holder_chain import chain_figure
from soak.reporting.figures.svg import inline
from soak.reporting.formats.stylesheet import page_css
from soak.reporting.markup import Markup, element, join
from soak.reporting.outcome import excuse, known_fingerprints, worst_first
from soak.reporting.words.audit import AUDIT_TITLES, audit_rows, audit_sentence
from soak.reporting.words.paths import own_frame, short_file, short_frame
from soak.results import (
    Cause,
    ChainNode,
    ComponentResult,
    Controls,
    Failure,
    Garbage,
    Parts,
    Place,
    RssAudit,
    RunResult,
    TracemallocResult,
)
from soak.units import format_count, format_duration, format_number, format_size
from soak.verdict import Verdict

_NUMBER, _MINOR = "number", "minor"
_NOTHING: tuple[Any, ...] = (None, {}, [])
_MOST_CAUSES = 3
"""More are folded."""
_MOST_FRAMES, _LAST_LINES = 60, 12
_FRAMES_AT_ONCE, _FRAMES_NOT_FOLDED = 10, 4
"""Frames of a cause's stack that are not folded away; and how few are not worth folding."""
_INDEX = re.compile(r"\[\d+\]")


def render_html(
    result: RunResult,
    figures: Mapping[str, str],
    parts_figure: str | None = None,
    audit_figures: Mapping[str, str] | None = None,
) -> str:
    """Write a run as one HTML page.

    ``figures`` maps a component's name to its SVG (as ``figures.component_figure`` gives it), for those that have
    one; ``parts_figure`` is the sum of the parts, ``audit_figures`` where RSS went, by component. Whatever the run's
    texts contain is escaped.
    """
    known = known_fingerprints(result)
    ordered = worst_first(result)
    anchors = {component.name: f"component-{position}" for position, component in enumerate(ordered)}
    sections = [
        _component(
            component,
            anchors[component.name],
            figures.get(component.name),
            _audit(component.audit, (audit_figures or {}).get(component.name)),
            known,
        )
        for component in ordered
    ]
    body = element(
        "main",
        _head(result),
        _overview(ordered, anchors, known, say.planted_components(result)) if ordered else None,
        *sections,
        _parts(result.parts, parts_figure, say.planted_components(result)) if result.parts is not None else None,
        _controls(result.controls),
        _run(result),
    )
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", f"soak: {say.headline(result)}"),
        element("style", Markup(page_css())),
    )
    return f"<!DOCTYPE html>\n{element('html', head, element('body', body), lang='en')}\n"


def _head(result: RunResult) -> Markup:
    unfinished = say.state_sentence(result)
    alarm = result.controls is not None and not result.controls.ok
    return join(
        element("p", say.controls_sentence(result.controls), class_="alarm") if alarm else None,
        element("p", unfinished, class_="alarm") if unfinished else None,
        element("p", f"soak {result.soak} · run {result.run} · {say.when_words(result)}", class_="about"),
        element("h1", say.headline(result)),
    )


def _overview(
    components: Sequence[ComponentResult], anchors: Mapping[str, str], known: Collection[str], planted: Collection[str]
) -> Markup:
    rows = [
        (
            element("a", component.name, href=f"#{anchors[component.name]}"),
            join(_badge(component.verdict), _reason(say.asides(component, known, planted))),
            _growth(component),
            say.decided_cell(component),
            format_count(component.iterations),
            format_duration(component.seconds),
        )
        for component in components
    ]
    titles = ("component", "verdict", "growth", "decided by", "cycles", "time")
    return _table(titles, rows, numbers=(4, 5), minor=(3, 4, 5))


def _growth(component: ComponentResult) -> Markup:
    """Give the growth for the overview; a narrow page shows the rate without its interval."""
    rate, whole = say.growth_cell(component, brief=True), say.growth_cell(component)
    rest = whole.removeprefix(rate)
    return join(whole) if rest in ("", whole) else join(rate, element("span", rest, class_=_MINOR))


def _component(
    component: ComponentResult, anchor: str, figure: str | None, audit: Markup | None, known: Collection[str]
) -> Markup:
    why, excused = say.why_sentence(component), excuse(component, known)
    needed, caveat = say.needed_command(component), say.lookalike_sentence(component)
    return element(
        "section",
        element("div", element("h2", component.name), _badge(component.verdict), class_="title"),
        element("p", say.component_sentence(component), class_="lead"),
        element("p", why) if why else None,
        element("p", caveat) if caveat else None,
        element("p", say.excuse_sentence(excused)) if excused else None,
        element("p", "To decide it: ", element("code", needed)) if needed else None,
        *(element("p", message, class_="note") for message in component.messages),
        _failure(component, component.failure) if component.failure is not None else None,
        _causes(component.causes, known),
        _survivors(component),
        element("figure", Markup(inline(figure))) if figure else element("p", "Nothing was read.", class_="note"),
        audit,
        _tracemalloc(component.tracemalloc) if component.tracemalloc is not None else None,
        _garbage(component.garbage) if component.garbage is not None else None,
        element("details", element("summary", "What was measured"), _evidence(component), class_="measured"),
        id=anchor,
    )


def _audit(audit: RssAudit | None, figure: str | None) -> Markup | None:
    """Show where RSS went: in one line where it hardly changed."""
    if audit is None:
        return None
    if figure is None:
        return element("p", audit_sentence(audit), class_="note")
    return join(
        element("h3", "Where RSS went"),
        element("p", audit_sentence(audit)),
        element("figure", Markup(inline(figure))),
        _table(AUDIT_TITLES, audit_rows(audit), numbers=(1, 2, 3, 4)),
    )


def _survivors(component: ComponentResult) -> Markup | None:
    flames = flame_graph(component.causes)
    if flames is None:
        return None
    return join(element("h3", "What survives, by call path (callers on top)"), element("figure", Markup(flames)))


def _evidence(component: ComponentResult) -> Markup:
    ran = (
        say.stop_sentence(component),
        say.pacing_sentence(component.pacing),
        say.overhead_sentence(component),
        say.tracker_sentence(component.tracker),
    )
    return join(
        _signals(component) if component.signals else None,
        element("p", " ".join(ran), class_="note"),
        join(element("h3", "The last of its output"), element("pre", component.output_tail))
        if component.output_tail.strip()
        else None,
    )


def _signals(component: ComponentResult) -> Markup:
    rows = [
        (
            SIGNALS[name].title if name in SIGNALS else name,
            _badge(signal.verdict),
            say.signal_cell(signal),
            _level(signal.first, signal.unit),
            _level(signal.last, signal.unit),
            signal.role,
        )
        for name, signal in component.signals.items()
    ]
    reasons = [
        "" if signal.series is None else say.signal_sentence(name, signal.series, component.cycle_noun)
        for name, signal in component.signals.items()
    ]
    titles = ("signal", "verdict", "growth", "first", "last", "role")
    return join(element("h3", "Signals"), _table(titles, rows, numbers=(3, 4), minor=(3, 4, 5), notes=reasons))


def _causes(causes: Sequence[Cause], known: Collection[str]) -> Markup:
    """Show the causes, many of them folded; objects of one cycle are often held in one way, which is drawn once."""
    drawn: set[object] = set()
    shown = []
    for cause in causes:
        way, ring = _outline(cause.chain), _outline(cause.ring)
        shown.append(_cause(cause, draws=(way, frozenset(ring)) not in drawn, is_known=cause.fingerprint in known))
        drawn.update((way[:length], frozenset(ring)) for length in range(len(way) + 1))
    first, others = shown[:_MOST_CAUSES], shown[_MOST_CAUSES:]
    more = say.more_causes_sentence(causes[_MOST_CAUSES:])
    return join(*first, element("details", element("summary", more), *others) if more else None)


def _outline(nodes: Sequence[ChainNode]) -> tuple[tuple[str, str], ...]:
    return tuple((_INDEX.sub("[]", node.name), node.type) for node in nodes if node.name)


def _cause(cause: Cause, *, draws: bool, is_known: bool) -> Markup:
    held_by = say.held_by(cause)
    way = chain_figure(cause.chain, f"Who holds it: {' → '.join(held_by)}") if draws else None
    ring = None
    if draws and cause.ring:
        ring = chain_figure(cause.ring, f"A reference cycle: {describe_ring(cause.ring)}", is_ring=True)
    return element(
        "div",
        element("p", element("strong", say.cause_sentence(cause))),
        element("p", say.advise(cause)),
        element("p", "Accepted: this growth is listed as known.") if is_known else None,
        element("p", " · ".join(say.cause_facts(cause)), class_="note"),
        join(element("h3", f"{say.stack_title(cause)}, innermost first"), *_stack(cause.frames))
        if cause.frames
        else None,
        element("h3", "Held by") if held_by else None,
        element("pre", "\n".join(held_by)) if held_by and way is None else None,
        *(element("figure", figure) for figure in (way, ring) if figure is not None),
        class_="cause" if cause.confirmed else "cause suspected",
    )


def _stack(stack: Sequence[Place]) -> Iterator[Markup]:
    """Give a stack's lines, the first in a person's own Python code in bold; what called that is folded where long."""
    own = own_frame(stack)
    nearest = max(_FRAMES_AT_ONCE, stack.index(own) + 1 if own is not None else 0)
    if len(stack) <= nearest + _FRAMES_NOT_FOLDED:
        nearest = len(stack)
    yield element("pre", *_frames(stack[:nearest], own))
    if callers := stack[nearest:]:
        yield element(
            "details", element("summary", f"… {len(callers)} more callers"), element("pre", *_frames(callers, own))
        )


def _frames(stack: Sequence[Place], own: Place | None) -> Iterator[str]:
    for number, frame in enumerate(stack):
        yield "\n" if number else ""
        yield element("b", short_frame(frame)) if frame is own else short_frame(frame)


def _garbage(garbage: Garbage) -> Markup | None:
    if not garbage.ring:
        return None
    figure = chain_figure(garbage.ring, f"A reference cycle: {describe_ring(garbage.ring)}", is_ring=True)
    return join(element("h3", "A reference cycle that collections remove"), element("figure", figure))


def _tracemalloc(result: TracemallocResult) -> Markup:
    heading = f"Growth by Python line (tracemalloc, second pass of {say.count_words(result.iterations, 'cycle')})"
    if not result.top:
        return join(element("h3", heading), element("p", "No Python line grows."))
    rows = [
        (
            element("code", f"{short_file(line.file)}:{line.line}", title=f"{line.file}:{line.line}"),
            format_number(line.bytes_per_iteration),
            format_number(line.blocks_per_iteration),
        )
        for line in result.top
    ]
    return join(element("h3", heading), _table(("line", "B/cycle", "blocks/cycle"), rows, numbers=(1, 2)))


def _failure(component: ComponentResult, failure: Failure) -> Markup:
    frames = say.telling_frames(failure, _MOST_FRAMES)
    said = say.last_written(component, _LAST_LINES)
    return join(
        element("pre", failure.detail) if len(failure.detail.splitlines()) > 1 else None,  # one line stands above
        join(element("h3", "Where it was"), element("pre", "\n".join(frames))) if frames else None,
        join(element("h3", "The last it wrote"), element("pre", "\n".join(said))) if said else None,
    )


def _parts(parts: Parts, figure: str | None, planted: Collection[str]) -> Markup:
    with_plants = [say.printable(part.name) for part in parts.each if part.name in planted]
    return element(
        "section",
        element("h2", "The full cycle against the sum of its parts"),
        element("p", say.combination_sentence(parts)),
        element("p", f"A leak was planted in {' and '.join(with_plants)} alone.") if with_plants else None,
        element("figure", Markup(inline(figure))) if figure else None,
        element("p", say.parts_sentence(parts), class_="note"),
    )


def _controls(controls: Controls | None) -> Markup:
    return element(
        "section",
        element("h2", "Controls"),
        element("p", say.controls_sentence(controls)),
        _controls_table(controls) if controls is not None else None,
    )


def _controls_table(controls: Controls) -> Markup:
    blank, spike = controls.blank, controls.spike
    blank_rate = (
        "–" if blank.rate is None else f"{format_number(blank.rate)}{say.interval_words(blank.low, blank.high)} B"
    )
    found = [
        f"{format_number(recovered)} of {format_number(planted)} {measure}"
        for recovered, planted, measure in (
            (spike.recovered_requested, spike.planted_requested, "requested"),
            (spike.recovered_allocated, spike.planted_allocated, "allocated"),
        )
        if recovered is not None
    ]
    rows = [
        ("blank: an empty cycle", _passed(blank.ok), blank_rate, format_count(blank.iterations)),
        ("spike: planted memory", _passed(spike.ok), ", ".join(found) or "–", format_count(spike.iterations)),
    ]
    rows += [
        (
            f"spike: planted {say.planted_words(each.kind)}",
            _passed(each.ok),
            "–"
            if each.recovered is None
            else f"{format_number(each.recovered)} of {format_number(each.planted)} {each.unit}",
            format_count(each.iterations),
        )
        for each in spike.of_kinds
    ]
    checks = [(blank.ok, blank.detail), (spike.ok, spike.detail), *((each.ok, each.detail) for each in spike.of_kinds)]
    notes = [None if ok else detail for ok, detail in checks]
    return _table(("control", "result", "found per cycle", "cycles"), rows, numbers=(3,), notes=notes)


def _run(result: RunResult) -> Markup:
    settings = {name: value for name, value in result.settings.items() if name != "command"}
    return element(
        "section",
        element("h2", "This run"),
        element("h3", "Run it again"),
        element("pre", say.command_line(result)),
        element("h3", "Settings"),
        _definitions(settings),
        element("h3", "Environment"),
        _definitions(result.environment),
        element("h3", "Words"),
        element("p", _WORDS, class_="note"),
    )


_WORDS = (
    "A cycle is one call of the component. LEAK: it grows at one rate that does not slow down. CLEAN: it was shown not "
    "to grow by more than the tolerance. SETTLING: it grows, but ever more slowly, like a cache that fills. "
    "INCONCLUSIVE: neither could be shown yet. FAILED: the driver did not come to its end. In a figure the shaded "
    "windows are the stretches on which the fitted rate rests, and the dotted line is growth at the tolerance. A "
    "signal that decides can make a verdict, one that alarms can only raise LEAK, and one that informs is shown."
)


def _badge(verdict: Verdict) -> Markup:
    return element("span", element("b", say.SYMBOLS[verdict]), f" {verdict}", class_=f"badge {verdict}")


def _reason(aside: str | None) -> Markup | None:
    return None if aside is None else element("span", f" {aside}", class_="note")


def _passed(ok: bool) -> Markup:
    return element("span", "passed" if ok else "FAILED", class_="badge CLEAN" if ok else "badge FAILED")


def _level(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return format_size(value) if unit == "bytes" else format_number(value)


def _table(
    titles: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    minor: Collection[int] = (),
    notes: Sequence[str | None] = (),
) -> Markup:
    """Make a table. ``numbers``: columns set right; ``minor``: not on a narrow page; ``notes``: a line below a row."""

    def row(name: str, cells: Sequence[str], class_: str | None = None) -> Markup:
        def cell(position: int, text: str) -> Markup:
            names = [_NUMBER] * (position in numbers) + [_MINOR] * (position in minor)
            return element(name, text, class_=" ".join(names) or None, scope="col" if name == "th" else None)

        return element("tr", *(cell(position, text) for position, text in enumerate(cells)), class_=class_)

    body = []
    for cells, note in zip_longest(rows, notes):
        body.append(row("td", cells, "noted" if note else None))
        if note:
            body.append(element("tr", element("td", note, colspan=str(len(titles)), class_="note")))
    head = element("thead", row("th", titles))
    return element("div", element("table", head, element("tbody", *body)), class_="scroll")


def _definitions(values: Mapping[str, Any]) -> Markup:
    if not values:
        return element("p", "None recorded.", class_="note")
    return element("dl", *(_definition(name, value) for name, value in values.items() if value not in _NOTHING))


def _definition(name: str, value: Any) -> Markup:
    """Show what a configuration may hold: a table for a group of like tables, a list for a table, else plain text."""
    if not isinstance(value, Mapping):
        return join(element("dt", name), element("dd", _plain(name, value)))
    if not all(isinstance(row, Mapping) for row in value.values()):
        return join(element("dt", name), element("dd", _definitions(value)))
    titles = [title for title in dict.fromkeys(title for row in value.values() for title in row)
              if any(row.get(title) not in _NOTHING for row in value.values())]  # fmt: skip
    rows = [[each, *(_plain(title, row.get(title)) for title in titles)] for each, row in value.items()]
    return join(element("dt", name), element("dd", _table(["", *titles], rows), class_="wide"))


def _plain(name: str, value: Any) -> str:
    if value in _NOTHING:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return format_size(value) if name == "memory_bytes" else format_count(value)
    if isinstance(value, float):
        return format_number(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
