"""``report.html``: one self-contained page, no script, no network, for screen and paper.

What a tired reader needs comes first: the run in one sentence, a line per component with the worst on top, and for
each that is not clean what grows, from where, and what to do. The evidence follows below it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from soak.attribution.rings import describe_ring
from soak.measurements import SIGNALS
from soak.reporting import sentences as say
from soak.reporting.audit_words import AUDIT_TITLES, audit_rows, audit_sentence
from soak.reporting.chain import chain_figure
from soak.reporting.flame import flame_graph
from soak.reporting.markup import Markup, element, join
from soak.reporting.outcome import excuse, known_fingerprints, worst_first
from soak.reporting.stylesheet import page_css
from soak.reporting.svg import inline
from soak.results import (
    Cause,
    ChainNode,
    ComponentResult,
    Controls,
    Failure,
    Garbage,
    Parts,
    RssAudit,
    RunResult,
    TracemallocResult,
)
from soak.units import format_count, format_duration, format_number, format_size
from soak.verdict import Verdict

_NUMBER = "number"
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
            excuse(component, known),
            _audit(component.audit, (audit_figures or {}).get(component.name)),
        )
        for component in ordered
    ]
    body = element(
        "main",
        _head(result),
        _overview(ordered, anchors, known) if ordered else None,
        *sections,
        _parts(result.parts, parts_figure) if result.parts is not None else None,
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


def _overview(components: Sequence[ComponentResult], anchors: Mapping[str, str], known: Collection[str]) -> Markup:
    rows = [
        (
            element("a", component.name, href=f"#{anchors[component.name]}"),
            join(_badge(component.verdict), _reason(excuse(component, known))),
            say.growth_cell(component),
            say.decided_words(component.decided_by),
            format_count(component.iterations),
            format_duration(component.seconds),
        )
        for component in components
    ]
    titles = ("component", "verdict", "growth", "decided by", "cycles", "time")
    return _table(titles, rows, numbers=(4, 5))


def _component(
    component: ComponentResult, anchor: str, figure: str | None, excused: str | None, audit: Markup | None
) -> Markup:
    why = say.added_why(component)
    needed, caveat = say.needed_sentence(component), say.caveat_sentence(component)
    evidence = _evidence(component)
    clean = component.verdict is Verdict.CLEAN
    return element(
        "section",
        element("div", element("h2", component.name), _badge(component.verdict), class_="title"),
        element("p", say.component_sentence(component), class_="lead"),
        element("p", why) if why else None,
        element("p", caveat) if caveat else None,
        element("p", say.excuse_sentence(excused)) if excused else None,
        element("p", needed) if needed else None,
        *(element("p", message, class_="note") for message in component.messages),
        _failure(component.failure) if component.failure is not None else None,
        *_causes(component.causes),
        _survivors(component),
        element("figure", Markup(inline(figure))) if figure else element("p", "Nothing was read.", class_="note"),
        audit,
        element("details", element("summary", "What was measured"), evidence) if clean else evidence,
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
        _tracemalloc(component.tracemalloc) if component.tracemalloc is not None else None,
        _garbage(component.garbage) if component.garbage is not None else None,
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
            signal.reason,
        )
        for name, signal in component.signals.items()
    ]
    titles = ("signal", "verdict", "growth", "first", "last", "role", "why")
    return join(element("h3", "Signals"), _table(titles, rows, numbers=(3, 4)))


def _causes(causes: Sequence[Cause]) -> Iterator[Markup]:
    """Show the causes; objects of one cycle are often held in one way, which is drawn once."""
    drawn: set[object] = set()
    for cause in causes:
        way, ring = _outline(cause.chain), _outline(cause.ring)
        yield _cause(cause, draws=(way, frozenset(ring)) not in drawn)
        drawn.update((way[:length], frozenset(ring)) for length in range(len(way) + 1))


def _outline(nodes: Sequence[ChainNode]) -> tuple[tuple[str, str], ...]:
    return tuple((_INDEX.sub("[]", node.name), node.type) for node in nodes if node.name)


def _cause(cause: Cause, *, draws: bool) -> Markup:
    facts = (
        ("type", cause.type),
        ("since cycle", None if cause.since is None else format_count(cause.since)),
        ("fingerprint", cause.fingerprint),
    )
    return element(
        "div",
        element("p", element("strong", say.cause_sentence(cause))),
        element("p", cause.advice) if cause.advice else None,
        join(element("h3", f"{say.stack_title(cause)}, innermost first"), element("pre", "\n".join(cause.stack)))
        if cause.stack
        else None,
        join(element("h3", "Held by"), element("pre", "\n".join(cause.held_by))) if cause.held_by else None,
        *(_drawings(cause) if draws else ()),
        element("p", " · ".join(f"{name} {value}" for name, value in facts if value), class_="note"),
        class_="cause" if cause.confirmed else "cause suspected",
    )


def _drawings(cause: Cause) -> Iterator[Markup]:
    """Draw who holds a Python object: the way to it from a root, or the reference cycle that it is in."""
    way = chain_figure(cause.chain, "Who holds it, from the root down to the object")
    ring = (
        chain_figure(cause.ring, f"A reference cycle: {describe_ring(cause.ring)}", is_ring=True)
        if cause.ring
        else None
    )
    yield from (element("figure", figure) for figure in (way, ring) if figure is not None)


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
            element("code", f"{line.file}:{line.line}"),
            format_number(line.bytes_per_iteration),
            format_number(line.blocks_per_iteration),
        )
        for line in result.top
    ]
    return join(element("h3", heading), _table(("line", "B/cycle", "blocks/cycle"), rows, numbers=(1, 2)))


def _failure(failure: Failure) -> Markup:
    return join(
        element("pre", failure.detail) if len(failure.detail.splitlines()) > 1 else None,  # one line stands above
        join(element("h3", "Where it was"), element("pre", "\n".join(failure.stack))) if failure.stack else None,
    )


def _parts(parts: Parts, figure: str | None) -> Markup:
    return element(
        "section",
        element("h2", "The full cycle against the sum of its parts"),
        element("p", say.combination_sentence(parts)),
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
        "–" if blank.rate is None else f"{format_number(blank.rate)}{say.interval_words(blank.low, blank.high)}"
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
        ("blank: an empty cycle", _passed(blank.ok), f"{blank_rate} B", format_count(blank.iterations), blank.detail),
        (
            "spike: a planted leak",
            _passed(spike.ok),
            ", ".join(found) or "–",
            format_count(spike.iterations),
            spike.detail,
        ),
    ]
    rows += [
        (
            f"spike: a planted {each.kind}",
            _passed(each.ok),
            "–"
            if each.recovered is None
            else f"{format_number(each.recovered)} of {format_number(each.planted)} {each.unit}",
            format_count(each.iterations),
            each.detail,
        )
        for each in controls.spike.of_kinds
    ]
    return _table(("control", "result", "per cycle", "cycles", "detail"), rows, numbers=(3,))


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
    "windows are the stretches on which the fitted rate rests, and the dotted line is growth at the tolerance."
)


def _badge(verdict: Verdict) -> Markup:
    return element("span", element("b", say.SYMBOLS[verdict]), f" {verdict}", class_=f"badge {verdict}")


def _reason(excused: str | None) -> Markup | None:
    return None if excused is None else element("span", f" {excused}", class_="note")


def _passed(ok: bool) -> Markup:
    return element("span", "passed" if ok else "FAILED", class_="badge CLEAN" if ok else "badge FAILED")


def _level(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return format_size(value) if unit == "bytes" else format_number(value)


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Sequence[int] = ()) -> Markup:
    def row(name: str, cells: Sequence[str]) -> Markup:
        return element(
            "tr",
            *(
                element(name, cell, class_=_NUMBER if position in numbers else None)
                for position, cell in enumerate(cells)
            ),
        )

    head = element("thead", row("th", titles))
    body = element("tbody", *(row("td", cells) for cells in rows))
    return element("div", element("table", head, body), class_="scroll")


def _definitions(values: Mapping[str, Any]) -> Markup:
    if not values:
        return element("p", "None recorded.", class_="note")
    return element("dl", *(join(element("dt", name), element("dd", _value(value))) for name, value in values.items()))


def _value(value: Any) -> str:
    """Show what a configuration may hold: a table for a group of like tables, a list for a table, else plain text."""
    if not isinstance(value, Mapping) or not value:
        return _plain(value)
    if not all(isinstance(row, Mapping) for row in value.values()):
        return _definitions(value)
    titles = list(dict.fromkeys(title for row in value.values() for title in row))
    return _table(["", *titles], [[name, *(_plain(row.get(title)) for title in titles)] for name, row in value.items()])


def _plain(value: Any) -> str:
    if value is None or value in ({}, []):
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
